import { BenchError } from './bench-process.ts'
import { CpuMeter, type CpuUse } from './cpu-meter.ts'
import type { RunningPath } from './path-case.ts'

/** The part of iperf3's JSON that is used. */
interface IperfReport {
  readonly error?: string
  readonly end?: {
    readonly sum?: { readonly packets: number; readonly lost_packets: number }
    readonly sum_sent?: { readonly packets: number }
    readonly sum_received?: { readonly bytes: number; readonly seconds: number }
  }
}

export interface TcpResult {
  readonly gbitPerSecond: number
  /** CPU seconds for each 10^9 bytes that arrived. */
  readonly cpuPerGigabyte: CpuUse
}

export interface TcpTrial {
  readonly streams: number
  /** The server sends (-R). */
  readonly reverse: boolean
  readonly seconds: number
}

/** iperf3 -c ADDRESS -t SECONDS -P STREAMS [-R]: what the receiver got. */
export async function runTcp(path: RunningPath, trial: TcpTrial): Promise<TcpResult> {
  const meter = new CpuMeter(path.forwarders.map(({ pid }) => pid))
  const direction = trial.reverse ? ['-R'] : []
  const end = await runIperf(path, ['-t', String(trial.seconds), '-P', String(trial.streams), ...direction], trial.seconds)
  const { machine, forwarders } = meter.used
  const { bytes, seconds } = end.sum_received!
  const gigabytes = bytes / 1e9
  if (gigabytes === 0) throw new BenchError('no byte arrived')
  return {
    gbitPerSecond: (gigabytes * 8) / seconds,
    cpuPerGigabyte: { machine: machine / gigabytes, forwarders: forwarders / gigabytes }
  }
}

export interface UdpResult {
  /** Datagrams a second. */
  readonly offered: number
  readonly delivered: number
  /** Share of the datagrams sent that did not arrive, 0 to 1. */
  readonly loss: number
}

/** iperf3 -c ADDRESS -u -l LENGTH: `rate` datagrams a second for `seconds`; rate 0: as fast as the sender can. */
export async function runUdp(path: RunningPath, length: number, rate: number, seconds: number): Promise<UdpResult> {
  const amount = rate === 0 ? ['-t', '1'] : ['-k', String(Math.ceil(rate * seconds))]
  const end = await runIperf(path, ['-u', '-l', String(length), '-b', String(Math.round(rate * length * 8)), ...amount], seconds)
  const took = end.sum_received!.seconds
  const arrived = end.sum_received!.bytes / length
  const { packets, lost_packets: lost } = end.sum!
  return { offered: packets / took, delivered: arrived / took, loss: packets === 0 ? 1 : lost / packets }
}

async function runIperf(path: RunningPath, options: string[], seconds: number): Promise<NonNullable<IperfReport['end']>> {
  const client = path.client.start('iperf3', '-J', '-c', path.address, ...options)
  // iperf3 reports its own failures in JSON and exits with 1.
  const text = await client.finish(seconds * 3 + 60).catch((error: Error) => client.stdout || Promise.reject(error))
  const report = JSON.parse(text) as IperfReport
  if (report.error !== undefined || report.end?.sum_received === undefined) {
    throw new BenchError(`${client.command}: ${report.error ?? 'no result'}`)
  }
  return report.end
}
