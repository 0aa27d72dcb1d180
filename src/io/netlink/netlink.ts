/**
 * What iproute2 does, without iproute2: links, addresses, routes, rules and neighbors of one network namespace.
 *
 *   const netlink = Netlink.inNamespace(native, netnsFd)
 *   await netlink.addresses.add('eth0', '172.25.0.2/16', { broadcast: '172.25.255.255' })
 *   await netlink.links.set('eth0', { up: true })
 *
 * Which namespace it speaks to is the transport's business. Links go by name or index. Texts are checked here (AddressError);
 * what the kernel refuses is a NetlinkError with its code and its sentence.
 */
import type { NativeBinding } from '../native-binding.ts'
import { Addresses } from './addresses.ts'
import { NetlinkConnection, type NetlinkTransport } from './connection.ts'
import { Links } from './links.ts'
import { Neighbors } from './neighbors.ts'
import { Routes } from './routes.ts'
import { Rules } from './rules.ts'

const NETLINK_ROUTE = 0

export class Netlink {
  readonly links: Links
  readonly addresses: Addresses
  readonly routes: Routes
  readonly rules: Rules
  readonly neighbors: Neighbors

  constructor(transport: NetlinkTransport) {
    const connection = new NetlinkConnection(transport)
    this.links = new Links(connection)
    this.addresses = new Addresses(connection, this.links)
    this.routes = new Routes(connection, this.links)
    this.rules = new Rules(connection)
    this.neighbors = new Neighbors(connection, this.links)
  }

  /** Over the addon; `netns` is a namespace's fd, -1 for the caller's own. Needs CAP_NET_ADMIN there to change anything. */
  static inNamespace(native: NativeBinding, netns: number): Netlink {
    return new Netlink((request) => native.netlinkExchange(netns, NETLINK_ROUTE, request))
  }
}
