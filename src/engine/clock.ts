/**
 * Where time comes from. Nanoseconds since the clock's start, as a double: whole numbers stay exact for 104 days.
 */
// The global `process` is a getter, and this runs every turn.
import { hrtime } from 'node:process'

export interface Clock {
  /** Nanoseconds since the start. Never goes back. */
  now(): number
  /** What the wall clock said at the start, nanoseconds since 1970; a virtual clock gives a fixed instant. */
  readonly epochNs: bigint
}

/** What two threads need to tell the same time. */
export interface ClockOrigin {
  /** The machine's monotonic clock at the start, seconds and nanoseconds: the same in every thread. */
  readonly origin: readonly [number, number]
  readonly epochNs: bigint
}

/**
 * The machine's monotonic clock. By `hrtime`, whose array V8 leaves out where this is inlined: `performance.now()` makes an object of every
 * answer: 8 MB in 20 ms of a loop that does nothing else.
 */
export class RealClock implements Clock, ClockOrigin {
  readonly origin: readonly [number, number]
  readonly epochNs: bigint
  private readonly seconds: number
  private readonly nanoseconds: number

  /** Without `start` the clock starts now. */
  constructor(start?: ClockOrigin) {
    this.origin = start?.origin ?? hrtime()
    this.epochNs = start?.epochNs ?? BigInt(Date.now()) * 1_000_000n
    ;[this.seconds, this.nanoseconds] = this.origin
  }

  now(): number {
    const time = hrtime()
    return (time[0] - this.seconds) * 1e9 + (time[1] - this.nanoseconds)
  }
}

/** Midnight, 1 January 2000 UTC: where virtual time begins, so that captures read as dates. */
const VIRTUAL_EPOCH_NS = 946_684_800_000_000_000n

/** Time that moves only when told. */
export class VirtualClock implements Clock {
  readonly epochNs = VIRTUAL_EPOCH_NS
  private time = 0

  now(): number {
    return this.time
  }

  /** Moves to `time`; an earlier time is an error of the caller. */
  advanceTo(time: number): void {
    if (time < this.time) throw new RangeError(`virtual time cannot go back from ${this.time} to ${time} ns`)
    this.time = time
  }
}

/**
 * Lets every promise job that is due run, and those that they add. One turn of the event loop's check phase follows all
 * micro-tasks, so awaiting it drains them.
 */
export function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/**
 * The same at a tenth of the cost, for callers that are a promise job themselves: Node.js takes what `nextTick` queued as soon as no job
 * is left. The event loop does not turn meanwhile.
 */
export function drainPromiseJobs(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve)
  })
}

/** Resolves after real time: for the control plane's patience with processes, never for the data plane. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Delayed calls in real time, for the control plane; injected, so that tests can hold the clock. */
export interface Timers {
  /** Calls `fire` once after `ms` milliseconds. The function returned prevents it, as long as it has not happened. */
  after(ms: number, fire: () => void): () => void
}

/** Longer ones setTimeout takes for 1 ms. */
const LONGEST_MS = 2 ** 31 - 1

export const realTimers: Timers = {
  after(ms, fire) {
    let timer: NodeJS.Timeout
    const wait = (left: number): void => {
      timer = left > LONGEST_MS ? setTimeout(() => wait(left - LONGEST_MS), LONGEST_MS) : setTimeout(fire, left)
    }
    wait(ms)
    return () => clearTimeout(timer)
  }
}

/** Waits that keep the process alive, until all of them are let go: what waited for something that has ended must not. */
export class RealWaits {
  private readonly timers = new Set<NodeJS.Timeout>()

  /** Resolves after `ms` milliseconds, however many. */
  async wait(ms: number): Promise<void> {
    let left = ms
    for (; left > LONGEST_MS; left -= LONGEST_MS) await this.sleep(LONGEST_MS)
    await this.sleep(left)
  }

  /** Those under way come to their end only if the process is still there. */
  release(): void {
    for (const timer of this.timers) timer.unref()
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.timers.delete(timer)
        resolve()
      }, ms)
      this.timers.add(timer)
    })
  }
}
