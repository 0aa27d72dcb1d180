/**
 * Which hosts live. A host whose lease has ended is not dead at once: it may be on its way back, or the store may have been away
 * for both of us. It gets a grace, and then is asked itself where that is possible.
 */
import type { Timers } from '../engine/clock.ts'
import type { ClusterHost } from './cluster-records.ts'

export interface LivenessOptions {
  readonly timers: Timers
  /** Milliseconds from the end of a lease to the end of the host. */
  readonly graceMs: number
  /** Whether the host answers, whatever the store says; without it nobody is asked. Never rejects. */
  readonly isReachable?: (host: ClusterHost) => Promise<boolean>
  /** Whether what the store said last can be counted on; while not, nobody is judged. */
  readonly isSure: () => boolean
  /** A host came, changed or died; `before`: what it was. */
  readonly tell: (id: string, before: ClusterHost | undefined) => void
}

interface Known {
  host: ClusterHost
  /** Ends the wait of a host whose lease has ended. */
  cancel: (() => void) | undefined
}

/** How soon it is tried again to judge a host, milliseconds. */
const UNSURE_MS = 250

export class HostLiveness {
  private readonly options: LivenessOptions
  private readonly known = new Map<string, Known>()

  constructor(options: LivenessOptions) {
    this.options = options
  }

  /** The host, while it lives. */
  get(id: string): ClusterHost | undefined {
    return this.known.get(id)?.host
  }

  get all(): ClusterHost[] {
    return Array.from(this.known.values(), ({ host }) => host)
  }

  /** Its record is in the store. */
  present(host: ClusterHost): void {
    const known = this.known.get(host.id)
    known?.cancel?.()
    this.known.set(host.id, { host, cancel: undefined })
    if (known === undefined || JSON.stringify(known.host) !== JSON.stringify(host)) this.options.tell(host.id, known?.host)
  }

  /** Its record is gone. `graceMs`: longer after the store was away, when every host has to come back first. */
  missing(id: string, graceMs = this.options.graceMs): void {
    const known = this.known.get(id)
    if (known === undefined || known.cancel !== undefined) return
    known.cancel = this.options.timers.after(graceMs, () => void this.decide(id, known))
  }

  /** Everything is open again: nobody is judged until `missing` is said anew. */
  hold(): void {
    for (const known of this.known.values()) {
      known.cancel?.()
      known.cancel = undefined
    }
  }

  private async decide(id: string, known: Known): Promise<void> {
    const waiting = known.cancel
    const isReachable = (await this.options.isReachable?.(known.host)) ?? false
    // Meanwhile it may have come back, or the store may have gone.
    if (this.known.get(id) !== known || known.cancel !== waiting) return
    if (isReachable || !this.options.isSure()) {
      known.cancel = undefined
      return this.missing(id, isReachable ? this.options.graceMs : UNSURE_MS)
    }
    this.known.delete(id)
    this.options.tell(id, known.host)
  }
}
