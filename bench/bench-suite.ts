/**
 * What a suite is to the runner. `bench/suites/NAME.ts` exports one as `suite`, and `--suite NAME` finds it.
 */

/** One figure with all its samples, one per round. */
export interface Metric {
  /** Names the figure over all versions: a baseline is compared by it. */
  readonly name: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly samples: readonly number[]
  /** The round of each sample, from 0, where a trial failed and left a gap. */
  readonly rounds?: readonly number[]
}

/** A group of bars. */
export interface Chart {
  readonly title: string
  readonly unit: string
  /** Names of metrics, from top to bottom, and what the bar is called. */
  readonly bars: readonly { readonly label: string; readonly metric: string }[]
}

export interface SuiteReport {
  /** Tables as Markdown: the same text on the terminal and in bench/README.md. */
  readonly text: string
  readonly metrics: readonly Metric[]
  readonly charts: readonly Chart[]
  /** Trials that failed. */
  readonly problems: readonly string[]
}

export interface SuiteOptions {
  /** Default: what the suite says, at least 9. */
  readonly rounds?: number
  /** Only cases whose name has this text; several texts are separated by commas. */
  readonly only?: string
  /** Of one trial, where the suite has such trials. */
  readonly seconds?: number
  /** One short round, to see that everything runs: the figures mean little. */
  readonly quick?: boolean
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
}

export interface BenchSuite {
  readonly name: string
  readonly title: string
  /** Names of the cases. */
  list(): readonly string[]
  run(options: SuiteOptions): Promise<SuiteReport>
}
