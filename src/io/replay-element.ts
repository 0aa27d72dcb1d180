/**
 * A replay at its place in the graph, in one of two ways:
 *
 *   as an endpoint   batches -> | replay | 0 --> whatever it is plugged into; what comes back ends here
 *   into a port      batches -> | replay |   --> the link by which another element's port 0 sends
 *
 * Frames come in as from any device: stamped, and counted where they are dropped. Into a port they take the way of what that element
 * itself sends, from there on. The element is then called after the other one: `lan/web/replay-1` plays as `lan/web`.
 *
 * Played as fast as possible, it waits for the engine: no more than WINDOW frames are to be under way. Played at any pace, it waits while
 * the pool is scarce.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import { FrameFlag } from '../engine/frame-pool.ts'
import type { Port } from '../engine/link.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { BATCH } from './frame-device.ts'
import type { ReplayBatch } from './replay-batch.ts'
import { ReplayDevice } from './replay-device.ts'

export interface ReplayElementOptions {
  /** Default: into the port of the element whose name this one's begins with. */
  readonly isEndpoint?: boolean
  /** Default true: each frame when it is due. False: as soon as there is room. */
  readonly paced?: boolean
  /** Longest packet, bytes; longer TCP packets come in as super-frames. Default 1500. */
  readonly mtu?: number
  /** UDP port of VXLAN, where frames are outer ones: see ReplayOptions. */
  readonly vxlanPort?: number
  /** Engine time of the start, nanoseconds; by default when the first batch comes. */
  readonly startNs?: number
}

/** As those of a device; `txFrames` and `txBytes` are what came back to an endpoint. */
export const REPLAY_COUNTERS = ['rxFrames', 'rxBytes', 'txFrames', 'txBytes', 'rxTruncated', 'rxNoBuffer'] as const

const RX_FRAMES = 0
const RX_BYTES = 1
const TX_FRAMES = 2
const TX_BYTES = 3
const RX_TRUNCATED = 4
const RX_NO_BUFFER = 5

/** Frames under way in the whole engine beyond which an unpaced replay waits: half of a link. */
const WINDOW = 512
/** After how long it looks again, nanoseconds. */
const RETRY_NS = 20_000
/** How long it waits at most for others' frames to go, as long as the pool has room: a shaped link may hold thousands for ever. */
const PATIENCE_NS = 1_000_000

export class ReplayElement implements Element {
  private readonly context: ElementContext
  private readonly device: ReplayDevice
  private readonly paced: boolean
  /** null: it is an endpoint. */
  private readonly target: string | null
  private readonly incoming = new Int32Array(BATCH)
  private readonly timer: Timer
  private waitingSince = Number.NaN

  constructor(context: ElementContext, options: ReplayElementOptions = {}) {
    const { isEndpoint = false, paced = true, mtu, vxlanPort, startNs } = options
    this.context = context
    this.paced = paced
    this.target = isEndpoint ? null : context.name.slice(0, context.name.lastIndexOf('/'))
    this.device = new ReplayDevice(context.frames, {
      name: context.name,
      ...(mtu !== undefined && { mtu }),
      ...(vxlanPort !== undefined && { vxlanPort }),
      ...(startNs !== undefined && { startNs })
    })
    this.timer = context.timer(() => this.play())
  }

  /** `play` takes a ReplayBatch and is answered when its last frame has come in: true, or false when the replay ended before. */
  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb !== 'play') return reply(new Error(`a replay knows the command play, not '${verb}'`))
    if (!this.device.alive) return reply(null, false)
    this.device.feed(argument as ReplayBatch, this.context.now, () => reply(null, this.device.alive))
    this.arm()
  }

  /** What others send to an endpoint ends here: nobody listens. */
  push(): void {
    const { context } = this
    const { frames, counters } = context
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      counters[TX_FRAMES] += rx.size
      while (!rx.empty) {
        const frame = rx.receive()
        counters[TX_BYTES] += frames.length[frame]
        if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, 'end at a replay')
        frames.free(frame)
      }
    }
  }

  close(): void {
    this.device.close()
  }

  private play(): void {
    const { context, device, incoming } = this
    const { counters, frames, now } = context
    const port = this.port()
    // Whom it plays as has gone.
    if (port === null && this.target !== null) return device.close()
    if (!this.hasRoom(now)) return this.timer.arm(now + RETRY_NS)
    this.waitingSince = Number.NaN
    const count = device.read(incoming, Math.min(BATCH, port?.tx.space ?? 0), now)
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += frames.length[incoming[i]]
    context.enterAll(incoming, count)
    port?.tx.transmitAll(incoming, count)
    counters[RX_FRAMES] += count
    counters[RX_BYTES] += bytes
    counters[RX_TRUNCATED] = device.counters.rxTruncated
    counters[RX_NO_BUFFER] = device.counters.rxNoBuffer
    // A full link is emptied within this turn, or is looked at again.
    if (count === 0 && device.nextDue <= now) this.timer.arm(now + RETRY_NS)
    else this.arm()
  }

  private port(): Port | null {
    return this.target === null ? (this.context.ports[0] ?? null) : this.context.portOf(this.target, 0)
  }

  private hasRoom(now: number): boolean {
    const { frames } = this.context
    if (frames.isScarce) return false
    if (this.paced || frames.inUse <= WINDOW) return true
    if (Number.isNaN(this.waitingSince)) this.waitingSince = now
    return now - this.waitingSince >= PATIENCE_NS
  }

  private arm(): void {
    const { nextDue } = this.device
    if (Number.isFinite(nextDue) && !(this.timer.armed && this.timer.at <= nextDue)) this.timer.arm(nextDue)
  }
}

export const replayElement: ElementType<ReplayElementOptions> = {
  type: 'replay',
  maxPorts: 1,
  counters: REPLAY_COUNTERS,
  create: (context, options) => new ReplayElement(context, options)
}
