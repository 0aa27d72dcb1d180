/**
 * Copies frames into captures on their way between a device and the network; every frame passes unchanged.
 *
 *   device  --> port 0 rx | copy what no capture of the same points has | port 1 tx --> network
 *   device <--  port 0 tx |                                             | port 1 rx <-- network
 *
 * Several captures may be at one element, each with a filter of its own. Each content of a frame is recorded once: where it enters,
 * and where it first passes a point of the capture after it was made or rewritten. The note of that is one of the bits of
 * FrameFlag.captured; captures of the same points share a bit, and who rewrites a frame clears them all. Direction is seen from the
 * network: inbound is from the device, outbound is to it.
 */

import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import type { FramePool } from '../engine/frame-pool.ts'
import { FrameFlag } from '../engine/frame-pool.ts'
import type { Port } from '../engine/link.ts'
import { type CaptureTap, type CaptureTarget, directionOf, Taken, tapOf } from './capture-tap.ts'

/** One capture at this element. */
export interface CapturePlace {
  /** The capture itself, or the name of an engine's resource that is it, so that the options are plain data. */
  readonly target: CaptureTarget | string
  /** What `addInterface` gave; default 0. */
  readonly interface?: number
  /** The bit of FrameFlag.captured by which it knows what it has; 0, the default: it records every frame that passes. */
  readonly mark?: number
}

export interface CaptureElementOptions {
  /** None: frames only pass. */
  readonly places?: readonly CapturePlace[]
}

const COUNTERS = ['frames', 'captured', 'dropped', 'bytes', 'refused'] as const
const Counter = { frames: 0, captured: 1, dropped: 2, bytes: 3, refused: 4 } as const

interface Place {
  readonly tap: CaptureTap
  readonly interface: number
  readonly mark: number
}

export class CaptureElement implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private places: readonly Place[] = []

  constructor(context: ElementContext, options: CaptureElementOptions = {}) {
    this.context = context
    this.frames = context.frames
    this.ports = context.ports
    this.start(options)
  }

  push(): void {
    const { context, places } = this
    let received = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = this.ports[port]!
      received += rx.size
      while (!rx.empty) {
        const frame = rx.receive()
        // As it came: captures of the same points share a mark.
        const marks = this.frames.flags[frame]
        for (let i = 0; i < places.length; i++) if ((marks & places[i].mark) === 0) this.record(places[i], frame, port)
        context.transmit(1 - port, frame)
      }
    }
    context.counters[Counter.frames] += received
    for (let i = 0; i < places.length; i++) places[i].tap.sink.publish()
  }

  private record({ tap, mark, interface: number }: Place, frame: number, port: number): void {
    const { frames, context } = this
    const { counters } = context
    frames.flags[frame] |= mark
    const taken = tap.record(frames, frame, context.now, number, directionOf(port))
    if (taken === Taken.recorded) {
      counters[Counter.captured]++
      counters[Counter.bytes] += tap.captured
      if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, 'captured')
    } else counters[taken === Taken.dropped ? Counter.dropped : Counter.refused]++
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

  private start({ places = [] }: CaptureElementOptions): void {
    this.places = places.flatMap(({ target, interface: number = 0, mark = 0 }) => {
      const found = typeof target === 'string' ? (this.context.resource(target) as CaptureTarget | undefined) : target
      // A capture that ended meanwhile.
      return found === undefined ? [] : [{ tap: tapOf(found), interface: number, mark }]
    })
  }
}

export const captureElement: ElementType<CaptureElementOptions> = {
  type: 'capture',
  maxPorts: 2,
  counters: COUNTERS,
  create: (context, options) => new CaptureElement(context, options)
}
