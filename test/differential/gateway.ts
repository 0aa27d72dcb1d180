/** What a gateway is to the differential: a thing with three cables that forgets on demand. */

/** A frame that came out. */
export interface OutFrame {
  /** Number of the interface. */
  readonly interface: number
  readonly bytes: Uint8Array
  /** A super-frame: payload bytes of its segments. */
  readonly segment?: number
}

/** A tracked flow, in words that both kernels and ours have. */
export interface FlowRecord {
  readonly protocol: number
  /** "source:port > destination:port", or with the id for ICMP; as the first packet had it. */
  readonly original: string
  /** The same for the direction of replies. */
  readonly reply: string
  /** TCP's state in Linux's words; empty for others. */
  readonly state: string
  readonly replied: boolean
  readonly assured: boolean
}

export interface Gateway {
  readonly name: string
  /**
   * Puts a frame into the cable of an interface; all that came out because of it, in order on each interface.
   * @param segment it is a super-frame with segments of this length
   */
  send(number: number, frame: Uint8Array, segment?: number): OutFrame[]
  /** Lets time go by where time is virtual. */
  pass(seconds: number): void
  /** The tracked flows with one of these addresses as the source or destination of the original direction. */
  flows(addresses: ReadonlySet<string>): FlowRecord[]
  /** What the gateway has to say of the frames since the last call: for reports. */
  notes?(): string[]
  /** Forgets all flows. */
  flush(): void
  close(): void
}
