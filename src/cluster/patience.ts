import type { Timers } from '../engine/clock.ts'

const STEPS = 4

/**
 * Calls `fire` once after `ms` milliseconds in which this process ran; the function returned prevents it. Counted in steps: where the whole
 * process stood still (a busy machine, one that was stopped) the time is over before any answer that came meanwhile was looked at, and
 * that must not be taken for the other's silence. A standstill costs one step,
 * and what has come by the end of the last one is still heard.
 */
export function patience(timers: Timers, ms: number, fire: () => void): () => void {
  let left = STEPS
  let cancel = (): void => {}
  const step = (): void => {
    cancel = timers.after(ms / STEPS, () => {
      if (--left > 0) step()
      // Timers come before what sockets have: one more turn of the loop.
      else cancel = timers.after(0, fire)
    })
  }
  step()
  return () => cancel()
}
