/** What the rest of netloom uses of the engine. */
export { type Clock, type ClockOrigin, drainMicrotasks, drainPromiseJobs, RealClock, RealWaits, sleep, VirtualClock } from './clock.ts'
export { CounterReader } from './counter-reader.ts'
export type { CounterChange, ElementCounters } from './counters.ts'
export { declareDrops, dropReasons, EngineDrop } from './drop-reason.ts'
export {
  type Element,
  type ElementContext,
  ElementRegistry,
  type ElementType,
  type Plain,
  type PollRegistry,
  type Reply
} from './element.ts'
export { Engine, type EngineOptions } from './engine.ts'
export { FrameFlag, type FrameHandle, FramePool, type FramePoolOptions, HEADROOM, NO_FRAME } from './frame-pool.ts'
export { Link, type Port } from './link.ts'
export { freshSeed, Random } from './random.ts'
export { Timer, TimerQueue } from './timer-queue.ts'
export {
  type ElementUpdate,
  EMPTY_TOPOLOGY,
  patchBetween,
  type Topology,
  type TopologyElement,
  TopologyError,
  type TopologyLink,
  type TopologyPatch
} from './topology.ts'
export type { TraceKind, TraceStep } from './tracer.ts'
export { workerArguments } from './worker-arguments.ts'
