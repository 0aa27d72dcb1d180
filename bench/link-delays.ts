/**
 * How well emulated links keep the delay that they are set to: what frames took beyond it, in memory at a million a second and through
 * TAPs at twenty thousand.
 */
import { LinkInMemory } from './link-in-memory.ts'
import { tapStream } from './tap-stream.ts'

export interface DelayValues {
  /** Microseconds beyond the configured delay. */
  readonly p50: number
  readonly p99: number
  readonly worst: number
  readonly frames: number
}

const DELAY_NS = 10e6

function delayValues(errors: Float64Array): DelayValues {
  const sorted = errors.sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! / 1000
  return { p50: at(0.5), p99: at(0.99), worst: at(1), frames: sorted.length }
}

const MEMORY_RATE = 1e6
const LENGTH = 64

/** Under the machine's clock. */
export function memoryDelays(seconds: number): DelayValues {
  const errors = new Float64Array(seconds * MEMORY_RATE)
  let count = 0
  const link = new LinkInMemory({ delay: { meanNs: DELAY_NS } }, LENGTH, (sent, now) => {
    if (count < errors.length) errors[count] = now - sent - DELAY_NS
    count++
  })
  link.run(MEMORY_RATE, () => count >= errors.length / 2) // for the compiler
  count = 0
  link.run(MEMORY_RATE, () => count >= errors.length)
  link.close()
  return delayValues(errors)
}

const TAP_RATE = 20_000
const DATAGRAM = 64

/** Between two namespaces. */
export async function tapDelays(seconds: number): Promise<DelayValues> {
  const link = `delay ${DELAY_NS}ns`
  const { sent, received } = await tapStream({ link, datagram: DATAGRAM, bitsPerSecond: TAP_RATE * DATAGRAM * 8, seconds })
  const departures = new Map(sent.map(({ number, timeNs }) => [number, timeNs]))
  const errors = received.flatMap(({ number, timeNs }) => {
    const departure = departures.get(number)
    return departure === undefined ? [] : [timeNs - departure - DELAY_NS]
  })
  return delayValues(Float64Array.from(errors))
}
