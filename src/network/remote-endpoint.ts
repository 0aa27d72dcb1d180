/**
 * A station of a network that is on another host: known by name, and reached by its VTEP.
 */
export interface RemoteEndpoint {
  /** The endpoint's id. */
  readonly id: string
  /** Names by which it is found; the first is the PTR's. */
  readonly names: readonly string[]
  readonly address: string
  /** Empty without IPv6. */
  readonly address6: string
  readonly mac: string
  /** Its host's address on the underlay. */
  readonly vtep: string
}
