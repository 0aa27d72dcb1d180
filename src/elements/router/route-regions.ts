/**
 * How far the answer about one IPv4 destination reaches: all of its /8 or /16, where no prefix begins or ends inside.
 *
 *   10/8   | ... own address | ... |      prefixes longer than /8 in it: its addresses are asked for one by one, or by /16
 *   20/8   |                       |      none: who knows the way to one address knows it for all
 *
 * All addresses of such a block have the same longest prefix (Open vSwitch's megaflows rest on the same thought). Prefixes are counted
 * as they come and go: a change costs nothing more in a lab of thousands of networks. Asked where a destination takes the long way.
 */

/** Who else goes the way of an address, as far as anybody asks: nobody, all of its /16, all of its /8. */
export const Reach = { host: 0, block16: 1, block8: 2 } as const

export class RouteRegions {
  /** By the first byte: prefixes longer than /8. */
  private readonly inOctet = new Int32Array(256)
  /** By the first two: prefixes longer than /16. Those that have none are not in it. */
  private readonly inBlock16 = new Map<number, number>()

  constructor() {
    // No route has it, and the router refuses it. Other martians (RFC 1812 5.3.7) are whole blocks.
    this.count(-1, 32, 1)
  }

  /** A prefix comes (1) or goes (-1); `network`: int32, host bits cleared. */
  count(network: number, length: number, by: 1 | -1): void {
    if (length > 8) this.inOctet[network >>> 24] += by
    if (length <= 16) return
    const block = network >>> 16
    const count = (this.inBlock16.get(block) ?? 0) + by
    if (count > 0) this.inBlock16.set(block, count)
    else this.inBlock16.delete(block)
  }

  /** Reach of `address` (int32). */
  reach(address: number): number {
    if (this.inOctet[address >>> 24] === 0) return Reach.block8
    return this.inBlock16.has(address >>> 16) ? Reach.host : Reach.block16
  }
}
