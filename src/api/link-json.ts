/** What /netloom/links takes and gives. */

/** The body of PUT: a target's link is set anew in the directions that are named. */
export interface LinkRequest {
  /** A container or endpoint (`web`, `front/web`), or a network: all its endpoints, those that come too. */
  readonly target: string
  /** As the endpoint sees it; default both. */
  readonly direction?: 'both' | 'out' | 'in'
  /** tc netem's: ['delay', '50ms', 'loss', '1%']; none: not shaped any more. */
  readonly words: readonly string[]
  /** Text of a trace file: how rate, delay and loss change. */
  readonly trace?: string
}

/** A link that is shaped, or was. */
export interface LinkRow {
  readonly network: string
  /** '' for what a network gives to the endpoints that come. */
  readonly endpoint: string
  /** In words; '' where the direction is not shaped. */
  readonly out: string
  readonly in: string
  /** What the link has counted, by name: `out.lost`, `in.queueDrops`... */
  readonly counters: Readonly<Record<string, number>>
}
