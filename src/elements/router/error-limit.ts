/**
 * How many ICMP errors may be sent: token buckets, one for all and one per destination, with Linux's numbers
 * (icmp_msgs_per_sec, icmp_msgs_burst, icmp_ratelimit; net/ipv4/icmp.c, inet_peer_xrlim_allow).
 */
const PER_NS = 1000 / 1e9
const BURST = 50
/** Errors that a destination may have at once. */
const DESTINATION_BURST = 6
/** One more comes every second. */
const INTERVAL_NS = 1e9
/** Destinations that are told apart; two that meet in a bucket share it. */
const BUCKETS = 4096

export class ErrorLimit {
  private tokens = BURST
  private tokensAt = 0
  /** ns of credit as of `filledAt`; an error costs one interval. */
  private readonly credit = new Float64Array(BUCKETS).fill(DESTINATION_BURST * INTERVAL_NS)
  private readonly filledAt = new Float64Array(BUCKETS)
  /** Without it a sender could find addresses that share a bucket with somebody's, and empty it. */
  private readonly salt: number

  /** `salt`: 32 random bits. */
  constructor(salt: number) {
    this.salt = salt
  }

  /**
   * Takes one token of each, or none.
   * @param now ns
   * @param interval ns between two errors to this destination in the long run
   */
  take(now: number, w0: number, w1: number, w2: number, w3: number, interval: number): boolean {
    this.tokens = Math.min(BURST, this.tokens + (now - this.tokensAt) * PER_NS)
    this.tokensAt = now
    if (this.tokens < 1) return false
    const bucket = this.bucketOf(w0, w1, w2, w3)
    const credit = Math.min(DESTINATION_BURST * interval, this.credit[bucket] + (now - this.filledAt[bucket]))
    this.filledAt[bucket] = now
    this.credit[bucket] = credit < interval ? credit : credit - interval
    if (credit < interval) return false
    this.tokens--
    return true
  }

  private bucketOf(w0: number, w1: number, w2: number, w3: number): number {
    let mixed = Math.imul(w0 ^ this.salt, 0x85ebca6b)
    mixed = Math.imul(mixed ^ w1 ^ (mixed >>> 13), 0xc2b2ae35)
    mixed = Math.imul(mixed ^ w2 ^ (mixed >>> 15), 0x27d4eb2f)
    mixed = Math.imul(mixed ^ w3 ^ (mixed >>> 13), 0x9e3779b1)
    return (mixed ^ (mixed >>> 16)) & (BUCKETS - 1)
  }
}

/** Wide routes are more hosts and get more (icmpv6_xrlim_allow). @param length of the route, bits; @returns ns */
export function errorInterval(family: 4 | 6, length: number): number {
  return family === 4 ? INTERVAL_NS : INTERVAL_NS / (1 << ((128 - length) >> 5))
}
