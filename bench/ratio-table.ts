/**
 * What a suite of trials is to reach: figures themselves, or ratios of two of its cases taken round by round, where what slows the machine
 * for a while is in both figures of a round and cancels out.
 */
import type { Metric } from './bench-suite.ts'
import { markdownTable } from './markdown-table.ts'
import { formatEstimate } from './system/measures.ts'
import { type Estimate, estimate, pairedRatios } from './system/statistics.ts'

export interface RatioTarget {
  /** Names of cases: the figure of one divided by that of the other, or its figure itself. */
  readonly of: string
  readonly to?: string
  /** Key of the column whose figures are divided. */
  readonly figure: string
  readonly target: number
  /**
   * 'at least', 'at most': the median is on that side of the target. 'as good as': no difference from the target, or one for the better,
   * can be told, so the better end of the interval reaches it; a median would miss half of the time what costs nothing.
   */
  readonly direction: 'at least' | 'at most' | 'as good as'
}

export interface RatioColumn {
  readonly key: string
  readonly title: string
  readonly unit: string
  readonly digits: number
  readonly better: 'more' | 'less'
}

/** Throws when a target names what the suite does not have: its row would be missing without a word. */
export function checkTargets(ratios: readonly RatioTarget[], cases: readonly string[], columns: readonly RatioColumn[]): void {
  for (const { of, to, figure } of ratios) {
    for (const name of [of, to ?? of]) if (!cases.includes(name)) throw new Error(`a target is of '${name}', which is no case of the suite`)
    if (!columns.some(({ key }) => key === figure)) throw new Error(`a target is of '${figure}', which is no column of the suite`)
  }
}

/**
 * Markdown; null when no target has figures of both its cases, as with some of `--only`.
 * @param metrics as a suite reports them, and as `results/SUITE.json` keeps them
 */
export function ratioTable(ratios: readonly RatioTarget[], columns: readonly RatioColumn[], metrics: readonly Metric[]): string | null {
  const figures = (name: string, figure: string): (number | null)[] =>
    byRound(metrics.find((metric) => metric.name === metricName(name, figure)))
  const plain: string[][] = []
  const divided: string[][] = []
  for (const { of, to, figure, target, direction } of ratios) {
    const { title, unit, digits, better } = columns.find(({ key }) => key === figure)!
    const own = figures(of, figure)
    const value = estimate(to === undefined ? own.filter((each) => each !== null) : pairedRatios(own, figures(to, figure)))
    if (value.samples === 0) continue
    const goal = [`${direction} ${target}`, isReached(value, target, direction, better) ? 'yes' : 'NO']
    if (to === undefined) plain.push([of, `${title}, ${unit}`, formatEstimate(value, digits), ...goal])
    else divided.push([`${of} to ${to}`, title, formatEstimate(value, 2), ...goal])
  }
  const tables = [
    ...(plain.length === 0 ? [] : [markdownTable([['targets', 'figure', 'is', 'target', 'reached'], ...plain])]),
    ...(divided.length === 0 ? [] : [markdownTable([['targets', 'figure', 'ratio', 'target', 'reached'], ...divided])])
  ]
  return tables.length === 0 ? null : tables.join('\n\n')
}

/** The figure that a column is for a case. */
export function metricName(name: string, key: string): string {
  return `${name}: ${key}`
}

/** null: the round has none. */
function byRound(metric: Metric | undefined): (number | null)[] {
  const { samples, rounds = [...samples.keys()] }: Pick<Metric, 'samples' | 'rounds'> = metric ?? { samples: [] }
  const values = new Array<number | null>((rounds.at(-1) ?? -1) + 1).fill(null)
  for (const [index, round] of rounds.entries()) values[round] = samples[index]
  return values
}

function isReached(
  { median, low, high }: Estimate,
  target: number,
  direction: RatioTarget['direction'],
  better: RatioColumn['better']
): boolean {
  if (direction === 'at least') return median >= target
  if (direction === 'at most') return median <= target
  return better === 'more' ? high >= target : low <= target
}
