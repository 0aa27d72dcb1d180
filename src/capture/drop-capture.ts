/**
 * Records dropped frames in captures, with verdict and reason: an element without ports that the engine tells of every drop.
 *
 * A frame that ends is recorded where it came in, if that is a point of the capture, else at the point before which it was dropped on its way
 * out. `points` of each capture has the interface of each point by the name of an element; `lan/web` stands for `lan/web/filter` too.
 */
import { dropReasons } from '../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import type { FrameHandle } from '../engine/frame-pool.ts'
import { type CaptureTap, type CaptureTarget, Taken, tapOf } from './capture-tap.ts'
import { Direction, TC_ACT_SHOT } from './frame-record.ts'

/** What the commands `add` (a capture, or more points of one) and `remove` take. */
export interface DropCapturePoints {
  /** The name of the engine's resource that is the capture's CaptureTarget. */
  readonly capture: string
  /** Interface numbers by names of elements. */
  readonly points: Readonly<Record<string, number>>
}

/** One capture. */
class DropPlace {
  readonly tap: CaptureTap
  private readonly points = new Map<string, number>()
  /** What was found for names of elements, -1 for none; forgotten when points come. */
  private readonly found = new Map<string, number>()

  constructor(tap: CaptureTap) {
    this.tap = tap
  }

  add(points: Readonly<Record<string, number>>): void {
    for (const [name, number] of Object.entries(points)) this.points.set(name, number)
    this.found.clear()
  }

  /** The interface of exactly this element, or -1. */
  at(element: string): number {
    return this.points.get(element) ?? -1
  }

  /** That of the point to which the element belongs, or -1. */
  around(element: string): number {
    let number = this.found.get(element)
    if (number === undefined) {
      number = this.search(element)
      this.found.set(element, number)
    }
    return number
  }

  private search(element: string): number {
    for (let end = element.length; end > 0; end = element.lastIndexOf('/', end - 1)) {
      const number = this.points.get(element.slice(0, end))
      if (number !== undefined) return number
    }
    return -1
  }
}

export class DropCapture implements Element {
  private readonly context: ElementContext
  private readonly places = new Map<string, DropPlace>()

  constructor(context: ElementContext) {
    this.context = context
    context.watchDrops((frame, reason, element, ingress) => this.dropped(frame, reason, element, ingress))
  }

  /** After drops: what was recorded can be written. */
  push(): void {
    for (const { tap } of this.places.values()) tap.sink.publish()
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    const { capture, points } = argument as DropCapturePoints
    if (verb === 'add') {
      const target = this.context.resource(capture) as CaptureTarget | undefined
      if (target === undefined) return reply(new Error(`there is no capture '${capture}'`))
      let place = this.places.get(capture)
      if (place === undefined) this.places.set(capture, (place = new DropPlace(tapOf(target))))
      place.add(points)
    } else if (verb === 'remove') this.places.delete(capture)
    else return reply(new Error(`'${verb}' is no command of a drop capture: add, remove`))
    reply(null)
  }

  close(): void {
    this.context.watchDrops(null)
  }

  private dropped(frame: FrameHandle, reason: number, element: string, ingress: string): void {
    const { context } = this
    const counters = context.counters
    for (const place of this.places.values()) {
      let direction: number = Direction.inbound
      let number = place.at(ingress)
      if (number < 0) {
        direction = Direction.outbound
        number = place.around(element)
      }
      if (number < 0) continue
      const { name, text } = dropReasons()[reason]
      const comment = `dropped at ${element}: ${name}: ${text}`
      const taken = place.tap.record(context.frames, frame, context.now, number, direction, TC_ACT_SHOT, comment)
      counters[taken === Taken.recorded ? 0 : taken === Taken.dropped ? 1 : 2]++
      context.schedule()
    }
  }
}

export const dropCapture: ElementType = {
  type: 'capture-drops',
  maxPorts: 0,
  counters: ['captured', 'dropped', 'refused'],
  create: (context) => new DropCapture(context)
}
