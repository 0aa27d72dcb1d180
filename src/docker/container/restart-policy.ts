import type { RestartPolicy } from '../../api/container-json.ts'

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 60_000

/** A container that ran this long has recovered: delays begin again. Nanoseconds. */
const RECOVERED_NS = 10e9

export interface ExitOfContainer {
  readonly exitCode: number
  readonly manuallyStopped: boolean
  /** Restarts by policy since it was last started by hand. */
  readonly restartCount: number
}

/** Whether Docker would start it again (moby: restartmanager). `daemonStarted`: asked when the daemon comes up, not at an exit. */
export function shouldRestart({ Name, MaximumRetryCount }: RestartPolicy, exit: ExitOfContainer, daemonStarted = false): boolean {
  if (Name === 'always') return daemonStarted || !exit.manuallyStopped
  if (Name === 'unless-stopped') return !exit.manuallyStopped
  if (Name !== 'on-failure' || exit.manuallyStopped || exit.exitCode === 0) return false
  return MaximumRetryCount === 0 || exit.restartCount < MaximumRetryCount
}

/** Milliseconds until the next start: doubled at each restart, from the start again after a run of ten seconds. */
export class RestartDelay {
  private delay = 0

  next(ranForNs: number): number {
    if (ranForNs >= RECOVERED_NS || this.delay === 0) this.delay = FIRST_DELAY_MS
    else this.delay = Math.min(LONGEST_DELAY_MS, this.delay * 2)
    return this.delay
  }

  reset(): void {
    this.delay = 0
  }
}
