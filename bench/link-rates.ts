/**
 * How well a link keeps the rate that it is set to when it is offered more: in memory, and through TAPs beside the kernel's token bucket (tc
 * tbf) in its place.
 */
import { LinkInMemory } from './link-in-memory.ts'
import { tapStream } from './tap-stream.ts'

export interface RateValues {
  /** Percent beyond the configured rate, without its sign. */
  readonly rateError: number
  /** Percent of the datagrams that were dropped; 23.1 are too many. */
  readonly dropped: number
  readonly frames: number
}

const OFFERED = 1.3
const HEADERS = 42
/** Frames that may wait at least, and that may leave at once. */
const LIMIT = 50
const BURST = 2
/** Of the rate, seconds that may wait: while the machine does something else, the link is not to run dry. */
const QUEUE_SECONDS = 0.05
/** A bucket that is smaller than a packet is one that tbf never lets through: iperf3 agrees with its server in packets of up to an MTU. */
const LEAST_BURST = 1514

/** Frames that may wait for a rate in frames a second. */
function queueOf(rate: number): number {
  return Math.max(LIMIT, Math.ceil(rate * QUEUE_SECONDS))
}

/** @param datagram bytes of payload */
export async function linkRate(shaper: 'netloom' | 'tbf', bitsPerSecond: number, datagram: number): Promise<RateValues> {
  const length = datagram + HEADERS
  const packets = queueOf(bitsPerSecond / (length * 8))
  // Frames to measure, and those that are left out at both ends.
  const seconds = Math.max(SECONDS, Math.ceil(((FRAMES + 4 * packets) * length * 8) / bitsPerSecond))
  const bucket = `rate ${bitsPerSecond}bit burst ${Math.max(BURST * length, LEAST_BURST)}b`
  const stream = { datagram, bitsPerSecond: (bitsPerSecond * OFFERED * datagram) / length, seconds }
  const { sent, received } = await tapStream(
    shaper === 'tbf'
      ? { ...stream, link: '', qdisc: `tbf ${bucket} limit ${packets * length}` }
      : { ...stream, link: `${bucket} limit-bytes ${packets * length}b` }
  )
  // Without the beginning, when the queue fills, and its last frames, when nobody sends any more.
  const steady = received.slice(packets * 2, -packets * 2)
  const took = steady.at(-1)!.timeNs - steady[0]!.timeNs
  const measured = ((steady.length - 1) * length * 8e9) / took
  // tbf drops before the capture at the TAP sees the datagram: by their numbers.
  const offered = Math.max(...[...sent, ...received].map(({ number }) => number))
  return {
    rateError: Math.abs(100 * (measured / bitsPerSecond - 1)),
    dropped: 100 * (1 - received.length / offered),
    frames: steady.length
  }
}

/** Seconds that are measured, and frames at least. */
const SECONDS = 2
const FRAMES = 1000

/** In memory, under the machine's clock. `length`: bytes of a frame. */
export function memoryRate(bitsPerSecond: number, length: number): RateValues {
  const rate = bitsPerSecond / (length * 8)
  const wanted = Math.max(FRAMES, Math.ceil(rate * SECONDS))
  const packets = queueOf(rate)
  let count = 0
  let first = 0
  let last = 0
  const link = new LinkInMemory({ rate: { bitsPerSecond }, queue: { packets } }, length, (_sent, now) => {
    if (count === 0) first = now
    last = now
    count++
  })
  // For the compiler, and until the queue is full.
  const warmUp = Math.max(wanted / 8, packets * 4)
  link.run(rate * OFFERED, () => count >= warmUp)
  count = 0
  const sent = link.run(rate * OFFERED, () => count > wanted)
  link.close()
  const measured = ((count - 1) * length * 8e9) / (last - first)
  return { rateError: Math.abs(100 * (measured / bitsPerSecond - 1)), dropped: 100 * (1 - count / sent), frames: count }
}
