/**
 * Ends the sessions of clients that have died. Consul itself takes 10 to 20 s for that; a cluster has promised 10 at most.
 *
 *   beats/SESSION   written anew three times in the time of a lease by who has the session, and goes with it
 *
 * Every client looks at all beats five times in the time of its own lease. One that stands still while that of its owner passes is the
 * last of a dead client, and its session is ended: what was put under it goes for everybody. Looks are counted, not hours: a client
 * that was stopped for a while, or whose requests were lost, has looked less often.
 */
import type { Timers } from '../engine/clock.ts'
import type { StoreEntry } from './cluster-store.ts'

/** Below the store's prefix, beside what the cluster keeps there (cluster-keys). */
export const BEATS = 'beats/'
const LOOKS_PER_LEASE = 5

export interface ConsulBeatsOptions {
  readonly timers: Timers
  /** Of the own lease. */
  readonly seconds: number
  /** All that there are; a beat's value is the time of its lease in seconds. */
  readonly list: () => Promise<readonly StoreEntry[]>
  readonly end: (session: string) => Promise<unknown>
}

interface Seen {
  readonly version: number
  readonly looks: number
}

export class ConsulBeats {
  private readonly options: ConsulBeatsOptions
  private readonly periodMs: number
  /** By key, those of the last look. */
  private seen: ReadonlyMap<string, Seen> = new Map()
  private isOpen = true
  private cancel = (): void => {}

  constructor(options: ConsulBeatsOptions) {
    this.options = options
    this.periodMs = (options.seconds * 1000) / LOOKS_PER_LEASE
    this.next()
  }

  close(): void {
    this.isOpen = false
    this.cancel()
  }

  private next(): void {
    if (!this.isOpen) return
    this.cancel = this.options.timers.after(this.periodMs, () => {
      // A look that fails, or an end that is refused, is made up for by the next one.
      this.look()
        .catch(() => {})
        .finally(() => this.next())
    })
  }

  private async look(): Promise<void> {
    const beats = await this.options.list()
    const now = new Map<string, Seen>()
    const dead: string[] = []
    for (const { key, value, version } of beats) {
      const before = this.seen.get(key)
      const looks = before?.version === version ? before.looks + 1 : 0
      now.set(key, { version, looks })
      // Of a value that is no number nothing follows.
      if (looks * this.periodMs >= Number(value) * 1000) dead.push(key.slice(BEATS.length))
    }
    this.seen = now
    await Promise.all(dead.map((session) => this.options.end(session)))
  }
}
