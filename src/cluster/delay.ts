import type { Timers } from '../engine/clock.ts'

export function delay(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve)
  })
}

/** Whether `promise` is fulfilled within `ms`. No timer stays behind, which would keep the process. */
export function isWithin(timers: Timers, ms: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = timers.after(ms, () => resolve(false))
    promise.finally(cancel).then(() => resolve(true), reject)
  })
}
