/**
 * What passes between the control plane's thread and the engine's. Requests carry a number; the answer carries it back.
 */
import type { ClockOrigin, CounterChange, FramePoolOptions, Plain, Topology, TopologyPatch } from '../engine/index.ts'
import type { TraceRequest } from './engine-host.ts'
import type { WakeHandle } from './wake-poller.ts'

export interface EngineStart {
  readonly clock: ClockOrigin
  readonly seed: number | string
  readonly pool: FramePoolOptions | undefined
  readonly wake: WakeHandle
}

export type EngineRequest =
  | { readonly kind: 'configure'; readonly topology: Topology }
  /** Answered with EngineFailure[]: what could not be closed. */
  | { readonly kind: 'patch'; readonly patch: TopologyPatch }
  | { readonly kind: 'share'; readonly name: string; readonly value: unknown }
  | { readonly kind: 'command'; readonly element: string; readonly verb: string; readonly argument: Plain }
  | { readonly kind: 'frames-in-use' }
  | { readonly kind: 'trace'; readonly request: TraceRequest }
  | { readonly kind: 'traced'; readonly session: number }
  /** See RealtimePoller. */
  | { readonly kind: 'make-realtime' }
  | { readonly kind: 'stop' }

export interface NumberedRequest {
  readonly number: number
  readonly request: EngineRequest
}

/** An error on its way between threads. */
export interface EngineFailure {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  readonly fix: string | undefined
  readonly stack: string | undefined
}

export type EngineMessage =
  | { readonly kind: 'answer'; readonly number: number; readonly error: EngineFailure | null; readonly value: Plain }
  | { readonly kind: 'event'; readonly element: string; readonly event: Plain }
  /** Which counters came and went; comes before the answer to the request that changed them. */
  | { readonly kind: 'counters'; readonly change: CounterChange }
