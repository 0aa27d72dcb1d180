// The system suite from the command line: node dist/bench/system/run-system.js [--rounds N] [--seconds S] [--pings N] [--quick]
//   [--only netloom,c-forwarder] [--measure tcp,udp,ping] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { DEFAULTS, QUICK, runSystemSuite, TRIAL_GROUPS } from './system-suite.ts'
import { systemTables } from './system-tables.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    pings: { type: 'string' },
    quick: { type: 'boolean' },
    only: { type: 'string' },
    measure: { type: 'string' },
    json: { type: 'string' }
  }
})
const defaults = values.quick ? QUICK : DEFAULTS
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
const result = await runSystemSuite({
  rounds: Number(values.rounds ?? defaults.rounds),
  seconds: Number(values.seconds ?? defaults.seconds),
  pings: Number(values.pings ?? defaults.pings),
  only: values.only?.split(','),
  groups: values.measure === undefined ? undefined : TRIAL_GROUPS.filter((group) => values.measure!.split(',').includes(group)),
  progress: (line) => console.error(line),
  signal: stop.signal
})
console.log(systemTables(result))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`)
