/** Numbered frames over an emulated link in batches, and what became of each: for a million of them. */
import type { LinkSettings } from '../../../src/elements/netem/link-settings.ts'
import { netemType } from '../../../src/elements/netem/netem.ts'
import { VirtualClock } from '../../../src/engine/clock.ts'
import { readCounters } from '../../../src/engine/counters.ts'
import { type ElementContext, ElementRegistry, type ElementType } from '../../../src/engine/element.ts'
import { Engine } from '../../../src/engine/engine.ts'

export interface Outcome {
  /** How often each frame came. */
  readonly came: Uint8Array
  /** 1: it came at the time at which it was sent. */
  readonly atOnce: Uint8Array
  /** Frames that ended at the link, and copies that it made. */
  readonly dropped: number
  readonly duplicated: number
}

const BATCH = 64
const SPACING_NS = 1000

export function sendNumbered(settings: LinkSettings, count: number, seed: string): Outcome {
  const came = new Uint8Array(count)
  const atOnce = new Uint8Array(count)
  const batch = new Int32Array(BATCH)
  let sender!: ElementContext
  const type = (name: string, create: ElementType['create']): ElementType<never> =>
    ({ type: name, maxPorts: 1, counters: [], create }) as ElementType<never>
  const receive = (context: ElementContext): void => {
    const { frames, now } = context
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        const number = frames.words(frame)[frames.start[frame]! >> 2]!
        came[number]!++
        if (frames.timestamp[frame] === now) atOnce[number] = 1
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
  const clock = new VirtualClock()
  const engine = new Engine({ clock, elements: registry, seed, pool: { maxSmallChunks: 16, maxLargeChunks: 1 } })
  engine.configure({
    elements: { a: { type: 'sender' }, link: { type: 'netem', options: { forward: settings } }, b: { type: 'receiver' } },
    links: [
      { a: ['a', 0], b: ['link', 0] },
      { a: ['link', 1], b: ['b', 0] }
    ]
  })
  for (let sent = 0; sent < count; sent += BATCH) {
    clock.advanceTo(clock.now() + BATCH * SPACING_NS)
    while (engine.turn());
    const wanted = Math.min(BATCH, count - sent)
    sender.frames.allocateAll(batch, wanted, 60)
    for (let i = 0; i < wanted; i++) sender.frames.words(batch[i]!)[sender.frames.start[batch[i]!]! >> 2] = sent + i
    sender.enterAll(batch, wanted)
    sender.ports[0]!.tx.transmitAll(batch, wanted)
    while (engine.turn());
  }
  while (engine.nextDeadline < Number.POSITIVE_INFINITY) {
    clock.advanceTo(Math.max(clock.now(), engine.nextDeadline))
    while (engine.turn());
  }
  if (engine.frames.inUse > 0) throw new Error(`${engine.frames.inUse} frames were lost sight of`)
  const { counters, drops } = readCounters(engine.counters.layout()).get('link')!
  const dropped = Object.values(drops).reduce((sum, number) => sum + number, 0)
  return { came, atOnce, dropped, duplicated: counters['forward.duplicated']! }
}
