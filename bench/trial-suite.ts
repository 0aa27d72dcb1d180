/**
 * Suites of trials: each trial in a process of its own, every case once per round, the order reversed every other round.
 *
 *   round 1:  a b c      round 2:  c b a      round 3:  a b c ...
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { BenchSuite, Chart, Metric, SuiteOptions, SuiteReport } from './bench-suite.ts'
import { markdownTable } from './markdown-table.ts'
import { checkTargets, metricName, type RatioTarget, ratioTable } from './ratio-table.ts'
import { formatEstimate } from './system/measures.ts'
import { estimate } from './system/statistics.ts'

export type TrialValues = Readonly<Record<string, number>>

export interface TrialCase {
  readonly name: string
  /** Cases of one group stand in one table and one chart. */
  readonly group: string
  /** Runs in the trial's own process. */
  run(): TrialValues | Promise<TrialValues>
}

export interface TrialColumn {
  readonly key: string
  readonly title: string
  readonly unit: string
  readonly digits: number
  readonly better: 'more' | 'less'
}

export interface TrialSuiteParts {
  readonly name: string
  readonly title: string
  /** What each trial does before it measures. */
  readonly warmUp: string
  readonly rounds: number
  /** The first one is drawn. */
  readonly columns: readonly TrialColumn[]
  readonly cases: readonly TrialCase[]
  /** What is to be reached; stands below the tables. */
  readonly ratios?: readonly RatioTarget[]
}

export interface TrialSuite extends BenchSuite {
  readonly cases: readonly TrialCase[]
}

const TRIAL = fileURLToPath(new URL('./trial.js', import.meta.url))

/** Throws when a ratio is of what the suite does not have. */
export function trialSuite(parts: TrialSuiteParts): TrialSuite {
  const names = parts.cases.map(({ name }) => name)
  checkTargets(parts.ratios ?? [], names, parts.columns)
  return { ...parts, list: () => names, run: (options) => runTrials(parts, options) }
}

async function runTrials(
  parts: TrialSuiteParts,
  { quick, rounds = quick ? 1 : parts.rounds, only = '', progress, signal }: SuiteOptions
): Promise<SuiteReport> {
  const cases = parts.cases.filter(({ name }) => only.split(',').some((text) => name.includes(text)))
  const samples = new Map(cases.map(({ name }) => [name, [] as (TrialValues | null)[]]))
  const problems: string[] = []
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    for (const { name } of round % 2 === 0 ? cases : [...cases].reverse()) {
      if (signal.aborted) break
      try {
        const values = await trial(parts.name, name, signal)
        samples.get(name)!.push(values)
        const { key, unit, digits } = parts.columns.find((column) => values[column.key] !== undefined)!
        progress(`round ${round + 1}/${rounds} ${name}: ${values[key].toFixed(digits)} ${unit}`)
      } catch (error) {
        samples.get(name)!.push(null) // a gap: ratios are taken round by round
        problems.push(`round ${round + 1}, ${name}: ${(error as Error).message}`)
        progress(problems.at(-1)!)
      }
    }
  }
  return report(parts, cases, samples, problems)
}

/** One trial; throws with what the process said when it fails. */
async function trial(suite: string, name: string, signal: AbortSignal): Promise<TrialValues> {
  const child = spawn(process.execPath, ['--expose-gc', TRIAL, suite, name], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  const [out, errors, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (status !== 0) throw new Error(errors.trim().split('\n').slice(-5).join(' ') || `exit ${status}`)
  return JSON.parse(out) as TrialValues
}

function report(
  { columns, warmUp, ratios = [] }: TrialSuiteParts,
  cases: readonly TrialCase[],
  samples: ReadonlyMap<string, readonly (TrialValues | null)[]>,
  problems: readonly string[]
): SuiteReport {
  const metrics: Metric[] = []
  const tables: string[] = []
  const charts: Chart[] = []
  for (const group of new Set(cases.map((each) => each.group))) {
    const members = cases.filter((each) => each.group === group)
    const present = columns.filter(({ key }) =>
      members.some(({ name }) => samples.get(name)!.some((values) => values?.[key] !== undefined))
    )
    if (present.length === 0) continue
    const rows = members.map(({ name }) => [
      name,
      ...present.map(({ key, unit, digits, better }) => {
        const metric = { name: metricName(name, key), unit, better, ...samplesOf(samples.get(name)!, key) }
        metrics.push(metric)
        return formatEstimate(estimate(metric.samples), digits)
      })
    ])
    tables.push(markdownTable([[group, ...present.map(({ title, unit }) => `${title}, ${unit}`)], ...rows]))
    const [{ key, title, unit }] = present
    charts.push({ title: `${group}: ${title}`, unit, bars: members.map(({ name }) => ({ label: name, metric: metricName(name, key) })) })
  }
  const targets = ratioTable(ratios, columns, metrics)
  if (targets !== null) tables.push(targets)
  const count = Math.max(0, ...[...samples.values()].map((values) => values.filter((each) => each !== null).length))
  const { coverage } = estimate(new Array<number>(count).fill(0))
  const interval =
    count < 2
      ? 'One round: no interval'
      : `Median of ${count} rounds [${(100 * coverage).toFixed(0)} % confidence interval by order statistics]`
  const text = [`${interval}; each trial in its own process. Warm-up: ${warmUp}.`, ...tables, ...problems.map((each) => `- ${each}`)]
  return { text: text.join('\n\n'), metrics, charts, problems }
}

function samplesOf(values: readonly (TrialValues | null)[], key: string): Pick<Metric, 'samples' | 'rounds'> {
  const rounds = [...values.keys()].filter((round) => values[round]?.[key] !== undefined)
  const samples = rounds.map((round) => values[round]![key])
  return rounds.length === values.length ? { samples } : { samples, rounds }
}
