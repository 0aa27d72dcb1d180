/** A run against a stored one, figure by figure. */
import type { Metric } from './bench-suite.ts'
import { markdownTable } from './markdown-table.ts'
import { estimate } from './system/statistics.ts'

/** Ratios of medians; `worse` are those that lost more than a tenth with intervals that do not touch. */
export function compareWithBaseline(now: readonly Metric[], before: readonly Metric[]): { text: string; worse: string[] } {
  const old = new Map(before.map((metric) => [metric.name, metric]))
  const worse: string[] = []
  const rows = now.flatMap(({ name, unit, better, samples }) => {
    const other = old.get(name)
    if (other === undefined || other.samples.length === 0 || samples.length === 0) return []
    const [here, there] = [estimate(samples), estimate(other.samples)]
    if (there.median === 0) return []
    const ratio = here.median / there.median
    const lost = better === 'more' ? ratio < 0.9 && here.high < there.low : ratio > 1.1 && here.low > there.high
    if (lost) worse.push(name)
    return [[name, there.median.toPrecision(4), here.median.toPrecision(4), unit, ratio.toFixed(2), lost ? 'WORSE' : '']]
  })
  if (rows.length === 0) return { text: 'The baseline has no figure of this suite.', worse }
  return { text: markdownTable([['figure', 'baseline', 'now', 'unit', 'ratio', ''], ...rows]), worse }
}
