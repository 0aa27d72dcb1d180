import { filterFunction } from '../capture/filter/filter-function.ts'
import type { Engine } from '../engine/index.ts'
import type { TraceRequest } from './engine-host.ts'

/** Carries out a TraceRequest, in the thread of the engine. Throws TopologyError and CaptureFilterError. */
export function traceFrames(engine: Engine, { session, count, elements, filter }: TraceRequest): void {
  if (filter === undefined) return engine.traceFrames(session, count, elements)
  const takes = filterFunction(filter)
  engine.traceFrames(session, count, elements, (frames, frame) => takes(frames.bytes(frame), frames.start[frame], frames.length[frame]) > 0)
}
