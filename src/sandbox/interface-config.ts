import type { Netlink } from '../io/netlink/netlink.ts'
import type { NetlinkError } from '../io/netlink/netlink-error.ts'
import type { RouteOptions } from '../io/netlink/routes.ts'
import { formatIpv4 } from '../wire/address.ts'
import { parseCidr, prefixBroadcast } from '../wire/cidr.ts'

/** Writes /proc/sys/NAME (NAME starts with 'net/') of a network namespace. */
export type SysctlWriter = (name: string, value: string) => void | Promise<void>

export interface InterfaceOptions {
  /** 'eth0'. */
  readonly name: string
  /** When it is known: one question less. */
  readonly index?: number
  /** ADDRESS/LENGTH. */
  readonly address?: string
  /** Default: the subnet's last address, none for /31 and /32. */
  readonly broadcast?: string
  /** Next hop of the default route; 'device': none, everything is on the link. Default: no default route. */
  readonly gateway?: string
  /** ADDRESS/LENGTH. Without it IPv6 is switched off on the interface, as Docker does. */
  readonly address6?: string
  readonly gateway6?: string
  /** Addresses and routes are given, and router advertisements are not listened to. Default: as the namespace has it. */
  readonly ignoreAdvertisements?: boolean
  /** Leave a default route alone that is there already: the namespace is somebody else's. Default false: replace it. */
  readonly keepDefaultRoute?: boolean
  /** '02:42:ac:19:00:02'. */
  readonly mac?: string
  readonly mtu?: number
  /** Default true. False: nothing is asked or answered by ARP and neighbor discovery, and every destination has the interface's own MAC. */
  readonly arp?: boolean
}

export interface ResolverRoute {
  /** The interface that queries leave by. */
  readonly device: string
  /** The address of ours that they carry. */
  readonly source: string
  /** Where they go, see the dns-tap element. */
  readonly serviceMac: string
  /** Of the device, when it is known: one question less. */
  readonly index?: number
  /** Nothing sent it anywhere yet: one question less. Default false. */
  readonly first?: boolean
  /** Leave a route alone that is there already, by whatever device. Default false: it moves here. */
  readonly keep?: boolean
}

/** Where processes send their queries, as in Docker. */
export const RESOLVER_ADDRESS = '127.0.0.11'

/**
 * The kernel's own table, which it asks first. A route to one address in it precedes the /8 of lo, so no policy rule is
 * needed: one such rule would send every look-up of the namespace the slow way (measured: a tenth of the round trip).
 */
const LOCAL_TABLE = 255

/** Interfaces of one network namespace, whichever way it is reached: a sandbox's shim or the addon. */
export class InterfaceConfig {
  private readonly netlink: Netlink
  private readonly writeSysctl: SysctlWriter

  constructor(netlink: Netlink, writeSysctl: SysctlWriter) {
    this.netlink = netlink
    this.writeSysctl = writeSysctl
  }

  /** Addresses, switches on and routes an interface that is there. May be repeated. Throws NetlinkError, AddressError. */
  async configure(options: InterfaceOptions): Promise<void> {
    const { links, addresses } = this.netlink
    const { name, address, gateway, address6, gateway6, ignoreAdvertisements, mac, mtu, arp } = options
    const index = options.index ?? (await links.index(name)) // asked once: each of the following would
    // Before it is up: else its first frames are router solicitations that nobody asked for.
    if (address6 !== undefined && ignoreAdvertisements === true)
      await ignoring(['ENOENT'], this.writeSysctl(`net/ipv6/conf/${name}/accept_ra`, '0'))
    await ignoring(['ENOENT'], this.writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, address6 === undefined ? '1' : '0'))
    await links.set(index, { mac, mtu, arp, up: true })
    if (address !== undefined) {
      const broadcast = options.broadcast ?? broadcastOf(address)
      await ignoring(['EEXIST'], addresses.add(index, address, { broadcast }))
    }
    // The address is known to be free: it was allocated, not guessed.
    if (address6 !== undefined) await ignoring(['EEXIST'], addresses.add(index, address6, { noDad: true }))
    if (gateway !== undefined)
      await this.defaultRoute({ to: 'default', dev: index, ...(gateway !== 'device' && { via: gateway }) }, options)
    if (gateway6 !== undefined) await this.defaultRoute({ to: 'default', dev: index, via: gateway6 }, options)
  }

  private defaultRoute(route: RouteOptions, { keepDefaultRoute }: InterfaceOptions): Promise<void> {
    const { routes } = this.netlink
    return keepDefaultRoute === true ? ignoring(['EEXIST'], routes.add(route)) : routes.replace(route)
  }

  /**
   * Sends 127.0.0.11 out of a device, to a fixed MAC; the rest of 127.0.0.0/8 stays on lo (DESIGN.md section 6). May be
   * repeated, also with another device, to which the route then moves. Throws NetlinkError EINVAL when `source` is not an
   * address of the namespace, ENETDOWN when the device is down.
   */
  async routeResolver({ device, source, serviceMac, keep, index: known, first }: ResolverRoute): Promise<void> {
    const { links, routes, neighbors } = this.netlink
    if (keep === true && (await this.resolverDevices()).length > 0) return
    // Without it the kernel takes no 127.x.x.x from or to a link.
    await this.writeSysctl(`net/ipv4/conf/${device}/route_localnet`, '1')
    const index = known ?? (await links.index(device))
    const earlier = first === true ? [] : await this.resolverDevices()
    await routes.replace({ to: `${RESOLVER_ADDRESS}/32`, dev: index, source, table: LOCAL_TABLE })
    await neighbors.setPermanent(index, RESOLVER_ADDRESS, serviceMac)
    for (const left of earlier) if (left !== index) await ignoring(['ENOENT', 'ENODEV'], neighbors.delete(left, RESOLVER_ADDRESS))
  }

  /**
   * Puts everything of routeResolver back, except route_localnet; with `only`, when it leaves by that device. May be repeated;
   * what has gone with its device is no error.
   */
  async unrouteResolver(only?: string): Promise<void> {
    const { links, routes, neighbors } = this.netlink
    const index = only === undefined ? undefined : (await links.find(only))?.index
    if (only !== undefined && index === undefined) return
    for (const device of await this.resolverDevices()) {
      if (index !== undefined && device !== index) continue
      await ignoring(['ESRCH'], routes.delete({ to: `${RESOLVER_ADDRESS}/32`, dev: device, table: LOCAL_TABLE }))
      await ignoring(['ENOENT', 'ENODEV'], neighbors.delete(device, RESOLVER_ADDRESS))
    }
  }

  /** Indices of the devices that the resolver's route leaves by: none or one. */
  private async resolverDevices(): Promise<number[]> {
    const routes = await this.netlink.routes.list(LOCAL_TABLE)
    return routes.flatMap((route) => (route.to === `${RESOLVER_ADDRESS}/32` && route.dev !== undefined ? [route.dev] : []))
  }
}

function broadcastOf(address: string): string | undefined {
  const broadcast = prefixBroadcast(parseCidr(address))
  return broadcast === null ? undefined : formatIpv4(broadcast)
}

/** Waits; an error with one of these codes counts as success. */
async function ignoring(codes: readonly string[], work: void | Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!codes.includes((error as NetlinkError).code)) throw error
  }
}
