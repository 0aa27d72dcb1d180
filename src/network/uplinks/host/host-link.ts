/**
 * netloom0: the cable between our router and the host's own.
 *
 *   router 169.254.110.2, fe80::2 ---- netloom0 169.254.110.1, fe80::1 | the host's forwarding ---- its interfaces
 */
import type { OpenedTap } from '../../../io/native-binding.ts'
import { formatIpv4 } from '../../../wire/address.ts'
import { parseCidr, prefixesOverlap, prefixOf } from '../../../wire/cidr.ts'
import { NetworkError } from '../../network-error.ts'
import type { HostNamespace } from './host-namespace.ts'
import { LINK_ADDRESS6, LINK_MAC, LINK_NAME, LINK_PREFIX, ROUTER_ADDRESS6, ROUTER_MAC, ROUTING_TABLE } from './host-settings.ts'
import { uplinkMtu } from './uplink-mtu.ts'

/** The addresses of a link are two of four. */
const PAIR_LENGTH = 30
const SCOPE_LINK = 253
const DEFAULT_MTU = 1500

export class HostLink {
  private readonly host: HostNamespace
  readonly tap: OpenedTap
  mtu: number
  /** IPv4 addresses without prefix lengths. */
  readonly address: string
  readonly routerAddress: string
  readonly hasIpv6: boolean

  private constructor(host: HostNamespace, tap: OpenedTap, mtu: number, first: number) {
    this.host = host
    this.tap = tap
    this.mtu = mtu
    this.address = formatIpv4(first + 1)
    this.routerAddress = formatIpv4(first + 2)
    this.hasIpv6 = host.hasIpv6
  }

  /** Sets the fresh interface up; what it has goes with it. */
  static async setUp(host: HostNamespace, tap: OpenedTap): Promise<HostLink> {
    const { netlink } = host
    const link = new HostLink(host, tap, (await uplinkMtu(host)) ?? DEFAULT_MTU, await freePair(host))
    // Before it is up: IPv6 begins then, and listens to nobody's advertisements.
    host.trySysctl(`net/ipv6/conf/${LINK_NAME}/accept_ra`, '0')
    host.trySysctl(`net/ipv6/conf/${LINK_NAME}/addr_gen_mode`, '1')
    // Packets come in here from addresses whose way back is another interface (docker0, br-...): loose. 2 also wins over `all`.
    host.setSysctl(`net/ipv4/conf/${LINK_NAME}/rp_filter`, '2')
    host.setSysctl(`net/ipv4/conf/${LINK_NAME}/forwarding`, '1') // also where new interfaces are not to forward
    // The router is where it belongs, whatever is sent back to it.
    host.setSysctl(`net/ipv4/conf/${LINK_NAME}/send_redirects`, '0')
    await netlink.links.set(LINK_NAME, { mac: LINK_MAC, mtu: link.mtu, up: true })
    await link.addAddress(4)
    if (link.hasIpv6) await link.addAddress(6)
    return link
  }

  /** Addresses that somebody took away, or that went when somebody set the interface down: of these, those that are there again. */
  async restoreAddresses(): Promise<string[]> {
    const { netlink } = this.host
    if ((await netlink.links.find(LINK_NAME))?.up !== true) return []
    const there = new Set((await netlink.addresses.list(LINK_NAME)).map(({ address }) => address))
    const restored: string[] = []
    for (const family of this.hasIpv6 ? ([4, 6] as const) : ([4] as const)) {
      const { cidr } = this.ends(family)
      if (there.has(cidr)) continue
      // Nothing can be added, and routes are to come again all the same.
      if (family === 6 && this.host.sysctl(`net/ipv6/conf/${LINK_NAME}/disable_ipv6`) !== '0') continue
      await this.addAddress(family)
      restored.push(cidr)
    }
    return restored
  }

  /** Our end's, and who is at the other one. */
  private async addAddress(family: 4 | 6): Promise<void> {
    const { addresses, neighbors } = this.host.netlink
    const { cidr, router } = this.ends(family)
    await addresses.add(LINK_NAME, cidr, { scope: SCOPE_LINK, ...(family === 6 && { noDad: true }) })
    await neighbors.setPermanent(LINK_NAME, router, ROUTER_MAC)
  }

  private ends(family: 4 | 6): { cidr: string; router: string } {
    if (family === 6) return { cidr: `${LINK_ADDRESS6}/64`, router: ROUTER_ADDRESS6 }
    return { cidr: `${this.address}/${PAIR_LENGTH}`, router: this.routerAddress }
  }

  /** With prefix lengths. */
  get routerAddresses(): string[] {
    return [`${this.routerAddress}/${PAIR_LENGTH}`, ...(this.hasIpv6 ? [`${ROUTER_ADDRESS6}/64`] : [])]
  }

  get routes(): Record<string, { via: string }> {
    return { '0.0.0.0/0': { via: this.address }, ...(this.hasIpv6 && { '::/0': { via: LINK_ADDRESS6 } }) }
  }

  /** The host's end; the router is told by whoever calls. */
  async setMtu(mtu: number): Promise<void> {
    await this.host.netlink.links.set(LINK_NAME, { mtu })
    this.mtu = mtu
  }

  /** What the host would forward to a network goes to the router; see HostChanges.addRule. */
  async addRoute(subnet: string): Promise<void> {
    await this.host.netlink.routes.replace(this.route(subnet))
  }

  async deleteRoute(subnet: string): Promise<void> {
    await this.host.netlink.routes.delete(this.route(subnet))
  }

  private route(subnet: string) {
    const via = subnet.includes(':') ? ROUTER_ADDRESS6 : this.routerAddress
    return { to: subnet, via, dev: LINK_NAME, table: ROUTING_TABLE }
  }
}

/** The first four addresses of LINK_PREFIX that this host has no address or route in. */
async function freePair({ netlink }: HostNamespace): Promise<number> {
  const used = [...(await netlink.addresses.list()).map(({ address }) => address), ...(await netlink.routes.list(0)).map(({ to }) => to)]
    .map((text) => parseCidr(text))
    .filter(({ family }) => family === 4)
  const { network, length } = parseCidr(LINK_PREFIX)
  for (let first = Number(network), left = 2 ** (PAIR_LENGTH - length); left > 0; first += 2 ** (32 - PAIR_LENGTH), left--) {
    const pair = prefixOf(first, PAIR_LENGTH)
    // A route to more than the whole prefix (the link-local one of a desktop) is in nobody's way: ours is longer.
    if (!used.some((prefix) => prefix.length >= length && prefixesOverlap(prefix, pair))) return first
  }
  throw new NetworkError('conflict', `no four addresses of ${LINK_PREFIX} are free on the host`, {
    fix: 'remove addresses or routes there'
  })
}
