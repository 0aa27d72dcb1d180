/** The suite's tables, as Markdown: the same text on a terminal and in bench/README.md. */
import { formatEstimate, measures } from './measures.ts'
import { estimate, pairedRatios } from './statistics.ts'
import type { SystemResult } from './system-suite.ts'

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (row: readonly string[]): string => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [line(rows[0]), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.slice(1).map(line)].join('\n')
}

/** Cases of a result that have samples for some of `keys`. */
function measured(result: SystemResult, keys: readonly string[]): SystemResult['cases'] {
  return result.cases.filter(
    ({ name, skipped }) =>
      skipped === null && measures.some(({ key }) => keys.includes(key) && result.samples[name][key].some((value) => value !== null))
  )
}

const GROUPS = [
  ['tcp1', 'tcp1-reverse', 'tcp4', 'tcp4-reverse'],
  ['udp64', 'udp64-overload', 'udp1400'],
  ['rtt', 'rtt-p50', 'rtt-p99'],
  ['cpu-machine', 'cpu-forwarder']
]

function figures(result: SystemResult): string[] {
  return GROUPS.flatMap((keys) => {
    const columns = measures.filter(({ key }) => keys.includes(key))
    const rows = measured(result, keys).map(({ name, title }) => [
      title,
      ...columns.map(({ key, digits }) => formatEstimate(estimate(result.samples[name][key].filter((value) => value !== null)), digits))
    ])
    return rows.length === 0 ? [] : [table([['path', ...columns.map(({ title, unit }) => `${title}, ${unit}`)], ...rows])]
  })
}

/** What the issue asks for: this case against that, by the paired ratios of a measure. */
const TARGETS: readonly { against: string; measure: 'tcp1' | 'tcp1-reverse' | 'udp64' | 'udp1400' | 'rtt'; limit: number; most?: true }[] =
  [
    { against: 'c-forwarder', measure: 'tcp1', limit: 0.95 },
    { against: 'c-forwarder', measure: 'tcp1-reverse', limit: 0.95 },
    { against: 'c-forwarder', measure: 'udp64', limit: 0.95 },
    { against: 'c-forwarder', measure: 'udp1400', limit: 0.95 },
    { against: 'c-forwarder', measure: 'rtt', limit: 1.25, most: true },
    { against: 'kernel-bridge', measure: 'tcp1', limit: 0.8 },
    { against: 'ovs-userspace', measure: 'tcp1', limit: 5 },
    ...['ovs-userspace', 'vde', 'slirp4netns', 'pasta'].flatMap((against) => [
      { against, measure: 'udp64' as const, limit: 1 },
      { against, measure: 'udp1400' as const, limit: 1 },
      { against, measure: 'rtt' as const, limit: 1, most: true as const }
    ])
  ]

/** The way out without root, beside others who give one. */
const USER_TARGETS: typeof TARGETS = ['slirp4netns', 'pasta'].flatMap((against) =>
  (['tcp1', 'tcp1-reverse', 'udp64', 'udp1400'] as const).map((measure) => ({ against, measure, limit: 1 }))
)

/** Root's way out, beside what Docker makes of the kernel. */
const HOST_TARGETS: typeof TARGETS = (['tcp1', 'tcp1-reverse'] as const).map((measure) => ({ against: 'kernel-nat', measure, limit: 0.75 }))

function ratios(result: SystemResult): string[] {
  return [
    ...ratiosOf(result, 'netloom', TARGETS),
    ...ratiosOf(result, 'netloom-host', HOST_TARGETS),
    ...ratiosOf(result, 'netloom-user', USER_TARGETS)
  ]
}

function ratiosOf(result: SystemResult, name: string, targets: typeof TARGETS): string[] {
  const own = result.samples[name]
  if (own === undefined) return []
  const rows = targets.flatMap(({ against, measure, limit, most }) => {
    const other = result.samples[against]
    if (other === undefined) return []
    const ratio = estimate(pairedRatios(own[measure], other[measure]))
    if (ratio.samples === 0) return []
    const met = most ? ratio.median <= limit : ratio.median >= limit
    const { title } = measures.find(({ key }) => key === measure)!
    return [[title, against, formatEstimate(ratio, 2), `${most ? 'at most' : 'at least'} ${limit}`, met ? 'yes' : 'NO']]
  })
  return rows.length === 0 ? [] : [table([[`${name} to`, 'path', 'ratio', 'target', 'reached'], ...rows])]
}

function captures(result: SystemResult): string[] {
  const rows = Object.entries(result.captures).map(([name, runs]) => {
    const sum = (of: (run: (typeof runs)[number]) => number): number => runs.reduce((total, run) => total + of(run), 0)
    const frames = sum((run) => run.frames)
    const read = runs.filter(({ inFile }) => inFile !== null)
    const agrees = read.length === 0 ? 'too large to read back' : read.every((run) => run.inFile === run.frames) ? 'agrees' : 'DIFFERS'
    const ratio = estimate(pairedRatios(result.samples[name].tcp1, result.samples['netloom']?.tcp1 ?? []))
    const share = (100 * frames) / Math.max(1, frames + sum((run) => run.dropped))
    return [name, formatEstimate(ratio, 2), `${share.toFixed(2)} %`, String(frames), agrees]
  })
  return rows.length === 0 ? [] : [table([['capture', 'TCP, of that without', 'frames in the file', 'frames', 'reading back'], ...rows])]
}

const ABOUT = `Warm-up: one second of TCP and a \`ping -f\`. CPU of the machine is all of /proc/stat but idle, so it has both iperf3 and what the
kernel does for them; CPU of the forwarder is its processes alone (a kernel path has none).`

export function systemTables(result: SystemResult): string {
  const first = result.cases.find(({ skipped }) => skipped === null)
  const sample = first === undefined ? null : estimate(new Array<number>(result.rounds).fill(0))
  const interval =
    sample === null || result.rounds < 2
      ? 'one round: no interval'
      : `median of ${result.rounds} rounds [${(sample.coverage * 100).toFixed(0)} % confidence interval by order statistics]`
  const notes = [
    ...result.cases.filter(({ skipped }) => skipped !== null).map(({ title, skipped }) => `- ${title}: skipped, ${skipped}`),
    ...result.problems.map((problem) => `- ${problem}`)
  ]
  const parts = [`${interval}; fresh processes each round. ${ABOUT}`, ...figures(result), ...ratios(result), ...captures(result)]
  if (notes.length > 0) parts.push(notes.join('\n'))
  return parts.join('\n\n')
}
