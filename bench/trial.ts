// One trial: node --expose-gc dist/bench/trial.js SUITE CASE. Its values go to standard output as JSON.
import { loadSuite } from './load-suite.ts'
import type { TrialSuite } from './trial-suite.ts'

const [suiteName, caseName] = process.argv.slice(2)
const suite = (await loadSuite(suiteName)) as TrialSuite
const chosen = suite.cases.find(({ name }) => name === caseName)
if (chosen === undefined) throw new Error(`suite ${suiteName} has no case '${caseName}'`)
console.log(JSON.stringify(await chosen.run()))
