/**
 * What happened in the daemon, as Docker tells it on `/events`. The last 1,024 events are kept for `--since`; older ones are gone,
 * and none outlives the daemon.
 */
import type { EventMessage, EventType } from '../api/event-message.ts'
import type { Filters } from '../api/filters.ts'
import type { EventSource } from '../api/system-backend.ts'
import type { Clock } from '../engine/clock.ts'

/** Whom it happened to; the attributes hold its name and whatever Docker tells of it. */
export interface Actor {
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
}

const KEPT = 1024

export class EventLog implements EventSource {
  private readonly clock: Clock
  /** The oldest first. */
  private readonly kept: EventMessage[] = []
  private readonly listeners = new Set<(message: EventMessage) => void>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  get listenerCount(): number {
    return this.listeners.size
  }

  publish(type: EventType, action: string, actor: Actor): void {
    const timeNano = this.clock.epochNs + BigInt(this.clock.now())
    const message: EventMessage = {
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

  history(filters: Filters, since: bigint, until?: bigint): EventMessage[] {
    return this.kept.filter((message) => {
      const { timeNano } = message
      return timeNano >= since && (until === undefined || timeNano <= until) && matchesEvent(filters, message)
    })
  }

  listen(filters: Filters, listener: (message: EventMessage) => void): () => void {
    const filtered = (message: EventMessage): void => {
      if (matchesEvent(filters, message)) listener(message)
    }
    this.listeners.add(filtered)
    return () => this.listeners.delete(filtered)
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
