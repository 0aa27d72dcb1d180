/**
 * Where time comes from. Nanoseconds since the clock's start, as a double: whole numbers stay exact for 104 days.
 */
export interface Clock {
  /** Nanoseconds since the start. Never goes back. */
  now(): number
  /** What the wall clock said at the start, nanoseconds since 1970; a virtual clock gives a fixed instant. */
  readonly epochNs: bigint
}

/** The machine's monotonic clock. */
export class RealClock implements Clock {
  readonly epochNs: bigint
  private readonly origin: number

  constructor() {
    this.origin = performance.now()
    this.epochNs = BigInt(Date.now()) * 1_000_000n
  }

  now(): number {
    return Math.round((performance.now() - this.origin) * 1e6)
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

/** Resolves after real time: for the control plane's patience with processes, never for the data plane. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
