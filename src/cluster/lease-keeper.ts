/**
 * A lease that is kept alive: asked three times in its time, lost when the store does not know it, or when nothing was heard for
 * its whole time.
 */
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import type { Lease } from './cluster-store.ts'
import { patience } from './patience.ts'

export interface LeaseKeeperOptions {
  readonly seconds: number
  readonly timers: Timers
  /** Resolves with whether the store still has the lease. What it rejects with is taken for a lost message. */
  readonly keepAlive: () => Promise<boolean>
  readonly revoke: () => Promise<unknown>
  /** Closed or lost. */
  readonly onEnd: () => void
}

export class LeaseKeeper implements Lease {
  readonly lost: Promise<ClusterError>
  private readonly options: LeaseKeeperOptions
  private lose!: (error: ClusterError) => void
  private isOpen = true
  private cancelNext = (): void => {}
  private cancelEnd = (): void => {}

  constructor(options: LeaseKeeperOptions) {
    this.options = options
    this.lost = new Promise((resolve) => {
      this.lose = resolve
    })
    this.heard()
    this.next()
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.stop()
    await this.options.revoke().catch(() => {}) // its time ends it
  }

  private next(): void {
    const { timers, seconds, keepAlive } = this.options
    this.cancelNext = timers.after((seconds * 1000) / 3, () => {
      // The next one is not kept waiting by one that hangs.
      this.next()
      keepAlive().then(
        (isKept) => {
          if (!this.isOpen) return
          if (isKept) this.heard()
          else this.end('the store does not know it')
        },
        () => {}
      )
    })
  }

  private heard(): void {
    const { timers, seconds } = this.options
    this.cancelEnd()
    this.cancelEnd = patience(timers, seconds * 1000, () => this.end('nothing was heard of the store'))
  }

  private end(reason: string): void {
    this.stop()
    this.lose(new ClusterError('unavailable', `the lease of ${this.options.seconds} s has ended: ${reason}`))
  }

  private stop(): void {
    this.isOpen = false
    this.cancelNext()
    this.cancelEnd()
    this.options.onEnd()
  }
}
