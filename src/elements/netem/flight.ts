/** The time that frames of one direction are on their way: delay, and those that overtake. */
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { HOLD_MAX } from '../../engine/frame-wheel.ts'
import type { Link } from '../../engine/link.ts'
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

/** A batch, and when its frames are due. */
const batch = new Int32Array(64)
const dues = new Float64Array(64)

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

  /** All that waits in `rx`. */
  admitAll(rx: Link): void {
    const { delay, reorder } = this.models
    if (delay === null || reorder !== null) {
      while (!rx.empty) this.admit(rx.receive())
      return
    }
    while (!rx.empty) {
      const count = rx.receiveAll(batch)
      delay.nextAll(dues, count)
      this.holdBatch(count)
    }
  }

  /** `batch[0..count-1]`, each as long as `dues` has it: what `depart` does. */
  private holdBatch(count: number): void {
    const { context } = this
    const { now } = context
    const { flags } = context.frames
    const longest = now + HOLD_MAX
    let held = 0
    for (let i = 0; i < count; i++) {
      const frame = batch[i]
      const due = Math.min(Math.round(now + dues[i]), longest)
      if (due <= now) {
        context.transmit(this.out, frame)
        continue
      }
      if ((flags[frame] & FrameFlag.traced) !== 0) this.traceDelay(frame, due)
      batch[held] = frame
      dues[held] = due
      held = (held + 1) | 0
    }
    this.counters.add(DirectionCounter.delayed, held)
    context.holdAll(this.out, batch, dues, held)
  }

  private traceDelay(frame: FrameHandle, due: number): void {
    this.context.trace(frame, `delayed by ${(due - this.context.now) / 1e6} ms`, due)
  }

  /** The frame left the sender at `departure`, not later than now. */
  depart(frame: FrameHandle, departure: number): void {
    const { context } = this
    // Beyond HOLD_MAX the engine keeps no frame; a jitter's tail may lead there.
    const due = Math.min(Math.round(departure + this.time()), context.now + HOLD_MAX)
    if (due <= context.now) return context.transmit(this.out, frame)
    if ((context.frames.flags[frame] & FrameFlag.traced) !== 0) this.traceDelay(frame, due)
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
