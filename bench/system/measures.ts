/** What the suite measures, in the order in which it does. */
import type { Estimate } from './statistics.ts'

export interface Measure {
  readonly key: MeasureKey
  readonly title: string
  readonly unit: string
  readonly digits: number
  readonly lowerIsBetter?: true
}

export type MeasureKey = (typeof MEASURE_KEYS)[number]
export const MEASURE_KEYS = [
  'tcp1',
  'tcp1-reverse',
  'tcp4',
  'tcp4-reverse',
  'cpu-machine',
  'cpu-forwarder',
  'udp64',
  'udp64-overload',
  'udp1400',
  'rtt',
  'rtt-p50',
  'rtt-p99',
  'captured'
] as const

const MEASURE: Record<MeasureKey, Omit<Measure, 'key'>> = {
  tcp1: { title: 'TCP, 1 stream', unit: 'Gbit/s', digits: 2 },
  'tcp1-reverse': { title: 'TCP, 1 stream, -R', unit: 'Gbit/s', digits: 2 },
  tcp4: { title: 'TCP, 4 streams', unit: 'Gbit/s', digits: 2 },
  'tcp4-reverse': { title: 'TCP, 4 streams, -R', unit: 'Gbit/s', digits: 2 },
  'cpu-machine': { title: 'CPU of the machine, TCP', unit: 's/GB', digits: 2, lowerIsBetter: true },
  'cpu-forwarder': { title: 'CPU of the forwarder, TCP', unit: 's/GB', digits: 2, lowerIsBetter: true },
  udp64: { title: 'UDP 64 bytes, < 1 % loss', unit: 'kpps', digits: 1 },
  'udp64-overload': { title: 'UDP 64 bytes, overload', unit: 'kpps', digits: 1 },
  udp1400: { title: 'UDP 1400 bytes, < 1 % loss', unit: 'kpps', digits: 1 },
  rtt: { title: 'RTT, ping -f, average', unit: 'us', digits: 1, lowerIsBetter: true },
  'rtt-p50': { title: 'RTT, ping -A, p50', unit: 'us', digits: 0, lowerIsBetter: true },
  'rtt-p99': { title: 'RTT, ping -A, p99', unit: 'us', digits: 0, lowerIsBetter: true },
  captured: { title: 'frames in the file', unit: '%', digits: 2 }
}

export const measures: readonly Measure[] = MEASURE_KEYS.map((key) => ({ key, ...MEASURE[key] }))

export function formatEstimate({ median, low, high, samples }: Estimate, digits: number): string {
  if (samples === 0) return '-'
  const text = (value: number): string => value.toFixed(digits)
  return samples === 1 ? text(median) : `${text(median)} [${text(low)}, ${text(high)}]`
}
