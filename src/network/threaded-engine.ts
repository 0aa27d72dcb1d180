/**
 * An engine in a thread of its own, in real time. Like a server it keeps the program alive until it is closed.
 */
import { Worker } from 'node:worker_threads'
import {
  CounterReader,
  type ElementCounters,
  type FramePoolOptions,
  type Plain,
  RealClock,
  RealWaits,
  type Topology,
  type TopologyPatch,
  type TraceStep,
  workerArguments
} from '../engine/index.ts'
import { tryLoadNative } from '../io/load-native.ts'
import type { EngineEventListener, EngineHost, TraceRequest } from './engine-host.ts'
import type { EngineFailure, EngineMessage, EngineRequest, EngineStart } from './engine-protocol.ts'
import { NetworkError } from './network-error.ts'
import { Call, createWake, type WakeHandle, wake } from './wake-poller.ts'

export interface ThreadedEngineOptions {
  readonly seed: number | string
  readonly pool?: FramePoolOptions
  /** Told when the thread ends by itself: a defect, everything in it is gone. */
  readonly onCrash?: (error: Error) => void
}

/** One listener for all: a process may have many labs, and Node warns of a leak from the eleventh listener on. */
const runningEngines = new Set<ThreadedEngine>()

function leaveAll(): void {
  for (const engine of runningEngines) engine.leave()
}

export class ThreadedEngine implements EngineHost {
  readonly virtual = false
  private readonly clock = new RealClock()
  private readonly native = tryLoadNative()
  private readonly wakeHandle: WakeHandle
  private readonly worker: Worker
  private readonly waits = new RealWaits()
  private readonly pending = new Map<number, { resolve: (value: Plain) => void; reject: (error: Error) => void }>()
  private readonly listeners = new Map<string, EngineEventListener>()
  private readonly exited: Promise<void>
  private readonly reader = new CounterReader()
  private requests = 0
  private failure: Error | null = null
  private closing: Promise<void> | null = null

  constructor(options: ThreadedEngineOptions) {
    this.wakeHandle = createWake(this.native)
    const start: EngineStart = {
      clock: { origin: this.clock.origin, epochNs: this.clock.epochNs },
      seed: options.seed,
      pool: options.pool,
      wake: this.wakeHandle
    }
    this.worker = new Worker(new URL('./engine-worker.js', import.meta.url), {
      workerData: start,
      name: 'netloom engine',
      execArgv: workerArguments()
    })
    this.worker.on('message', (message: EngineMessage) => this.receive(message))
    this.worker.on('error', (error) => {
      this.failure = error
    })
    this.exited = new Promise((resolve) => {
      this.worker.on('exit', (code) => {
        const error = this.failure ?? new NetworkError('closed', `the engine thread has ended (code ${code})`, {})
        this.failure = error
        for (const { reject } of this.pending.values()) reject(error)
        this.pending.clear()
        if (this.closing === null) options.onCrash?.(error)
        resolve()
      })
    })
    runningEngines.add(this)
    if (runningEngines.size === 1) process.on('exit', leaveAll)
  }

  get epochNs(): bigint {
    return this.clock.epochNs
  }

  now(): number {
    return this.clock.now()
  }

  async configure(topology: Topology): Promise<void> {
    await this.request({ kind: 'configure', topology })
  }

  async patch(patch: TopologyPatch): Promise<readonly Error[]> {
    return ((await this.request({ kind: 'patch', patch })) as EngineFailure[]).map(revive)
  }

  async share(name: string, value: unknown): Promise<void> {
    await this.request({ kind: 'share', name, value })
  }

  command(element: string, verb: string, argument: Plain): Promise<Plain> {
    return this.request({ kind: 'command', element, verb, argument })
  }

  counters(): Map<string, ElementCounters> {
    return this.reader.all()
  }

  elementCounters(element: string): ElementCounters | undefined {
    return this.reader.element(element)
  }

  async framesInUse(): Promise<number> {
    return (await this.request({ kind: 'frames-in-use' })) as number
  }

  async trace(request: TraceRequest): Promise<void> {
    await this.request({ kind: 'trace', request })
  }

  async traced(session: number): Promise<TraceStep[]> {
    return (await this.request({ kind: 'traced', session })) as TraceStep[]
  }

  listen(element: string, listener: EngineEventListener | null): void {
    if (listener === null) this.listeners.delete(element)
    else this.listeners.set(element, listener)
  }

  advance(ns: number): Promise<void> {
    return this.waits.wait(ns / 1e6)
  }

  wait(ns: number): Promise<void> {
    return this.waits.wait(ns / 1e6)
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return promise
  }

  /**
   * From now on the thread runs before all ordinary ones, as long as it leaves them time (see RealtimePoller). Rejects with NetworkError
   * `unsupported` where the kernel refuses; the engine goes on as an ordinary thread then.
   */
  async makeRealtime(): Promise<void> {
    await this.request({ kind: 'make-realtime' })
  }

  close(): Promise<void> {
    this.closing ??= this.stop()
    return this.closing
  }

  /** For the end of the process: has the thread leave its poll, without waiting for it. */
  leave(): void {
    if (this.failure === null) wake(this.wakeHandle, this.native, Call.leave)
  }

  private async stop(): Promise<void> {
    // A thread that has failed already answers nothing.
    await this.request({ kind: 'stop' }).catch(() => {})
    await this.exited
    runningEngines.delete(this)
    if (runningEngines.size === 0) process.off('exit', leaveAll)
    if (this.wakeHandle.eventfd >= 0) this.native!.closeFd(this.wakeHandle.eventfd)
    this.listeners.clear()
    this.waits.release()
  }

  private request(request: EngineRequest): Promise<Plain> {
    if (this.failure !== null) return Promise.reject(this.failure)
    if (this.closing !== null && request.kind !== 'stop') return Promise.reject(new NetworkError('closed', 'the engine is closed'))
    const number = ++this.requests
    return new Promise((resolve, reject) => {
      this.pending.set(number, { resolve, reject })
      this.worker.postMessage({ number, request })
      wake(this.wakeHandle, this.native)
    })
  }

  private receive(message: EngineMessage): void {
    switch (message.kind) {
      case 'counters':
        this.reader.apply(message.change)
        break
      case 'event':
        this.listeners.get(message.element)?.(message.event)
        break
      case 'answer': {
        const waiting = this.pending.get(message.number)
        this.pending.delete(message.number)
        if (message.error !== null) waiting?.reject(revive(message.error))
        else waiting?.resolve(message.value)
        break
      }
    }
  }
}

function revive(failure: EngineFailure): Error {
  return Object.assign(new Error(failure.message), failure)
}
