/**
 * How the engine thread sleeps: on epoll with an eventfd to wake it, or, without the addon, on a word of shared memory.
 */
import type { PollRegistry } from '../engine/index.ts'
import { type NativeBinding, PollEvent } from '../io/native-binding.ts'

/** The other thread's end: wakes the sleeper. Plain data, goes by structured clone. */
export interface WakeHandle {
  /** The eventfd; -1 without the addon. */
  readonly eventfd: number
  /** One int32: a Call bit for each reason to wake. */
  readonly word: SharedArrayBuffer
}

/** Why the sleeper is woken. */
export const Call = {
  /** Requests wait in the message port. */
  requests: 1,
  /** The process ends: leave at once, `worker.terminate()` and `process.exit()` wait for a blocked poll. */
  leave: 2
} as const

/** Not a node's number. */
const WAKE_TOKEN = 0x7fffffff
/** Not a node's number either. */
const HEARTBEAT_TOKEN = 0x7ffffffe
/** A poll never lasts longer: the last defence against a lost wake-up, nanoseconds. */
export const POLL_MAX_NS = 1e9

export interface WakePoller extends PollRegistry {
  /**
   * Sleeps until a descriptor is readable, somebody wakes it or `timeoutNs` has passed. Writes the numbers of ready nodes
   * to `ready` and returns how many there are.
   */
  wait(ready: Int32Array, timeoutNs: number): number
  close(): void
}

export function createWake(native: NativeBinding | null): WakeHandle {
  return { eventfd: native?.eventfdCreate() ?? -1, word: new SharedArrayBuffer(4) }
}

/** Wakes the sleeper. Callable from any thread. */
export function wake(handle: WakeHandle, native: NativeBinding | null, call: number = Call.requests): void {
  const word = new Int32Array(handle.word)
  Atomics.or(word, 0, call)
  if (handle.eventfd >= 0) native!.eventfdWrite(handle.eventfd)
  else Atomics.notify(word, 0)
}

/** The Call bits set since the last question. */
export function takeCalls(word: Int32Array): number {
  return word[0] === 0 ? 0 : Atomics.exchange(word, 0, 0)
}

export function createPoller(handle: WakeHandle, native: NativeBinding | null): WakePoller {
  return handle.eventfd >= 0 ? new EpollPoller(handle, native!) : new AtomicsPoller(handle)
}

class EpollPoller implements WakePoller {
  private readonly native: NativeBinding
  private readonly poller: ReturnType<NativeBinding['pollerCreate']>
  private readonly eventfd: number
  /** Bounds every wait. A time-out given to epoll would start and cancel a timer of the kernel's each time, half a microsecond. */
  private readonly heartbeat: number
  private readonly events = new Int32Array(512)

  constructor(handle: WakeHandle, native: NativeBinding) {
    this.native = native
    this.poller = native.pollerCreate()
    this.eventfd = handle.eventfd
    native.pollerAdd(this.poller, this.eventfd, WAKE_TOKEN, PollEvent.readable)
    this.heartbeat = native.timerfdCreate(POLL_MAX_NS)
    native.pollerAdd(this.poller, this.heartbeat, HEARTBEAT_TOKEN, PollEvent.readable)
    native.setTimerSlack(1)
  }

  add(fd: number, node: number): void {
    this.native.pollerAdd(this.poller, fd, node, PollEvent.readable)
  }

  remove(fd: number): void {
    this.native.pollerRemove(this.poller, fd)
  }

  wait(ready: Int32Array, timeoutNs: number): number {
    const pairs = this.native.pollerWait(this.poller, this.events, timeoutNs < POLL_MAX_NS ? timeoutNs : -1)
    let count = 0
    for (let i = 0; i < pairs; i++) {
      const token = this.events[2 * i]
      if (token === WAKE_TOKEN) this.native.eventfdDrain(this.eventfd)
      else if (token === HEARTBEAT_TOKEN) this.native.eventfdDrain(this.heartbeat)
      else if (count < ready.length) ready[count++] = token
    }
    return count
  }

  close(): void {
    this.native.pollerClose(this.poller)
    this.native.closeFd(this.heartbeat)
  }
}

/** Without the addon there are no descriptors: only time and wake-ups. */
class AtomicsPoller implements WakePoller {
  private readonly word: Int32Array

  constructor(handle: WakeHandle) {
    this.word = new Int32Array(handle.word)
  }

  add(fd: number): void {
    throw new Error(`fd ${fd} cannot be polled without the native addon`)
  }

  remove(): void {}

  wait(_ready: Int32Array, timeoutNs: number): number {
    if (timeoutNs > 0) Atomics.wait(this.word, 0, 0, Math.min(timeoutNs, POLL_MAX_NS) / 1e6)
    return 0
  }

  close(): void {}
}
