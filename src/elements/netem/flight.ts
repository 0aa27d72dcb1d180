/** The time that frames of one direction are on their way: delay, and those that overtake. */
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { HOLD_MAX } from '../../engine/frame-wheel.ts'
import type { Chance } from './chance.ts'
import type { DelayModel } from './delay-model.ts'
import { DirectionCounter, type DirectionCounters } from './direction-counters.ts'
import type { LinkStage } from './link-stage.ts'

/** null: no delay; nobody overtakes. */
export interface FlightModels {
  readonly delay: DelayModel | null
  readonly reorder: Chance | null
  /** Only every gap-th frame may overtake. */
  readonly gap: number
}

export class Flight implements LinkStage {
  private readonly context: ElementContext
  private readonly counters: DirectionCounters
  /** The port by which frames leave. */
  private readonly out: number
  private readonly models: FlightModels
  /** Frames since one overtook. */
  private sinceReorder = 0

  constructor(context: ElementContext, counters: DirectionCounters, out: number, models: FlightModels) {
    this.context = context
    this.counters = counters
    this.out = out
    this.models = models
  }

  admit(frame: FrameHandle): void {
    this.depart(frame, this.context.now)
  }

  /** The frame left the sender at `departure`, not later than now. */
  depart(frame: FrameHandle, departure: number): void {
    const { context } = this
    // Beyond HOLD_MAX the engine keeps no frame; a jitter's tail may lead there.
    const due = Math.min(Math.round(departure + this.time()), context.now + HOLD_MAX)
    if (due <= context.now) return context.transmit(this.out, frame)
    if ((context.frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `delayed by ${(due - context.now) / 1e6} ms`, due)
    this.counters.add(DirectionCounter.delayed, 1)
    context.hold(this.out, frame, due)
  }

  private time(): number {
    const { delay, reorder, gap } = this.models
    if (delay === null) return 0
    if (reorder !== null && this.sinceReorder >= gap - 1 && reorder.next()) {
      this.sinceReorder = 0
      this.counters.add(DirectionCounter.reordered, 1)
      return 0
    }
    this.sinceReorder++
    return delay.next()
  }
}
