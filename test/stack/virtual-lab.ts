/**
 * An engine under a virtual clock for tests of hosts and services: links, loss, a recorder of frames, commands as promises.
 */
import { VirtualClock } from '../../src/engine/clock.ts'
import { readCounters } from '../../src/engine/counters.ts'
import { declareDrops } from '../../src/engine/drop-reason.ts'
import { type Element, type ElementContext, ElementRegistry, type ElementType, type Plain } from '../../src/engine/element.ts'
import { Engine } from '../../src/engine/engine.ts'
import type { FrameHandle } from '../../src/engine/frame-pool.ts'
import type { Topology } from '../../src/engine/topology.ts'

const TestDrop = declareDrops('test', { lost: 'The test lost it on purpose.', sunk: 'The test has seen it.' })

export interface WireOptions {
  /** Share of frames that are lost, 0 to 1. */
  readonly loss?: number
  /** Share of frames that come twice. */
  readonly repeat?: number
  readonly delayNs?: number
}

/** A cable with loss, repeats and delay. */
class Wire implements Element {
  private readonly context: ElementContext
  private readonly options: WireOptions
  private readonly held: { readonly frame: FrameHandle; readonly port: number; readonly at: number }[] = []
  private readonly timer

  constructor(context: ElementContext, options: WireOptions) {
    this.context = context
    this.options = options
    this.timer = context.timer((now) => this.release(now))
  }

  push(): void {
    const { context, options } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const frame = rx.receive()
        if (options.loss !== undefined && context.random.next() < options.loss) {
          context.drop(frame, TestDrop.lost)
          continue
        }
        if (options.repeat !== undefined && context.random.next() < options.repeat) this.forward(context.frames.copy(frame), 1 - port)
        this.forward(frame, 1 - port)
      }
    }
  }

  private forward(frame: FrameHandle, port: number): void {
    const delay = this.options.delayNs ?? 0
    if (delay === 0) return this.context.transmit(port, frame)
    const at = this.context.now + delay
    this.held.push({ frame, port, at })
    if (!this.timer.armed) this.timer.arm(at)
  }

  private release(now: number): void {
    while (this.held.length > 0 && this.held[0].at <= now) {
      const { frame, port } = this.held.shift()!
      this.context.transmit(port, frame)
    }
    if (this.held.length > 0) this.timer.arm(this.held[0].at)
  }

  close(): void {
    for (const { frame } of this.held) this.context.frames.free(frame)
  }
}

export const wireType: ElementType<WireOptions> = {
  type: 'wire',
  maxPorts: 2,
  counters: [],
  create: (context, options) => new Wire(context, options ?? {})
}

/** A port by hand: frames are put in by `inject`, and what comes out is kept as bytes. */
export class Probe implements Element {
  readonly context: ElementContext
  readonly frames: Uint8Array[] = []

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const frame = rx.receive()
        const start = context.frames.start[frame]
        this.frames.push(context.frames.bytes(frame).slice(start, start + context.frames.length[frame]))
        context.drop(frame, TestDrop.sunk)
      }
    }
  }

  /** Sends a frame with these bytes; `mark` may set flags and offload fields. */
  inject(bytes: Uint8Array, port = 0, mark?: (frame: FrameHandle) => void): void {
    const { frames } = this.context
    const frame = frames.allocate(bytes.length)
    frames.bytes(frame).set(bytes, frames.start[frame])
    mark?.(frame)
    this.context.enter(frame)
    this.context.transmit(port, frame)
  }

  /** What came since the last call. */
  take(): Uint8Array[] {
    return this.frames.splice(0)
  }
}

export class VirtualLab {
  readonly clock = new VirtualClock()
  readonly engine: Engine
  readonly events: { readonly element: string; readonly event: Plain }[] = []
  readonly probes = new Map<string, Probe>()

  constructor(topology: Topology, types: readonly ElementType<never>[], seed: number | string = 1) {
    const probeType: ElementType = {
      type: 'probe',
      maxPorts: 4096,
      counters: [],
      create: (context) => {
        const probe = new Probe(context)
        this.probes.set(context.name, probe)
        return probe
      }
    }
    this.engine = new Engine({
      clock: this.clock,
      elements: new ElementRegistry().register(wireType as ElementType<never>, probeType as ElementType<never>, ...types),
      seed,
      pool: { checked: true, maxSmallChunks: 2, maxLargeChunks: 2 },
      onEvent: (element, event) => this.events.push({ element, event })
    })
    this.engine.configure(topology)
  }

  probe(name: string): Probe {
    return this.probes.get(name)!
  }

  /** Frames that ended in an element, by reason; only reasons that occurred. */
  drops(element: string): Record<string, number> {
    return readCounters(this.engine.counters.layout()).get(element)!.drops
  }

  /** An element's own counters, by name. */
  counters(element: string): Record<string, number> {
    return readCounters(this.engine.counters.layout()).get(element)!.counters
  }

  /** Lets everything that is due now happen. */
  settle(): void {
    while (this.engine.turn());
  }

  /** Moves the clock on by `ms`, stopping at every timer. */
  run(ms: number): void {
    const end = this.clock.now() + ms * 1e6
    this.settle()
    while (this.engine.nextDeadline <= end) {
      this.clock.advanceTo(Math.max(this.clock.now(), this.engine.nextDeadline))
      this.settle()
    }
    this.clock.advanceTo(end)
    this.settle()
  }

  /** Gives a command and moves the clock on until it is answered, at most `ms`. Throws what the command answers as an error. */
  command<T>(element: string, verb: string, argument: Plain, ms = 60_000): T {
    let answer: { error: Error | null; value?: Plain } | null = null
    this.engine.command(element, verb, argument, (error, value) => {
      if (answer !== null) throw new Error(`${verb} was answered twice`)
      answer = { error, value }
    })
    const end = this.clock.now() + ms * 1e6
    this.settle()
    while (answer === null && this.engine.nextDeadline <= end) {
      this.clock.advanceTo(Math.max(this.clock.now(), this.engine.nextDeadline))
      this.settle()
    }
    if (answer === null) throw new Error(`${verb} was not answered within ${ms} ms`)
    const { error, value } = answer as { error: Error | null; value?: Plain }
    if (error !== null) throw error
    return value as T
  }
}

/** Two elements and a wire between their ports 0. */
export function pair(a: Topology['elements'][string], b: Topology['elements'][string], wire: WireOptions = {}): Topology {
  return {
    elements: { a, b, wire: { type: 'wire', options: wire } },
    links: [
      { a: ['a', 0], b: ['wire', 0] },
      { a: ['b', 0], b: ['wire', 1] }
    ]
  }
}
