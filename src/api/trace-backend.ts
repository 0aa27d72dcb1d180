import type { FrameWalk, TraceRequest } from './trace-json.ts'

/** What the route that follows frames needs behind it. */
export interface TraceBackend {
  /** Follows from when it resolves. Throws NetworkError and CaptureFilterError. What it gives is iterated to its end. */
  openTrace(request: TraceRequest): Promise<{ frames(signal: AbortSignal): AsyncIterable<FrameWalk> }>
}
