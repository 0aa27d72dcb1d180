/** An emulated link between two stations that note when each frame comes. */
import { type NetemOptions, netemType } from '../../../src/elements/netem/netem.ts'
import type { Element, ElementContext, ElementType } from '../../../src/engine/element.ts'
import type { FrameHandle } from '../../../src/engine/frame-pool.ts'
import { TestBench } from '../../engine/test-bench.ts'

export interface Arrival {
  /** Nanoseconds: when it was sent, and when it came. */
  readonly sent: number
  readonly at: number
  readonly length: number
  /** The first four bytes behind the Ethernet header. */
  readonly number: number
  readonly bytes: Uint8Array
  readonly flags: number
  readonly gsoSize: number
}

class Station implements Element {
  readonly context: ElementContext
  readonly arrivals: Arrival[] = []

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { frames, now } = this.context
    while (this.context.nextReady() >= 0) {
      const { rx } = this.context.ports[0]!
      while (!rx.empty) {
        const frame = rx.receive()
        const at = frames.start[frame]
        const length = frames.length[frame]
        this.arrivals.push({
          sent: frames.timestamp[frame],
          at: now,
          length,
          number: length >= 18 ? frames.view(frame).getInt32(at + 14) : -1,
          bytes: frames.bytes(frame).slice(at, at + length),
          flags: frames.flags[frame],
          gsoSize: frames.gsoSize[frame]
        })
        frames.free(frame)
      }
    }
  }
}

export class NetemBench extends TestBench {
  private readonly stations: Map<string, Station>

  constructor(options: NetemOptions, seed: number | string = 1) {
    const stations = new Map<string, Station>()
    const station: ElementType = {
      type: 'station',
      maxPorts: 1,
      counters: [],
      create: (context) => {
        const made = new Station(context)
        stations.set(context.name, made)
        return made
      }
    }
    super({ types: [netemType as ElementType<never>, station as ElementType<never>], seed, pool: { maxSmallChunks: 16 } })
    this.stations = stations
    this.set(options)
  }

  set(options: NetemOptions): void {
    this.configure({ link: { type: 'netem', options }, a: { type: 'station' }, b: { type: 'station' } }, [
      { a: ['a', 0], b: ['link', 0] },
      { a: ['link', 1], b: ['b', 0] }
    ])
  }

  /** One frame of `length` bytes, numbered; no IP. */
  send(length = 64, number = 0, from = 'a'): FrameHandle {
    const { context } = this.stations.get(from)!
    const { frames } = context
    const frame = frames.allocate(length)
    frames.bytes(frame).fill(0, frames.start[frame], frames.start[frame] + length)
    frames.view(frame).setUint16(frames.start[frame] + 12, 0x88b5)
    if (length >= 18) frames.view(frame).setInt32(frames.start[frame] + 14, number)
    return this.enter(frame, from)
  }

  /** A frame that the caller made. */
  enter(frame: FrameHandle, from = 'a'): FrameHandle {
    const { context } = this.stations.get(from)!
    context.enter(frame)
    context.transmit(0, frame)
    return frame
  }

  /** `count` frames, one every `spacingNs`; runs until nothing is under way for `restSeconds`. */
  stream(count: number, spacingNs: number, length = 64, restSeconds = 30): Arrival[] {
    const start = this.clock.now()
    for (let i = 0; i < count; i++) {
      this.runTo(start + i * spacingNs)
      this.send(length, i)
      this.run()
    }
    this.advance(restSeconds)
    return this.take()
  }

  /** Moves the time on, timer by timer. */
  runTo(end: number): void {
    while (this.engine.nextDeadline < end) {
      this.clock.advanceTo(this.engine.nextDeadline)
      this.run()
    }
    if (end > this.clock.now()) this.clock.advanceTo(end)
    this.run()
  }

  /** What came to `at` since the last call. */
  take(at = 'b'): Arrival[] {
    return this.stations.get(at)!.arrivals.splice(0)
  }

  /** Frames that ended at the link, by reason. */
  drops(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.counters('link').drops).filter(([, count]) => count > 0))
  }
}
