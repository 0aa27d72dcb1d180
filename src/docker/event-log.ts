/**
 * What happened in the daemon, as Docker tells it on `/events`. The last 1,024 events are kept for `--since`; older ones are gone,
 * and none outlives the daemon.
 */
import type { Filters } from '../api/filters.ts'
import type { Clock } from '../engine/clock.ts'

export type EventType = 'container' | 'network' | 'image' | 'daemon' | 'volume'

export interface Actor {
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
}

/** Docker's message, member by member. */
export interface EventMessage {
  readonly status?: string
  readonly id?: string
  readonly from?: string
  readonly Type: EventType
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly scope: 'local'
  /** Seconds since 1970. */
  readonly time: number
  /** Nanoseconds since 1970. */
  readonly timeNano: bigint
}

export type Listener = (message: EventMessage) => void

const KEPT = 1024

export class EventLog {
  private readonly clock: Clock
  /** The oldest first. */
  private readonly kept: EventMessage[] = []
  private readonly listeners = new Set<Listener>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  get listenerCount(): number {
    return this.listeners.size
  }

  publish(type: EventType, action: string, actor: Actor): void {
    const timeNano = this.clock.epochNs + BigInt(this.clock.now())
    const message: EventMessage = {
      // The older members, which clients still print.
      status: type === 'container' || type === 'image' ? action : undefined,
      id: type === 'container' || type === 'image' ? actor.id : undefined,
      from: type === 'container' ? actor.attributes['image'] : undefined,
      Type: type,
      Action: action,
      Actor: { ID: actor.id, Attributes: { ...actor.attributes } },
      scope: 'local',
      time: Number(timeNano / 1_000_000_000n),
      timeNano
    }
    this.kept.push(message)
    if (this.kept.length > KEPT) this.kept.shift()
    for (const listener of this.listeners) listener(message)
  }

  /** Kept events from `since` to `until`, nanoseconds since 1970, both inclusive; the oldest first. */
  history(since: bigint, until?: bigint): EventMessage[] {
    return this.kept.filter(({ timeNano }) => timeNano >= since && (until === undefined || timeNano <= until))
  }

  /** Calls `listener` for every event from now on, until the function returned is called. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
}

/** Actions that carry a text after a colon, which a filter need not give: 'exec_start: sh'. */
const WITH_TEXT = ['health_status', 'exec_create', 'exec_start']

/** Types that filters name by the id or name of the actor, or the beginning of it, of whatever type the event is. */
const NAMED = ['container', 'network', 'volume', 'plugin', 'daemon']

/** Whether an event is among those that the filters of `/events` ask for. Names that nobody knows filter nothing out. */
export function matchesEvent(filters: Filters, message: EventMessage): boolean {
  const { Type, Action, Actor, scope } = message
  const name = Actor.Attributes['name'] ?? ''
  const image = Actor.Attributes[Type === 'image' ? 'name' : 'image'] ?? ''
  const isLoose = filters.get('event').some((event) => WITH_TEXT.includes(event))
  return (
    (isLoose ? filters.matchStart('event', Action) : filters.matchExactly('event', Action)) &&
    filters.matchExactly('type', Type) &&
    filters.matchExactly('scope', scope) &&
    NAMED.every((type) => filters.matchStart(type, Actor.ID) || filters.matchStart(type, name)) &&
    [Actor.ID, image, withoutTag(Actor.ID), withoutTag(image)].some((text) => filters.matchExactly('image', text)) &&
    filters.matchLabels(Actor.Attributes)
  )
}

/** 'registry:5000/app:1.2' is 'registry:5000/app'. */
function withoutTag(reference: string): string {
  const colon = reference.lastIndexOf(':')
  return colon > reference.lastIndexOf('/') ? reference.slice(0, colon) : reference
}
