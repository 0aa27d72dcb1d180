/**
 * The system suite for the runner: real processes in namespaces, all paths side by side (bench/system).
 */
import type { BenchSuite, Metric } from '../bench-suite.ts'
import { measures } from '../system/measures.ts'
import { cases, DEFAULTS, QUICK, runSystemSuite } from '../system/system-suite.ts'
import { systemTables } from '../system/system-tables.ts'

/** Drawn: what people ask for first. */
const DRAWN = ['tcp1', 'tcp4', 'udp64', 'udp1400', 'rtt']

export const suite: BenchSuite = {
  name: 'system',
  title: 'Two processes in namespaces, one path between them',
  list: () => cases.map(({ name }) => name),
  async run({ quick, rounds, seconds, only, progress, signal }) {
    const defaults = quick ? QUICK : DEFAULTS
    // By whole names: 'netloom' is part of three.
    const chosen = only?.split(',')
    for (const name of chosen ?? []) {
      if (!cases.some((each) => each.name === name))
        throw new Error(`--only ${name}: there are ${cases.map((each) => each.name).join(', ')}`)
    }
    const result = await runSystemSuite({
      rounds: rounds ?? defaults.rounds,
      seconds: seconds ?? defaults.seconds,
      pings: defaults.pings,
      udpResolution: defaults.udpResolution,
      only: chosen,
      progress,
      signal
    })
    const run = result.cases.filter(({ skipped }) => skipped === null)
    const metrics = run.flatMap(({ name }) =>
      measures.map(({ key, unit, lowerIsBetter }): Metric => {
        const samples = result.samples[name][key].filter((value) => value !== null)
        return { name: `${name}: ${key}`, unit, better: lowerIsBetter ? 'less' : 'more', samples }
      })
    )
    const measured = new Set(metrics.filter(({ samples }) => samples.length > 0).map(({ name }) => name))
    const charts = measures
      .filter(({ key }) => DRAWN.includes(key))
      .map(({ key, title, unit }) => ({
        title,
        unit,
        bars: run.map(({ name, title }) => ({ label: title, metric: `${name}: ${key}` })).filter(({ metric }) => measured.has(metric))
      }))
      .filter(({ bars }) => bars.length > 0)
    return { text: systemTables(result), metrics, charts, problems: result.problems }
  }
}
