/** What POST /netloom/trace takes, and what each line of its answer is. */
export type { FrameWalk, WalkStep } from '../network/trace-walk.ts'

export interface TraceRequest {
  /** Frames to follow. */
  readonly count: number
  /** A network, an endpoint or an element, by which the frames enter. */
  readonly target?: string
  /** A capture filter that takes the frames as they enter. */
  readonly filter?: string
  readonly timeoutSeconds?: number
}
