/**
 * The walk of chosen frames: which element did what, when. Off, it costs a look per entering frame and one per push.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'

export interface TraceStep {
  /** Names the frame through all rewrites. */
  readonly packetId: number
  /** Nanoseconds since the engine's start. */
  readonly time: number
  readonly element: string
  readonly text: string
  /** Bytes of the frame at this step. */
  readonly length: number
}

/** Steps kept at most: a traced flood ends here and not in memory. */
const STEPS_MAX = 100_000

export class Tracer {
  /** True while frames may be followed: the engine then notes at which elements they arrive. */
  active = false
  private budget = 0
  private steps: TraceStep[] = []
  private filter: ((frames: FramePool, frame: FrameHandle) => boolean) | null = null

  /** Follows the next `count` frames that enter and match. */
  start(count: number, filter: ((frames: FramePool, frame: FrameHandle) => boolean) | null = null): void {
    this.budget = count
    this.active = count > 0
    this.filter = filter
  }

  /** True when this entering frame is to be followed; takes one from the budget. */
  wants(frames: FramePool, frame: FrameHandle): boolean {
    if (this.budget === 0) return false
    if (this.filter !== null && !this.filter(frames, frame)) return false
    this.budget--
    return true
  }

  record(frames: FramePool, frame: FrameHandle, time: number, element: string, text: string): void {
    if (this.steps.length >= STEPS_MAX) return
    this.steps.push({ packetId: frames.packetId[frame], time, element, text, length: frames.length[frame] })
  }

  /** The steps so far, oldest first, and forgets them; with all frames found, the tracing ends. */
  drain(): TraceStep[] {
    const steps = this.steps
    this.steps = []
    this.active = this.budget > 0
    return steps
  }
}
