/**
 * Has the engine's thread run before all ordinary ones (SCHED_RR) as long as it leaves the machine time for them.
 *
 * An ordinary thread that is woken may wait until the one that has the core has used up its slice, milliseconds: a frame that is due waits
 * as long. One of the real-time class that never sleeps would keep its core from everybody, the kernel's own threads among them. So
 * the thread is an ordinary one from each window of 10 ms in which it had more than 90 % of a core until one in which it had less.
 */
import type { Clock } from '../engine/index.ts'
import type { NativeBinding } from '../io/native-binding.ts'
import { NetworkError } from './network-error.ts'
import type { WakePoller } from './wake-poller.ts'

/** Nanoseconds. */
const WINDOW = 10e6
/** Of a core, over a window. */
const SHARE_MAX = 0.9

export type RealtimeBinding = Pick<NativeBinding, 'setRealtime' | 'threadCpuTime'>

export class RealtimePoller implements WakePoller {
  private readonly inner: WakePoller
  private readonly native: RealtimeBinding
  private readonly clock: Clock
  private from: number
  private usedBefore: number
  private realtime = true

  /** Raises the calling thread. Throws NetworkError `unsupported` where the kernel refuses. */
  constructor(inner: WakePoller, native: RealtimeBinding, clock: Clock) {
    this.inner = inner
    this.native = native
    this.clock = clock
    try {
      native.setRealtime(true)
    } catch (cause) {
      throw new NetworkError('unsupported', `the engine thread cannot be a real-time one: ${(cause as Error).message}`, {
        fix: 'Run it as root, or with CAP_SYS_NICE, or with an RLIMIT_RTPRIO of at least 1 (LimitRTPRIO= of systemd, rtprio in limits.conf).',
        cause
      })
    }
    this.from = clock.now()
    this.usedBefore = native.threadCpuTime()
  }

  add(fd: number, node: number): void {
    this.inner.add(fd, node)
  }

  remove(fd: number): void {
    this.inner.remove(fd)
  }

  wait(ready: Int32Array, timeoutNs: number): number {
    const count = this.inner.wait(ready, timeoutNs)
    const now = this.clock.now()
    if (now - this.from >= WINDOW) this.judge(now)
    return count
  }

  /** Ends a window. */
  private judge(now: number): void {
    const used = this.native.threadCpuTime()
    const isModest = used - this.usedBefore <= SHARE_MAX * (now - this.from)
    this.from = now
    this.usedBefore = used
    if (isModest !== this.realtime) this.become(isModest)
  }

  private become(realtime: boolean): void {
    this.realtime = realtime
    try {
      this.native.setRealtime(realtime)
    } catch {
      // The right to it was taken away meanwhile: an ordinary thread from here on, that asks again after each busy time.
    }
  }

  close(): void {
    this.inner.close()
  }
}
