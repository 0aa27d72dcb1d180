/** What the system routes need of the daemon. */
import type { EventMessage } from './event-message.ts'
import type { Filters } from './filters.ts'

export interface SystemBackend {
  /** Docker's `/version` without the members that are those of the API itself. */
  version(): Record<string, unknown>
  /** Docker's `/info`. */
  info(): Promise<Record<string, unknown>>
  /** Docker's `/system/df`. */
  diskUsage(): Promise<Record<string, unknown>>
  /** The wall clock, nanoseconds since 1970. */
  now(): bigint
  readonly events: EventSource
}

export interface EventSource {
  /** Kept events from `since` to `until`, nanoseconds since 1970, both inclusive; the oldest first. */
  history(filters: Filters, since: bigint, until?: bigint): EventMessage[]
  /** Calls `listener` for every event from now on, until the function returned is called. */
  listen(filters: Filters, listener: (message: EventMessage) => void): () => void
}
