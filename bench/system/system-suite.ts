/**
 * The system suite: real processes on both sides of each path, all paths side by side in one run.
 *
 *   round: start every path, warm it up; for each measure: each path in turn; close every path
 *
 * The order of the paths is reversed every other round. Each round has fresh processes. All traffic stays in namespaces that
 * the round makes. A trial that fails is a gap in the samples and a line in `problems`; the run goes on.
 */
import type { BenchProcess } from './bench-process.ts'
import { cForwarder } from './cases/c-forwarder.ts'
import { hostUplink } from './cases/host-uplink.ts'
import { kernelBridge } from './cases/kernel-bridge.ts'
import { kernelNat } from './cases/kernel-nat.ts'
import { netloom, netloomCapture128, netloomCaptureFull } from './cases/netloom.ts'
import { openVswitch } from './cases/open-vswitch.ts'
import { pasta } from './cases/pasta.ts'
import { slirp4netns } from './cases/slirp4netns.ts'
import { userUplink } from './cases/user-uplink.ts'
import { vdeSwitch } from './cases/vde-switch.ts'
import { runTcp, runUdp } from './iperf.ts'
import { MEASURE_KEYS, type MeasureKey } from './measures.ts'
import type { PathCase, PathEnd, RunningPath } from './path-case.ts'
import { runPing } from './ping.ts'
import { findUdpRate, RESOLUTION } from './udp-search.ts'

export const cases: readonly PathCase[] = [
  netloom,
  cForwarder,
  kernelBridge,
  openVswitch,
  vdeSwitch,
  slirp4netns,
  kernelNat,
  hostUplink,
  pasta,
  userUplink,
  netloomCapture128,
  netloomCaptureFull
]

/** Measured by one TCP stream only: their question is what capturing costs. */
const TCP_ONLY: ReadonlySet<string> = new Set([netloomCapture128.name, netloomCaptureFull.name])

export interface SystemOptions {
  readonly rounds: number
  /** Of a TCP trial; whole. A UDP trial takes half of it. */
  readonly seconds: number
  /** Echo requests of a `ping -f` trial. */
  readonly pings: number
  /** How near the search for a UDP rate comes to it: a factor. */
  readonly udpResolution: number
  /** Names of cases to run; all when absent. */
  readonly only?: readonly string[]
  /** Hears what is going on. */
  readonly progress: (line: string) => void
  /** Stops the run between two trials. */
  readonly signal: AbortSignal
}

export const DEFAULTS = { rounds: 9, seconds: 2, pings: 20_000, udpResolution: RESOLUTION }
/** Whether all works, and not how fast. */
export const QUICK = { rounds: 1, seconds: 1, pings: 2_000, udpResolution: 3 }

/** One value per round; null where there was none. */
export type Samples = Record<MeasureKey, (number | null)[]>

export interface SystemResult {
  readonly cases: { readonly name: string; readonly title: string; readonly skipped: string | null }[]
  readonly samples: Record<string, Samples>
  /** Of the capturing cases, by name: one per round. */
  readonly captures: Record<string, NonNullable<PathEnd['captured']>[]>
  readonly problems: string[]
  /** Rounds that were run to their end. */
  rounds: number
}

interface Lane {
  readonly pathCase: PathCase
  readonly path: RunningPath
  readonly iperf: BenchProcess
  /** The last answer of each search, by datagram length. */
  readonly udp: Map<number, number>
}

export async function runSystemSuite(options: SystemOptions): Promise<SystemResult> {
  const chosen = cases.filter(({ name }) => options.only?.includes(name) ?? true)
  const result: SystemResult = {
    cases: chosen.map((each) => ({ name: each.name, title: each.title, skipped: each.missing() })),
    samples: {},
    captures: {},
    problems: [],
    rounds: 0
  }
  const runnable = chosen.filter((_, index) => result.cases[index].skipped === null)
  for (const { name } of runnable) {
    result.samples[name] = Object.fromEntries(
      MEASURE_KEYS.map((key) => [key, new Array<number | null>(options.rounds).fill(null)])
    ) as Samples
  }
  const searches = new Map(runnable.map(({ name }) => [name, new Map<number, number>()]))
  for (let round = 0; round < options.rounds && !options.signal.aborted; round++) {
    const order = round % 2 === 0 ? runnable : [...runnable].reverse()
    await runRound(round, order, searches, options, result)
    if (!options.signal.aborted) result.rounds = round + 1
  }
  return result
}

async function runRound(
  round: number,
  order: readonly PathCase[],
  searches: ReadonlyMap<string, Map<number, number>>,
  options: SystemOptions,
  result: SystemResult
): Promise<void> {
  const lanes: Lane[] = []
  const attempt = async (what: string, action: () => Promise<void>): Promise<void> => {
    if (options.signal.aborted) return
    try {
      await action()
    } catch (error) {
      const problem = `round ${round + 1}, ${what}: ${(error as Error).message}`
      result.problems.push(problem)
      options.progress(problem)
    }
  }
  try {
    for (const pathCase of order) {
      await attempt(`start of ${pathCase.name}`, async () => {
        lanes.push(await startLane(pathCase, searches.get(pathCase.name)!, options))
      })
    }
    for (const [title, measure] of trials(options)) {
      for (const lane of lanes) {
        const { name } = lane.pathCase
        if (TCP_ONLY.has(name) && title !== 'tcp1') continue
        await attempt(`${title} of ${name}`, async () => {
          const values = await measure(lane)
          for (const [key, value] of Object.entries(values)) result.samples[name][key as MeasureKey][round] = value
          options.progress(`round ${round + 1}/${options.rounds} ${name.padEnd(20)} ${describe(values)}`)
        })
      }
    }
  } finally {
    for (const { pathCase, path, iperf } of lanes) {
      await iperf.stop()
      // Also when the run was stopped.
      const end = await path.close().catch((error: Error): PathEnd => {
        result.problems.push(`round ${round + 1}, end of ${pathCase.name}: ${error.message}`)
        return {}
      })
      if (end.captured !== undefined) {
        const { frames, dropped, inFile } = end.captured
        ;(result.captures[pathCase.name] ??= []).push(end.captured)
        result.samples[pathCase.name]['captured'][round] = (100 * frames) / Math.max(1, frames + dropped)
        if (inFile !== null && inFile !== frames) {
          result.problems.push(`round ${round + 1}: the file of ${pathCase.name} has ${inFile} frames, not ${frames}`)
        }
      }
    }
  }
}

async function startLane(pathCase: PathCase, udp: Map<number, number>, options: SystemOptions): Promise<Lane> {
  const path = await pathCase.start()
  const iperf = path.server.start('iperf3', '-s', '--forceflush')
  try {
    await iperf.until('listening', () => iperf.stdout.includes('listening'))
    // Warm-up: neighbors, tables, the compiler of JavaScript, the sockets' buffers. One second of TCP, then echoes.
    if (!TCP_ONLY.has(pathCase.name)) await runTcp(path, { streams: 1, reverse: false, seconds: 1 })
    if (!TCP_ONLY.has(pathCase.name) && path.ping) await runPing(path, options.pings)
    return { pathCase, path, iperf, udp }
  } catch (error) {
    await iperf.stop()
    await path.close()
    throw error
  }
}

type Values = Partial<Record<MeasureKey, number>>
type TrialList = [title: string, measure: (lane: Lane) => Promise<Values>][]

function trials({ seconds, pings, udpResolution }: SystemOptions): TrialList {
  const tcp = (key: MeasureKey, streams: number, reverse: boolean): TrialList[number] => [
    key,
    async ({ path }) => ({ [key]: (await runTcp(path, { streams, reverse, seconds })).gbitPerSecond })
  ]
  return [
    ['tcp1', (lane) => oneStream(lane, seconds)],
    tcp('tcp1-reverse', 1, true),
    tcp('tcp4', 4, false),
    tcp('tcp4-reverse', 4, true),
    ['udp64', (lane) => udpRates(lane, 64, 'udp64', { seconds: seconds / 2, resolution: udpResolution }, 'udp64-overload')],
    ['udp1400', (lane) => udpRates(lane, 1400, 'udp1400', { seconds: seconds / 2, resolution: udpResolution })],
    ['ping', ({ path }) => echoes(path, pings)]
  ]
}

async function echoes(path: RunningPath, pings: number): Promise<Values> {
  if (!path.ping) return {}
  const { average, p50, p99 } = await runPing(path, pings)
  return { rtt: average, 'rtt-p50': p50, 'rtt-p99': p99 }
}

async function oneStream({ path }: Lane, seconds: number): Promise<Values> {
  const { gbitPerSecond, cpuPerGigabyte } = await runTcp(path, { streams: 1, reverse: false, seconds })
  const forwarder = path.forwarders.length > 0 ? { 'cpu-forwarder': cpuPerGigabyte.forwarders } : {}
  return { tcp1: gbitPerSecond, 'cpu-machine': cpuPerGigabyte.machine, ...forwarder }
}

async function udpRates(
  { path, udp }: Lane,
  length: number,
  key: MeasureKey,
  { seconds, resolution }: { seconds: number; resolution: number },
  overloadKey?: MeasureKey
): Promise<Values> {
  const last = udp.get(length) ?? 0
  const overload = overloadKey !== undefined || last === 0 ? (await runUdp(path, length, 0, 1)).delivered : 0
  const { delivered, offered } = await findUdpRate((rate) => runUdp(path, length, rate, seconds), overload, last, resolution)
  if (offered > 0) udp.set(length, offered)
  const extra = overloadKey !== undefined ? { [overloadKey]: overload / 1000 } : {}
  return { [key]: delivered / 1000, ...extra }
}

function describe(values: Values): string {
  const parts = Object.entries(values).map(([key, value]) => `${key} ${value.toFixed(2)}`)
  return parts.length > 0 ? parts.join(', ') : 'not comparable'
}
