/** A part of the way over a link. */
import type { FrameHandle } from '../../engine/frame-pool.ts'

export interface LinkStage {
  /** Owns the frame: hands on what becomes of it, now or later, or drops it. */
  admit(frame: FrameHandle): void
}
