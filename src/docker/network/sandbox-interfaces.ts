/**
 * Interfaces inside a container's network namespace: TAPs whose other end is on a network, the default route, and the way to
 * 127.0.0.11.
 */
import type { ElementCounters } from '../../engine/index.ts'
import { loadNative } from '../../io/load-native.ts'
import type { OpenedTap } from '../../io/native-binding.ts'
import type { Netlink } from '../../io/netlink/netlink.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { Attachment, Endpoint, EndpointSpec } from '../../network/endpoint.ts'
import type { InterfaceOptions, ResolverRoute } from '../../sandbox/interface-config.ts'
import { DNS_SERVICE_MAC } from '../../stack/host-config.ts'

/** What is needed of a sandbox. */
export interface InterfaceHolder {
  readonly netlink: Pick<Netlink, 'links' | 'routes'>
  openTap(options: { readonly name: string }): Promise<OpenedTap>
  configureInterface(options: InterfaceOptions): Promise<void>
  routeResolver(route: ResolverRoute): Promise<void>
  unrouteResolver(): Promise<void>
  writeSysctl(name: string, value: string): Promise<void>
}

/** In place of a gateway: everything is reached by the interface itself. */
export const BY_DEVICE = 'device'

export class SandboxInterfaces {
  private readonly controller: NetworkController
  /** Interface indices by holder and name: the shim need not be asked. */
  private readonly indices = new WeakMap<InterfaceHolder, Map<string, number>>()

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  /** IPv6 is off until an interface has an address of it, on lo too: as Docker has it. */
  async prepare(holder: InterfaceHolder): Promise<void> {
    await setIpv6(holder, 'all', false)
  }

  /**
   * Creates the TAP, or finds it again after a restart of the daemon, connects it and gives it its addresses; one that was `kept` has
   * them. When anything fails nothing is left. Throws what the controller, IPAM, the sandbox and the kernel throw.
   */
  async plug(holder: InterfaceHolder, network: string, ifname: string, spec: EndpointSpec): Promise<{ endpoint: Endpoint; kept: boolean }> {
    const found = this.controller.network(network)
    const { mtu, driver } = found
    const tap = await holder.openTap({ name: ifname })
    this.noteIndex(holder, ifname, tap.ifindex)
    let handedOver = false
    const make = (): Attachment => {
      handedOver = true
      return tapAttachment(tap, `${spec.name}/${ifname}`, mtu)
    }
    let endpoint: Endpoint
    try {
      endpoint = await this.controller.connect(network, spec, make)
    } catch (error) {
      // Once the engine had it, the descriptor is the element's to close: closing it twice could hit somebody else's.
      if (!handedOver) loadNative().closeFd(tap.fd)
      await removeLink(holder, ifname)
      throw error
    }
    if (tap.kept === true) return { endpoint, kept: true }
    try {
      const { mac, address, prefixLength, address6, prefixLength6 } = endpoint
      if (address6 !== '') await setIpv6(holder, 'lo', true)
      await holder.configureInterface({
        name: ifname,
        index: tap.ifindex,
        mac,
        mtu,
        ...(driver.hasArp?.(found) === false && { arp: false }),
        address: `${address}/${prefixLength}`,
        // With a gateway of ours everything is given; on a parent's LAN routers may say more.
        ...(address6 !== '' && { address6: `${address6}/${prefixLength6}`, ignoreAdvertisements: found.gateway !== null })
      })
      return { endpoint, kept: false }
    } catch (error) {
      await this.controller.disconnect(network, endpoint.name)
      await removeLink(holder, ifname)
      throw error
    }
  }

  /** Takes an endpoint off its network and its interface out of the sandbox; what has gone already is no error. */
  async unplug(holder: InterfaceHolder | null, network: string, endpoint: string, ifname: string): Promise<void> {
    try {
      if (this.controller.networks.get(network)?.endpoints.has(endpoint) === true) await this.controller.disconnect(network, endpoint)
    } finally {
      if (holder !== null) {
        this.indices.get(holder)?.delete(ifname)
        await removeLink(holder, ifname)
      }
    }
  }

  /** Sends what goes elsewhere, `0.0.0.0/0` or `::/0`, to a gateway, or BY_DEVICE; '' takes the route away, and one that is not there is no error. */
  async routeDefault(holder: InterfaceHolder, to: string, dev: string, via: string): Promise<void> {
    const { routes } = holder.netlink
    const next = via === BY_DEVICE ? {} : { via }
    if (via !== '') return routes.replace({ to, ...next, dev: this.indices.get(holder)?.get(dev) ?? dev })
    try {
      await routes.delete({ to })
    } catch (error) {
      if (!['ESRCH', 'ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }

  /** Sends 127.0.0.11 out of a device, where the network's names are answered; null: nowhere. `first`: it went nowhere before. */
  async routeResolver(holder: InterfaceHolder, device: { name: string; address: string } | null, first: boolean): Promise<void> {
    if (device === null) return holder.unrouteResolver()
    const { name, address } = device
    const index = this.indices.get(holder)?.get(name)
    await holder.routeResolver({ device: name, source: address, serviceMac: DNS_SERVICE_MAC, first, ...(index !== undefined && { index }) })
  }

  /** Takes away IPv6 of lo when no interface has any. */
  async closeIpv6(holder: InterfaceHolder): Promise<void> {
    await setIpv6(holder, 'lo', false)
  }

  /** Interfaces with a number behind one of these prefixes that nobody knows of: what a daemon that was killed had begun. False: none. */
  async removeStrangers(holder: InterfaceHolder, prefixes: readonly string[], known: readonly string[]): Promise<boolean> {
    let hadStrangers = false
    for (const { name, linkKind } of await holder.netlink.links.list()) {
      const isOurs = linkKind === 'tun' && prefixes.some((prefix) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
      if (!isOurs || known.includes(name)) continue
      hadStrangers = true
      await removeLink(holder, name)
    }
    return hadStrangers
  }

  private noteIndex(holder: InterfaceHolder, ifname: string, index: number): void {
    const known = this.indices.get(holder) ?? new Map<string, number>()
    known.set(ifname, index)
    this.indices.set(holder, known)
  }

  counters(network: string, endpoint: string): ElementCounters | undefined {
    const found = this.controller.networks.get(network)
    const plugged = found?.endpoints.get(endpoint)
    return found === undefined || plugged === undefined ? undefined : this.controller.endpointCounters(found, plugged)
  }
}

/** The engine's end of an open TAP, which the shim keeps open too; the element closes the descriptor. */
function tapAttachment({ fd, vnetHeaderLength, offloads }: OpenedTap, name: string, mtu: number): Attachment {
  return { type: 'tap', options: { fd, name, mtu, vnetHeaderLength, offloads, shared: true } }
}

/** The namespace may be on its way out, and the link with it. */
async function removeLink(holder: InterfaceHolder, ifname: string): Promise<void> {
  try {
    await holder.netlink.links.delete(ifname)
  } catch (error) {
    if (!['ENODEV', 'ERR_SANDBOX_CLOSED'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** A kernel without IPv6 has no such switch. */
async function setIpv6(holder: InterfaceHolder, device: string, on: boolean): Promise<void> {
  try {
    await holder.writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, on ? '0' : '1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
