/**
 * How far the answer about one IPv4 destination reaches: the addresses cut wherever a prefix begins or ends.
 *
 *   0 | 0/8 | ... 10.0.0.0 | own address | ... | 10.255.255.255 | ... | 127/8 | ... | 198.51.100.0/24 | ... | 224/4 | ... 2^32
 *
 * Between two cuts all addresses have the same longest prefix, so who knows the way to one of them knows it for the others too (Open
 * vSwitch's megaflows rest on the same thought). Asked where a destination takes the long way, made anew after changes.
 */

/** Address space of IPv4. */
const END = 2 ** 32
/** Prefixes that no route has and the router refuses: RFC 1812 5.3.7. */
const MARTIANS: readonly (readonly [network: number, length: number])[] = [
  [0, 8],
  [0x7f000000, 8],
  [0xe0000000, 4],
  [0xffffffff, 32]
]

/** Who else goes the way of an address, as far as anybody asks: nobody, all of its /16, all of its /8. */
export const Reach = { host: 0, block16: 1, block8: 2 } as const

export class RouteRegions {
  /** Ascending: 0, every first address of a prefix, every first one behind a prefix, END. */
  private readonly cuts: Float64Array

  /** `prefixes`: network (int32 or unsigned, host bits cleared) and length. */
  constructor(prefixes: Iterable<readonly [network: number, length: number]>) {
    const cuts = new Set([0, END])
    for (const list of [prefixes, MARTIANS]) {
      for (const [network, length] of list) {
        const first = network >>> 0
        cuts.add(first).add(first + 2 ** (32 - length))
      }
    }
    this.cuts = Float64Array.from(cuts).sort()
  }

  /** Reach of `address` (int32). */
  reach(address: number): number {
    const bits = this.freeBits(address)
    return bits >= 24 ? Reach.block8 : bits >= 16 ? Reach.block16 : Reach.host
  }

  /** How many low bits of `address` (int32) may be others without leaving its region: 0 to 31. */
  freeBits(address: number): number {
    const { cuts } = this
    const at = address >>> 0
    let low = 0
    let high = cuts.length - 1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (cuts[middle] <= at) low = middle
      else high = middle
    }
    // The block of 2^bits addresses must reach neither what is below the region nor what is above it.
    const below = cuts[low] === 0 ? 31 : 31 - Math.clz32(address ^ (cuts[low] - 1))
    const above = cuts[high] === END ? 31 : 31 - Math.clz32(address ^ cuts[high])
    return Math.min(below, above)
  }
}
