/**
 * How well emulated links keep the delay that they are set to: what frames took beyond it, in memory at a million a second and through
 * TAPs at twenty thousand.
 */
import { netemType } from '../src/elements/netem/netem.ts'
import { RealClock } from '../src/engine/clock.ts'
import { type Element, type ElementContext, ElementRegistry, type ElementType } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
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
const batch = new Int32Array(64)

/** Under the machine's clock, on an engine of this thread that does nothing else. */
export function memoryDelays(seconds: number): DelayValues {
  const clock = new RealClock()
  const errors = new Float64Array(seconds * MEMORY_RATE)
  let arrived = 0
  let sender!: ElementContext
  const type = (name: string, create: (context: ElementContext) => Element): ElementType<never> =>
    ({ type: name, maxPorts: 1, counters: [], create }) as ElementType<never>
  const receive = (context: ElementContext): void => {
    const now = clock.now()
    const { frames } = context
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        if (arrived < errors.length) errors[arrived++] = now - frames.timestamp[frame]! - DELAY_NS
        frames.free(frame)
      }
    }
  }
  const registry = new ElementRegistry().register(
    netemType as ElementType<never>,
    type('sender', (context) => {
      sender = context
      return { push() {} }
    }),
    type('receiver', (context) => ({ push: () => receive(context) }))
  )
  const engine = new Engine({ clock, elements: registry, seed: 1, pool: { maxSmallChunks: 16, maxLargeChunks: 1 } })
  engine.configure({
    elements: {
      a: { type: 'sender' },
      link: { type: 'netem', options: { forward: { delay: { meanNs: DELAY_NS } } } },
      b: { type: 'receiver' }
    },
    links: [
      { a: ['a', 0], b: ['link', 0] },
      { a: ['link', 1], b: ['b', 0] }
    ]
  })
  const run = (frames: number): void => {
    const from = clock.now()
    arrived = 0
    for (let sent = 0; arrived < frames; ) {
      const due = Math.floor(((clock.now() - from) / 1e9) * MEMORY_RATE)
      engine.turn()
      while (sent < due) {
        const count = sender.frames.allocateAll(batch, Math.min(batch.length, due - sent), 64)
        sender.enterAll(batch, count)
        sender.ports[0]!.tx.transmitAll(batch, count)
        sent += count
        engine.turn()
      }
    }
  }
  run(errors.length / 2) // for the compiler
  run(errors.length)
  engine.close()
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
