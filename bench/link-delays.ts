/**
 * How well emulated links keep the delay that they are set to: what frames took beyond it, in memory at a million a second and through
 * TAPs at twenty thousand. Beside each what is there without a link: how long the machine stops a loop that does nothing but look at the
 * clock, and what the path through the TAPs takes by itself.
 */
import { RealClock } from '../src/engine/clock.ts'
import { loadNative } from '../src/io/load-native.ts'
import { RealtimePoller } from '../src/network/realtime-poller.ts'
import { createPoller, createWake, type WakePoller } from '../src/network/wake-poller.ts'
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

/** Under the machine's clock, which the loop looks at without a pause; `realtime`: it sleeps as the engine's real-time thread does. */
export function memoryDelays(seconds: number, realtime: boolean): DelayValues {
  const errors = new Float64Array(seconds * MEMORY_RATE)
  let count = 0
  const link = new LinkInMemory({ delay: { meanNs: DELAY_NS } }, LENGTH, (sent, now) => {
    if (count < errors.length) errors[count] = now - sent - DELAY_NS
    count++
  })
  const poller = realtime ? realtimePoller() : null
  link.run(MEMORY_RATE, () => count >= errors.length / 2, poller) // for the compiler
  count = 0
  link.run(MEMORY_RATE, () => count >= errors.length, poller)
  link.close()
  poller?.close()
  return delayValues(errors)
}

/** Of this thread, until its process ends. */
function realtimePoller(): WakePoller {
  const native = loadNative()
  return new RealtimePoller(createPoller(createWake(native), native), native, new RealClock())
}

/** As if a frame were due each microsecond: how late a loop sees each of these times come. */
export function clockDelays(seconds: number): DelayValues {
  const errors = new Float64Array(seconds * MEMORY_RATE)
  const spacing = 1e9 / MEMORY_RATE
  const clock = new RealClock()
  const watch = (): void => {
    const start = clock.now()
    for (let count = 0; count < errors.length; ) {
      const now = clock.now()
      for (let due = start + count * spacing; due <= now && count < errors.length; due += spacing) errors[count++] = now - due
    }
  }
  watch() // for the compiler
  watch()
  return delayValues(errors)
}

const TAP_RATE = 20_000
const DATAGRAM = 64
/** Seconds. */
const WARM_UP = 1

export interface TapDelayTrial {
  /** False: over a link that nobody has shaped. */
  readonly isShaped: boolean
  /** The engine's thread runs before ordinary ones. */
  readonly realtime: boolean
}

/** Between two namespaces, after a second of the same traffic. */
export async function tapDelays(seconds: number, { isShaped, realtime }: TapDelayTrial): Promise<DelayValues> {
  const delay = isShaped ? DELAY_NS : 0
  const link = isShaped ? `delay ${DELAY_NS}ns` : ''
  const bitsPerSecond = TAP_RATE * DATAGRAM * 8
  const { sent, received } = await tapStream({ link, datagram: DATAGRAM, bitsPerSecond, seconds: WARM_UP + seconds, realtime })
  // What is sent while the engine's code is compiled waits for the compiler, and for the collection that follows.
  const departures = new Map(sent.filter(({ timeNs }) => timeNs >= WARM_UP * 1e9).map(({ number, timeNs }) => [number, timeNs]))
  const errors = received.flatMap(({ number, timeNs }) => {
    const departure = departures.get(number)
    return departure === undefined ? [] : [timeNs - departure - delay]
  })
  return delayValues(Float64Array.from(errors))
}
