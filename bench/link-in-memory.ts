/**
 * One emulated link between two stations in memory, under the machine's clock, on an engine of this thread that does nothing else:
 * it looks at the clock without a pause, or sleeps as the engine's thread does.
 *
 *   sender: `rate` frames a second --> link --> receiver: tells of each frame, frees it
 */
import type { LinkSettings } from '../src/elements/netem/link-settings.ts'
import { netemType } from '../src/elements/netem/netem.ts'
import { RealClock } from '../src/engine/clock.ts'
import { type Element, type ElementContext, ElementRegistry, type ElementType } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
import type { WakePoller } from '../src/network/wake-poller.ts'

/** Told of a frame: when it was sent, and when it was there; nanoseconds. */
export type Arrived = (sent: number, now: number) => void

const batch = new Int32Array(64)
const SMALL_CHUNKS = 16
/** Frames that one wake-up sends, as a device has them, where the loop sleeps. */
const BURST = 50
/** Of busy ones, as the engine's thread does. */
const TURNS_PER_POLL = 4
const ready = new Int32Array(256)

export class LinkInMemory {
  private readonly clock = new RealClock()
  private readonly engine: Engine
  private readonly length: number
  private sender!: ElementContext

  /** @param length bytes of each frame */
  constructor(forward: LinkSettings, length: number, arrived: Arrived) {
    this.length = length
    const type = (name: string, create: (context: ElementContext) => Element): ElementType<never> =>
      ({ type: name, maxPorts: 1, counters: [], create }) as ElementType<never>
    const registry = new ElementRegistry().register(
      netemType as ElementType<never>,
      type('sender', (context) => {
        this.sender = context
        return { push() {} }
      }),
      type('receiver', (context) => ({ push: () => this.receive(context, arrived) }))
    )
    this.engine = new Engine({ clock: this.clock, elements: registry, seed: 1, pool: { maxSmallChunks: SMALL_CHUNKS, maxLargeChunks: 1 } })
    this.engine.configure({
      elements: { a: { type: 'sender' }, link: { type: 'netem', options: { forward } }, b: { type: 'receiver' } },
      links: [
        { a: ['a', 0], b: ['link', 0] },
        { a: ['link', 1], b: ['b', 0] }
      ]
    })
  }

  /** Sends `rate` frames a second until `isOver`, and sleeps by `poller` in between, if there is one. Returns how many. */
  run(rate: number, isOver: () => boolean, poller: WakePoller | null = null): number {
    const { clock, engine } = this
    const from = clock.now()
    let sent = 0
    let isBusy = false
    let unpolled = 0
    while (!isOver()) {
      const now = clock.now()
      const due = Math.floor(((now - from) / 1e9) * rate)
      // As the engine's thread does, which sleeps: a turn only where there is something to do.
      if (isBusy || sent < due || engine.nextDeadline <= now) isBusy = engine.turn()
      while (sent < due) {
        sent += this.send(Math.min(batch.length, due - sent))
        isBusy = engine.turn()
      }
      if (poller === null) continue
      const left = isBusy ? 0 : Math.min(engine.nextDeadline, from + ((sent + BURST) / rate) * 1e9) - clock.now()
      // Busy, it looks at its poller all the same, as the engine's thread does, which is judged there.
      if (left > 0 || ++unpolled % TURNS_PER_POLL === 0) poller.wait(ready, Math.max(0, left))
    }
    return sent
  }

  close(): void {
    this.engine.close()
  }

  private send(wanted: number): number {
    const { sender } = this
    const count = sender.frames.allocateAll(batch, wanted, this.length)
    sender.enterAll(batch, count)
    sender.ports[0]!.tx.transmitAll(batch, count)
    return count
  }

  private receive(context: ElementContext, arrived: Arrived): void {
    const now = this.clock.now()
    const { frames } = context
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        arrived(frames.timestamp[frame]!, now)
        frames.free(frame)
      }
    }
  }
}
