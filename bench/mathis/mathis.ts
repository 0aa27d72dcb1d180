// TCP Reno over an emulated link against the formula of Mathis et al.: npm run experiment:mathis -- [--seeds 20] [--seconds 60] [--at-once 4]
// Each flow is iperf3 in two sandboxes of a lab of its own, in a process of its own. Writes bench/results/mathis.{json,svg} and the
// section of docs/experiments/mathis.md with the table; --dry writes nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine, thisMachine } from '../machine.ts'
import { markdownTable } from '../markdown-table.ts'
import { withSection } from '../readme-section.ts'
import { flowPlot } from './flow-plot.ts'
import { INDEPENDENT, LOSS, type MathisTrial, mathisBound, meanInterval, PERIODIC } from './theory.ts'

const TRIAL = fileURLToPath(new URL('./trial.js', import.meta.url))
const RESULTS = 'bench/results/mathis'
const DOCUMENT = 'docs/experiments/mathis.md'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '60' },
    'at-once': { type: 'string', default: '4' },
    dry: { type: 'boolean', default: false }
  }
})
const [seeds, seconds, atOnce] = [values.seeds, values.seconds, values['at-once']].map(Number) as [number, number, number]
const machine = thisMachine()

const waiting = Array.from({ length: seeds }, (_, index) => index + 1)
const trials: MathisTrial[] = []
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const done = await trial(seed)
      trials.push(done)
      console.error(
        `seed ${seed}: ${(done.bitsPerSecond / 1e6).toFixed(2)} Mbit/s, ${done.rttMs.toFixed(2)} ms, ${trials.length} of ${seeds}`
      )
    }
  })
)
trials.sort((a, b) => a.seed - b.seed)

const interval = meanInterval(trials.map(({ bitsPerSecond }) => bitsPerSecond))
const report = describe()
console.log(report)
if (!values.dry) {
  writeFileSync(`${RESULTS}.json`, `${JSON.stringify({ machine, seconds, atOnce, trials, interval }, null, 1)}\n`)
  writeFileSync(`${RESULTS}.svg`, flowPlot(trials, interval))
  writeFileSync(DOCUMENT, withSection(readFileSync(DOCUMENT, 'utf8'), 'mathis', report, 'npm run experiment:mathis'))
}

async function trial(seed: number): Promise<MathisTrial> {
  const child = spawn(process.execPath, [TRIAL, String(seed), String(seconds)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (status !== 0) throw new Error(`seed ${seed}: ${errors.trim() || `exit ${status}`}`)
  return JSON.parse(out) as MathisTrial
}

function describe(): string {
  const mbit = (bitsPerSecond: number): string => (bitsPerSecond / 1e6).toFixed(2)
  const mean = (of: (trial: MathisTrial) => number): number => trials.reduce((sum, each) => sum + of(each), 0) / trials.length
  const mss = trials[0]!.mss
  const [rttMs, loss] = [mean((each) => each.rttMs), mean((each) => each.lossShare)]
  const bounds = [
    ['C = sqrt(3/2) = 1.22, periodic losses', PERIODIC],
    ['C = 1.31, independent losses', INDEPENDENT]
  ] as const
  const holds = (bound: number): string =>
    bound >= interval.low && bound <= interval.high ? 'in the interval' : bound > interval.high ? 'above' : 'below'
  const rows = bounds.map(([name, constant]) => {
    const [configured, measured] = [mathisBound(constant, mss), mathisBound(constant, mss, rttMs)]
    return [name, mbit(configured), holds(configured), mbit(measured), holds(measured)]
  })
  const constant = (interval.mean * (rttMs / 1000) * Math.sqrt(LOSS)) / (mss * 8)
  return [
    `${describeMachine(machine)}; ${seeds} flows of ${seconds} s, ${atOnce} at once`,
    `**Mean ${mbit(interval.mean)} Mbit/s, 95 % interval [${mbit(interval.low)}, ${mbit(interval.high)}]** (Student's t). The flows had a round trip of ` +
      `${rttMs.toFixed(2)} ms and lost ${(100 * loss).toFixed(4)} % of their segments of ${mss} bytes; with that round trip the mean is that of C = ${constant.toFixed(3)}.`,
    markdownTable([['bound', 'round trip of 40 ms, Mbit/s', 'is', "the flows' round trip, Mbit/s", 'is'], ...rows]),
    markdownTable([
      ['seed', 'Mbit/s', 'round trip, ms', 'loss, %', 'queue drops'],
      ...trials.map(({ seed, bitsPerSecond, rttMs: rtt, lossShare, queueDrops }) => [
        String(seed),
        mbit(bitsPerSecond),
        rtt.toFixed(2),
        (100 * lossShare).toFixed(4),
        String(queueDrops)
      ])
    ]),
    '![the flows](../../bench/results/mathis.svg)'
  ].join('\n\n')
}
