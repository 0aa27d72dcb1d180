/**
 * Copies frames into a capture on their way between a device and the network; every frame passes unchanged.
 *
 *   device  --> port 0 rx | copy: always                               | port 1 tx --> network
 *   device <--  port 0 tx | copy: what no capture has, or `everyPort`  | port 1 rx <-- network
 *
 * Each distinct content is recorded once: at ingress (every frame that enters by port 0), and where it first leaves when it
 * was made or rewritten inside the network (FrameFlag.captured is clear). Direction is seen from the network: inbound is
 * from the endpoint, outbound is to it.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool } from '../engine/frame-pool.ts'
import type { Port } from '../engine/link.ts'
import { CaptureRingProducer } from './capture-ring.ts'
import { type CaptureSink, Direction, FrameRecord, Reception } from './frame-record.ts'
import { DEFAULT_SNAP_LENGTH } from './pcapng-writer.ts'

/** Copies go to `sink` (an engine of the same thread) or to `ring` (any thread); nothing is recorded with neither. */
export interface CaptureTarget {
  readonly sink?: CaptureSink
  /** The ring and snap length of a `CaptureFile`. */
  readonly ring?: SharedArrayBuffer
  readonly snapLength?: number
}

export interface CaptureElementOptions extends CaptureTarget {
  /** The name of an engine's resource that is a CaptureTarget; instead of `sink` and `ring`, so that the options are plain data. */
  readonly resource?: string
  /** What `addInterface` gave; default 0. */
  readonly interface?: number
  /** Record everything that leaves by port 0 as well; default false. */
  readonly everyPort?: boolean
}

const COUNTERS = ['frames', 'captured', 'dropped', 'bytes'] as const

export class CaptureElement implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private readonly copy = new FrameRecord()
  private sink: CaptureSink | null = null
  private everyPort = false

  constructor(context: ElementContext, options: CaptureElementOptions = {}) {
    this.context = context
    this.frames = context.frames
    this.ports = context.ports
    this.start(options)
  }

  push(): void {
    const { context, sink } = this
    let received = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = this.ports[port]!
      received += rx.size
      if (sink === null) {
        while (!rx.empty) context.transmit(1 - port, rx.receive())
        continue
      }
      const always = port === 0 || this.everyPort
      while (!rx.empty) {
        const frame = rx.receive()
        if (always || (this.frames.flags[frame] & FrameFlag.captured) === 0) this.record(sink, frame, port)
        context.transmit(1 - port, frame)
      }
    }
    context.counters[0] += received
    sink?.publish()
  }

  private record(sink: CaptureSink, frame: FrameHandle, port: number): void {
    const { frames, copy } = this
    const { counters } = this.context
    const length = frames.length[frame]
    const flags = frames.flags[frame]
    const at = frames.start[frame]
    const bytes = frames.bytes(frame)
    copy.timestamp = this.context.now
    copy.flags = (port === 0 ? Direction.inbound : Direction.outbound) | receptionOf(bytes, at)
    copy.packetId = frames.packetId[frame]
    copy.checksum = (flags & FrameFlag.csum) === 0 ? 0 : (frames.csumStart[frame] << 16) | frames.csumOffset[frame]
    copy.bytes = bytes
    copy.at = at
    copy.captured = Math.min(length, sink.snapLength)
    copy.original = length
    frames.flags[frame] = flags | FrameFlag.captured
    if (sink.record(copy)) {
      counters[1]++
      counters[3] += copy.captured
    } else counters[2]++
  }

  reconfigure(options: Plain): boolean {
    this.start((options ?? {}) as CaptureElementOptions)
    return true
  }

  /** `start` takes CaptureElementOptions, `stop` nothing: once it is answered, the capture can be closed. */
  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb === 'start') this.start(argument as CaptureElementOptions)
    else if (verb === 'stop') this.start({})
    else return reply(new Error(`a capture element knows the commands start and stop, not '${verb}'`))
    reply(null)
  }

  private start(options: CaptureElementOptions): void {
    const target = options.resource === undefined ? options : ((this.context.resource(options.resource) ?? {}) as CaptureTarget)
    const { sink = null, ring, snapLength = DEFAULT_SNAP_LENGTH } = target
    this.sink = ring === undefined ? sink : new CaptureRingProducer(ring, snapLength)
    this.copy.port = options.interface ?? 0
    this.everyPort = options.everyPort ?? false
  }
}

/** From the destination address. */
function receptionOf(bytes: Uint8Array, at: number): number {
  if ((bytes[at] & 1) === 0) return Reception.unicast
  for (let byte = at; byte < at + 6; byte++) if (bytes[byte] !== 0xff) return Reception.multicast
  return Reception.broadcast
}

export const captureElement: ElementType<CaptureElementOptions> = {
  type: 'capture',
  maxPorts: 2,
  counters: COUNTERS,
  create: (context, options) => new CaptureElement(context, options)
}
