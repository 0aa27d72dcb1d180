/** Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE. */
import { addressBytes, addressText, prefixBytes } from './address-bytes.ts'
import type { NetlinkConnection } from './connection.ts'
import type { Links } from './links.ts'
import { type Message, readAttributes, u32Of } from './message-reader.ts'
import { RequestFlag } from './message-writer.ts'
import {
  AF_INET,
  AF_INET6,
  MessageType,
  ROUTE_HEADER,
  ROUTE_PROTOCOL_STATIC,
  RouteAttribute,
  RouteScope,
  RouteTable,
  RouteType
} from './rtnetlink.ts'

export interface Route {
  /** `NETWORK/LENGTH`; a default route is 0.0.0.0/0 or ::/0. */
  readonly to: string
  readonly table: number
  /** RouteType: 1 unicast, 2 local, 6 blackhole, 7 unreachable, ... */
  readonly type: number
  /** RouteScope: 0 global, 253 link, 254 host. */
  readonly scope: number
  readonly via?: string
  /** Index of the link that it leaves by. */
  readonly dev?: number
  /** Preferred source address. */
  readonly source?: string
  readonly metric?: number
}

export interface RouteOptions {
  /** `NETWORK/LENGTH`, an address, or 'default', which is IPv6's when `via` is. */
  readonly to: string
  readonly via?: string
  readonly dev?: string | number
  readonly source?: string
  /** Default: main (254). */
  readonly table?: number
  /** Default: link without a gateway, global with one (IPv4); IPv6 has none. */
  readonly scope?: number
  readonly type?: number
  readonly metric?: number
}

export class Routes {
  private readonly connection: NetlinkConnection
  private readonly links: Links

  constructor(connection: NetlinkConnection, links: Links) {
    this.connection = connection
    this.links = links
  }

  /** The routes of one table (default main), or of all with table 0. */
  async list(table: number = RouteTable.main): Promise<Route[]> {
    const answers = await this.connection.dump('route show', MessageType.getRoute, (message) =>
      message.u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0)
    )
    return answers
      .filter(({ type, payload }) => type === MessageType.newRoute && (payload.getUint8(0) === AF_INET || payload.getUint8(0) === AF_INET6))
      .map(readRoute)
      .filter((route) => table === 0 || route.table === table)
  }

  async add(route: RouteOptions): Promise<void> {
    await this.send(`route add ${words(route)}`, MessageType.newRoute, RequestFlag.create | RequestFlag.exclusive, route)
  }

  /** Adds the route, in place of one to the same prefix with the same metric. */
  async replace(route: RouteOptions): Promise<void> {
    await this.send(`route replace ${words(route)}`, MessageType.newRoute, RequestFlag.create | RequestFlag.replace, route)
  }

  /** Only what is given has to match. Throws NetlinkError ESRCH when no route does. */
  async delete(route: RouteOptions): Promise<void> {
    await this.send(`route delete ${words(route)}`, MessageType.delRoute, 0, route)
  }

  private async send(text: string, type: number, flags: number, route: RouteOptions): Promise<void> {
    const via = route.via === undefined ? undefined : addressBytes(route.via)
    const isIpv6 = via?.family === AF_INET6
    const to = prefixBytes(route.to === 'default' ? (isIpv6 ? '::/0' : '0.0.0.0/0') : route.to)
    const source = route.source === undefined ? undefined : addressBytes(route.source)
    const dev = route.dev === undefined ? undefined : await this.links.index(route.dev)
    const table = route.table ?? RouteTable.main
    const deleting = type === MessageType.delRoute
    const ownScope = via === undefined && to.family === AF_INET ? RouteScope.link : RouteScope.global
    const scope = route.scope ?? (deleting ? RouteScope.nowhere : ownScope)
    await this.connection.change(text, type, flags, (message) => {
      message.u8(to.family).u8(to.length).u8(0).u8(0)
      // A table above 255 stands in the attribute alone.
      message.u8(table < 256 ? table : 0).u8(deleting ? 0 : ROUTE_PROTOCOL_STATIC)
      message
        .u8(scope)
        .u8(route.type ?? (deleting ? 0 : RouteType.unicast))
        .u32(0)
      if (to.length > 0) message.attribute(RouteAttribute.destination, to.network)
      if (via !== undefined) message.attribute(RouteAttribute.gateway, via.bytes)
      if (source !== undefined) message.attribute(RouteAttribute.preferredSource, source.bytes)
      if (dev !== undefined) message.attributeU32(RouteAttribute.outInterface, dev)
      if (route.metric !== undefined) message.attributeU32(RouteAttribute.priority, route.metric)
      message.attributeU32(RouteAttribute.table, table)
    })
  }
}

function words(route: RouteOptions): string {
  const { to, ...rest } = route
  return [to, ...Object.entries(rest).map(([key, value]) => `${key} ${value}`)].join(' ')
}

function readRoute({ payload }: Message): Route {
  const attributes = readAttributes(payload, ROUTE_HEADER)
  const network = attributes.get(RouteAttribute.destination)
  const via = attributes.get(RouteAttribute.gateway)
  const source = attributes.get(RouteAttribute.preferredSource)
  const dev = u32Of(attributes.get(RouteAttribute.outInterface))
  const metric = u32Of(attributes.get(RouteAttribute.priority))
  const zero = payload.getUint8(0) === AF_INET6 ? '::' : '0.0.0.0'
  return {
    to: `${network === undefined ? zero : addressText(network)}/${payload.getUint8(1)}`,
    table: u32Of(attributes.get(RouteAttribute.table)) ?? payload.getUint8(4),
    type: payload.getUint8(7),
    scope: payload.getUint8(6),
    ...(via && { via: addressText(via) }),
    ...(dev !== undefined && { dev }),
    ...(source && { source: addressText(source) }),
    ...(metric !== undefined && { metric })
  }
}
