/**
 * An engine inside the caller, under a virtual clock: no thread, no real time, the same bytes for the same seed.
 *
 * Events happen in the order (time, sequence). After each instant in which the host was told something, its promise jobs
 * run before time moves on: what a script does in answer to an event happens at the time of that event.
 */
import {
  CounterReader,
  drainMicrotasks,
  drainPromiseJobs,
  type ElementCounters,
  type ElementRegistry,
  EMPTY_TOPOLOGY,
  Engine,
  type FramePoolOptions,
  type Plain,
  type Topology,
  type TopologyPatch,
  type TraceStep,
  VirtualClock
} from '../engine/index.ts'
import type { EngineEventListener, EngineHost, TraceRequest } from './engine-host.ts'
import { NetworkError } from './network-error.ts'
import { traceFrames } from './trace-frames.ts'

/** Rounds of the event loop that a script may take between two steps without time moving, before it counts as stuck. */
const PATIENCE = 200
/** After so many steps the event loop turns once: signals and files are not kept waiting until an hour of the lab is over. */
const STEPS_PER_LOOP = 256

export interface InlineEngineOptions {
  readonly elements: ElementRegistry
  readonly seed: number | string
  readonly pool?: FramePoolOptions
}

export class InlineEngine implements EngineHost {
  readonly virtual = true
  private readonly clock = new VirtualClock()
  private readonly engine: Engine
  private readonly listeners = new Map<string, EngineEventListener>()
  /** True when the host was told something since its promise jobs last ran. */
  private told = false
  private steps = 0
  private readonly reader = new CounterReader()
  private closed = false

  constructor(options: InlineEngineOptions) {
    this.engine = new Engine({
      clock: this.clock,
      elements: options.elements,
      seed: options.seed,
      pool: options.pool,
      onEvent: (element, event) => {
        this.told = true
        this.listeners.get(element)?.(event)
      }
    })
  }

  get epochNs(): bigint {
    return this.clock.epochNs
  }

  now(): number {
    return this.clock.now()
  }

  async configure(topology: Topology): Promise<void> {
    if (this.closed) throw new NetworkError('closed', 'the engine is closed')
    this.engine.configure(topology)
  }

  async patch(patch: TopologyPatch): Promise<readonly Error[]> {
    if (this.closed) throw new NetworkError('closed', 'the engine is closed')
    return this.engine.patch(patch) as Error[]
  }

  async share(name: string, value: unknown): Promise<void> {
    this.engine.share(name, value)
  }

  command(element: string, verb: string, argument: Plain): Promise<Plain> {
    return new Promise((resolve, reject) => {
      this.engine.command(element, verb, argument, (error, value) => {
        // Nobody is told that what he started has ended with the whole engine: he may not even be there any more.
        if (this.closed) return
        this.told = true
        if (error !== null) reject(error)
        else resolve(value)
      })
    })
  }

  counters(): Map<string, ElementCounters> {
    return this.upToDate().all()
  }

  elementCounters(element: string): ElementCounters | undefined {
    return this.upToDate().element(element)
  }

  private upToDate(): CounterReader {
    const change = this.engine.counters.takeChange()
    if (change !== null) this.reader.apply(change)
    return this.reader
  }

  async framesInUse(): Promise<number> {
    return this.engine.frames.inUse
  }

  async trace(request: TraceRequest): Promise<void> {
    traceFrames(this.engine, request)
  }

  async traced(session: number): Promise<TraceStep[]> {
    return this.engine.tracer.drain(session, this.clock.now())
  }

  listen(element: string, listener: EngineEventListener | null): void {
    if (listener === null) this.listeners.delete(element)
    else this.listeners.set(element, listener)
  }

  async advance(ns: number): Promise<void> {
    const until = this.clock.now() + ns
    await drainMicrotasks()
    for (;;) {
      const answer = this.instant()
      if (answer !== null) {
        await answer
        continue
      }
      if (this.engine.nextDeadline > until) break
      this.clock.advanceTo(Math.max(this.engine.nextDeadline, this.clock.now()))
    }
    this.clock.advanceTo(until)
  }

  wait(ns: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.engine.timers.timer(() => {
        this.told = true
        resolve()
      })
      timer.arm(this.clock.now() + ns)
    })
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const mark = (): void => {
      settled = true
    }
    promise.then(mark, mark)
    await drainMicrotasks()
    let idle = 0
    while (!settled) {
      const answer = this.instant()
      if (answer !== null) {
        await answer
      } else if (this.engine.nextDeadline < Number.POSITIVE_INFINITY) {
        this.clock.advanceTo(Math.max(this.engine.nextDeadline, this.clock.now()))
        idle = 0
      } else if (idle++ < PATIENCE) {
        // Nothing is due in the emulated world; the script may still be at a file or a module.
        await drainMicrotasks()
      } else {
        throw new NetworkError(
          'stuck',
          'the script waits for something that will never happen: no timer is armed and no frame is under way',
          {
            fix: 'under a virtual clock wait only for what the lab does, and give waits a time-out'
          }
        )
      }
    }
    return promise
  }

  /**
   * Runs turns until nothing is left to do at this time.
   * @returns when the host has answered to what it was told, and another instant at the same time is due; null: it was told nothing
   */
  private instant(): Promise<void> | null {
    while (this.engine.turn());
    const { told } = this
    this.told = false
    this.steps = (this.steps + 1) % STEPS_PER_LOOP
    if (this.steps === 0) return drainMicrotasks()
    return told ? drainPromiseJobs() : null
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.engine.configure(EMPTY_TOPOLOGY)
    this.listeners.clear()
  }
}
