/**
 * Where an engine runs: in a thread of its own in real time, or inside the caller under a virtual clock. The control plane
 * speaks to both in the same words.
 */
import type { BpfProgram } from '../capture/filter/bpf-instruction.ts'
import type { ElementCounters, Plain, Topology, TopologyPatch, TraceStep } from '../engine/index.ts'

export type EngineEventListener = (event: Plain) => void

/** Which frames to follow. */
export interface TraceRequest {
  /** Names what is followed: several may be. Whoever follows takes a number of his own. */
  readonly session: number
  /** Frames to find; 0 ends the session. */
  readonly count: number
  /** Only frames that enter by one of these elements. */
  readonly elements?: readonly string[]
  /** Only frames that it takes. */
  readonly filter?: BpfProgram
}

export interface EngineHost {
  /** True when time moves only by `advance`. */
  readonly virtual: boolean
  /** Makes the graph be `topology`; resolves when the engine runs it. Rejects with the engine's error. */
  configure(topology: Topology): Promise<void>
  /**
   * Changes a part of the graph, at the cost of that part; resolves when the engine runs it, with the errors of elements that
   * could not be closed: they are gone all the same. Rejects with the engine's error, and then nothing has changed.
   */
  patch(patch: TopologyPatch): Promise<readonly Error[]>
  /** Keeps shared memory (or, in the same thread, an object) under a name that element options may use; undefined forgets it. */
  share(name: string, value: unknown): Promise<void>
  /** Asks an element; resolves with its reply, which may come much later. */
  command(element: string, verb: string, argument: Plain): Promise<Plain>
  /** What every element has counted, read without stopping the engine. */
  counters(): Map<string, ElementCounters>
  /** The same of one element; undefined where there is none of the name. */
  elementCounters(element: string): ElementCounters | undefined
  /** Frames that are in links or elements right now. */
  framesInUse(): Promise<number>
  /** Rejects when an element is not there, and with CaptureFilterError. */
  trace(request: TraceRequest): Promise<void>
  /** Steps of a session since the last call; see Tracer.drain. */
  traced(session: number): Promise<TraceStep[]>
  /** Hears what one element tells the control plane; null stops it. */
  listen(element: string, listener: EngineEventListener | null): void
  /** Nanoseconds since the engine's start. */
  now(): number
  /** The wall clock at the engine's start, nanoseconds since 1970. */
  readonly epochNs: bigint
  /**
   * Lets `ns` pass. In virtual time everything due happens, in order; in real time this waits.
   */
  advance(ns: number): Promise<void>
  /** Resolves when `ns` have passed, without making them pass. */
  wait(ns: number): Promise<void>
  /** Lets time pass until `promise` settles, and gives its outcome. */
  settle<T>(promise: Promise<T>): Promise<T>
  close(): Promise<void>
}
