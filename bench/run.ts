// The benchmarks from the command line: npm run bench -- [--suite NAME,NAME] [--rounds N] [--only TEXT]
//   [--seconds N] [--quick] [--json FILE] [--svg FILE] [--baseline FILE] [--update-readme] [--list]
// Tables go to standard output, progress to standard error, JSON and SVG to bench/results/SUITE.{json,svg} unless named.
// With --baseline, exit 1 when a figure is worse than there by more than a tenth and beyond both intervals.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { barCharts } from './bar-chart.ts'
import { compareWithBaseline } from './baseline.ts'
import type { Metric } from './bench-suite.ts'
import { loadSuite, suiteNames } from './load-suite.ts'
import { describeMachine, type Machine, thisMachine } from './machine.ts'
import { withSection } from './readme-section.ts'

const README = 'bench/README.md'

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean' },
    'update-readme': { type: 'boolean' },
    json: { type: 'string' },
    svg: { type: 'string' },
    baseline: { type: 'string' },
    list: { type: 'boolean' }
  }
})

interface StoredResult {
  readonly suite: string
  readonly machine: Machine
  readonly command: string
  readonly metrics: readonly Metric[]
}

function wholeNumber(option: 'rounds' | 'seconds'): number | undefined {
  const value = options[option] === undefined ? undefined : Number(options[option])
  if (value === undefined || (Number.isInteger(value) && value > 0)) return value
  console.error(`--${option} ${options[option]}: it must be a whole number from 1`)
  process.exit(2)
}

const rounds = wholeNumber('rounds')
const seconds = wholeNumber('seconds')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

for (const name of options.suite?.split(',') ?? suiteNames()) {
  const suite = await loadSuite(name)
  if (options.list) {
    console.log(
      `${name}: ${suite.title}\n${suite
        .list()
        .map((each) => `  ${each}`)
        .join('\n')}`
    )
    continue
  }
  const machine = thisMachine()
  const command = `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim()
  const head = `## ${suite.title}\n\n\`${command}\`\n\n${describeMachine(machine)}`
  console.log(`${head}\n`)
  const { only, quick } = options
  const report = await suite.run({ rounds, seconds, only, quick, progress: (line) => console.error(line), signal: stop.signal })
  console.log(`${report.text}\n`)
  const stored: StoredResult = { suite: name, machine, command, metrics: report.metrics }
  write(options.json ?? `bench/results/${name}.json`, `${JSON.stringify(stored, null, 1)}\n`)
  if (report.charts.length > 0) write(options.svg ?? `bench/results/${name}.svg`, barCharts(report.charts, report.metrics))
  if (options['update-readme']) {
    const chart = report.charts.length > 0 ? `\n\n![${suite.title}](results/${name}.svg)` : ''
    write(README, withSection(readFileSync(README, 'utf8'), name, `${head}\n\n${report.text}${chart}`))
  }
  if (options.baseline !== undefined) {
    const { metrics } = JSON.parse(readFileSync(options.baseline, 'utf8')) as StoredResult
    const { text, worse } = compareWithBaseline(report.metrics, metrics)
    console.log(text)
    if (worse.length > 0) process.exitCode = 1
  }
  if (report.problems.length > 0) process.exitCode = 1
}

function write(file: string, content: string): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  writeFileSync(file, content)
  console.error(`wrote ${file}`)
}
