/**
 * Small elements for tests of the engine and of other elements.
 *
 *   test-port   one port; what a test sends enters the engine here, what arrives is kept as bytes
 *   source      one port; makes `count` frames of `length` bytes, `batch` a turn
 *   sink        ports 0..15; counts and frees
 *   fifo        ports 0 and 1; what comes in by one leaves by the other, at most `perPush` frames a push; may hold them back
 */
import type { Element, ElementContext, ElementType } from '../../src/engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../src/engine/frame-pool.ts'

/** What a frame has besides its bytes. */
export interface TestFrameFields {
  flags?: number
  gsoType?: number
  gsoSize?: number
  hdrLen?: number
  csumStart?: number
  csumOffset?: number
}

/** A frame that arrived. */
export interface ArrivedFrame extends Required<TestFrameFields> {
  readonly bytes: Uint8Array
  readonly ingress: number
  readonly packetId: number
  readonly timestamp: number
}

export class TestPort implements Element {
  sent = 0
  arrived: ArrivedFrame[] = []
  private readonly context: ElementContext
  private readonly waiting: { bytes: Uint8Array; fields: TestFrameFields }[] = []

  constructor(context: ElementContext) {
    this.context = context
  }

  /** Puts a frame where the next turn takes it in. */
  send(bytes: Uint8Array, fields: TestFrameFields = {}): void {
    this.waiting.push({ bytes, fields })
  }

  /** The bytes of what arrived, and forgets them. */
  take(): Uint8Array[] {
    const { arrived } = this
    this.arrived = []
    return arrived.map(({ bytes }) => bytes)
  }

  pull(): boolean {
    const { frames } = this.context
    for (const { bytes, fields } of this.waiting.splice(0)) {
      const frame = frames.allocate(bytes.length)
      if (frame === NO_FRAME) continue
      frames.bytes(frame).set(bytes, frames.start[frame])
      frames.gsoType[frame] = fields.gsoType ?? 0
      frames.gsoSize[frame] = fields.gsoSize ?? 0
      frames.hdrLen[frame] = fields.hdrLen ?? 0
      frames.csumStart[frame] = fields.csumStart ?? 0
      frames.csumOffset[frame] = fields.csumOffset ?? 0
      this.sent++
      this.context.enter(frame)
      frames.flags[frame] |= fields.flags ?? 0
      this.context.transmit(0, frame)
    }
    return false
  }

  push(): void {
    while (this.context.nextReady() >= 0) {
      const { rx } = this.context.ports[0]!
      while (!rx.empty) this.keep(rx.receive())
    }
  }

  private keep(frame: FrameHandle): void {
    const { frames } = this.context
    const at = frames.start[frame]
    this.arrived.push({
      bytes: frames.bytes(frame).slice(at, at + frames.length[frame]),
      flags: frames.flags[frame] & ~FrameFlag.traced,
      gsoType: frames.gsoType[frame],
      gsoSize: frames.gsoSize[frame],
      hdrLen: frames.hdrLen[frame],
      csumStart: frames.csumStart[frame],
      csumOffset: frames.csumOffset[frame],
      ingress: frames.ingress[frame],
      packetId: frames.packetId[frame],
      timestamp: frames.timestamp[frame]
    })
    frames.free(frame)
  }
}

export interface SourceOptions {
  readonly count: number
  readonly length?: number
  readonly batch?: number
}

export class Source implements Element {
  sent = 0
  /** Frames that could not be made because the pool was exhausted. */
  missed = 0
  closed = false
  private readonly context: ElementContext
  private options: SourceOptions

  constructor(context: ElementContext, options: SourceOptions) {
    this.context = context
    this.options = options
  }

  reconfigure(options: unknown): boolean {
    this.options = options as SourceOptions
    return true
  }

  pull(): boolean {
    const { count, length = 60, batch = 32 } = this.options
    for (let i = 0; i < batch && this.sent + this.missed < count; i++) {
      const frame = this.context.frames.allocate(length)
      if (frame === NO_FRAME) {
        this.missed++
        continue
      }
      this.sent++
      this.context.enter(frame)
      this.context.transmit(0, frame)
    }
    return this.sent + this.missed < count
  }

  push(): void {
    for (let port = this.context.nextReady(); port >= 0; port = this.context.nextReady()) {
      const { rx } = this.context.ports[port]!
      while (!rx.empty) this.context.frames.free(rx.receive())
    }
  }

  close(): void {
    this.closed = true
  }
}

export class Sink implements Element {
  received = 0
  /** Frames by port. */
  readonly byPort = new Array<number>(16).fill(0)
  portChanges = 0
  closed = false
  private readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    for (let port = this.context.nextReady(); port >= 0; port = this.context.nextReady()) {
      const { rx } = this.context.ports[port]!
      while (!rx.empty) {
        this.context.frames.free(rx.receive())
        this.received++
        this.byPort[port]++
      }
    }
    this.context.counters[0] = this.received
  }

  portsChanged(): void {
    this.portChanges++
  }

  close(): void {
    this.closed = true
  }
}

export interface FifoOptions {
  /** Frames handled in one push; default all. */
  readonly perPush?: number
  /** Keep what comes in until `release`; default false. */
  readonly hold?: boolean
}

export class Fifo implements Element {
  pushes = 0
  /** Handed to the test when the element is closed, so that it sees what was given back. */
  freedAtClose = 0
  private readonly context: ElementContext
  private readonly options: FifoOptions
  private readonly held: { frame: FrameHandle; to: number }[] = []

  constructor(context: ElementContext, options: FifoOptions = {}) {
    this.context = context
    this.options = options
  }

  push(): void {
    this.pushes++
    const { perPush = Number.POSITIVE_INFINITY, hold = false } = this.options
    let left = perPush
    for (let port = this.context.nextReady(); port >= 0; port = this.context.nextReady()) {
      const { rx } = this.context.ports[port]!
      while (!rx.empty && left > 0) {
        left--
        const frame = rx.receive()
        if (hold) this.held.push({ frame, to: 1 - port })
        else this.context.transmit(1 - port, frame)
      }
      if (rx.empty) continue
      this.context.again(port)
      return
    }
  }

  release(): void {
    for (const { frame, to } of this.held.splice(0)) this.context.transmit(to, frame)
  }

  close(): void {
    for (const { frame } of this.held.splice(0)) {
      this.context.frames.free(frame)
      this.freedAtClose++
    }
  }
}

/** Element types whose instances a test can reach by name. */
export class TestElements {
  readonly ports = new Map<string, TestPort>()
  readonly sources = new Map<string, Source>()
  readonly sinks = new Map<string, Sink>()
  readonly fifos = new Map<string, Fifo>()

  get types(): ElementType<never>[] {
    const types = [
      kind('test-port', 1, [], this.ports, (context) => new TestPort(context)),
      kind<SourceOptions, Source>('source', 1, [], this.sources, (context, options) => new Source(context, options)),
      kind('sink', 16, ['received'], this.sinks, (context) => new Sink(context)),
      kind<FifoOptions, Fifo>('fifo', 2, [], this.fifos, (context, options) => new Fifo(context, options))
    ]
    return types as ElementType<never>[]
  }
}

function kind<Options, E extends Element>(
  type: string,
  maxPorts: number,
  counters: readonly string[],
  instances: Map<string, E>,
  make: (context: ElementContext, options: Options) => E
): ElementType<Options> {
  return {
    type,
    maxPorts,
    counters,
    create(context, options) {
      const element = make(context, options)
      instances.set(context.name, element)
      return element
    }
  }
}
