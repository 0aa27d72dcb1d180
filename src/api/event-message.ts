export type EventType = 'container' | 'network' | 'image' | 'daemon' | 'volume'

/** What happened, as Docker tells it on `/events`. */
export interface EventMessage {
  /** This and the next two: the older members, of containers and images only. */
  readonly status?: string
  readonly id?: string
  readonly from?: string
  readonly Type: EventType
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly scope: 'local'
  /** Seconds since 1970. */
  readonly time: number
  /** Nanoseconds since 1970: more digits than a JavaScript number holds. */
  readonly timeNano: bigint
}

/** The message as one JSON object. */
export function eventJson(message: EventMessage): string {
  const { timeNano, ...members } = message
  return `${JSON.stringify(members).slice(0, -1)},"timeNano":${timeNano}}`
}
