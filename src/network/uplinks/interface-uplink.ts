/**
 * Uplink `interface=NAME`: a station of our own on the LAN behind an interface that exists, by a packet socket.
 *
 *   nat -- packet socket ... NAME, which the kernel goes on using ... the LAN
 *
 * Nothing is changed on the machine but promiscuous mode while the socket is open, so there is no journal. The station has a MAC of
 * its own; the machine itself is not on the LAN that we see (a packet socket does not hear what its own machine sends, and the machine
 * not what we send): the host's addresses are other stations', unreachable from the networks.
 */

import type { NativeBinding } from '../../io/native-binding.ts'
import type { Netlink } from '../../io/netlink/netlink.ts'
import { openPacketSocket } from '../../io/packet-socket-device.ts'
import {
  addressFamily,
  formatIpv6,
  formatMac,
  linkLocalFromMac,
  type Mac,
  macFromIpv4,
  parseIpv4,
  parseIpv6,
  parseMac
} from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { formatAddress, parseAddress, parseCidr } from '../../wire/cidr.ts'
import { NetworkError } from '../network-error.ts'
import { type Uplink, type UplinkPart, type UplinkPort, UplinkPortError, type UplinkWorld } from '../uplink.ts'
import { InterfaceWatch } from './interface-watch.ts'

export interface InterfaceUplinkOptions {
  readonly interface: string
  /** Our addresses on the LAN, CIDR, one or one of each family: ones that no other station has. There is no DHCP. */
  readonly addresses: readonly string[]
  /** The LAN's routers; default: those of the machine's own default routes by this interface, else there are none. */
  readonly gateways?: readonly string[]
  /** Default: 02:42 and the IPv4 address, or the end of the IPv6 one. */
  readonly mac?: string
  readonly native: NativeBinding
  /** Of the namespace of the interface. */
  readonly netlink: Netlink
  /** Descriptor of that namespace; default -1, the caller's own. */
  readonly netns?: number
}

export class InterfaceUplink implements Uplink {
  readonly kind = 'interface'
  private readonly options: InterfaceUplinkOptions
  private readonly mac: string
  /** Without prefix lengths. */
  private readonly own: { readonly ipv4?: string; readonly ipv6?: string }
  private watch: InterfaceWatch | null = null

  /** Throws NetworkError `invalid`. */
  constructor(options: InterfaceUplinkOptions) {
    this.options = options
    const own: { ipv4?: string; ipv6?: string } = {}
    for (const text of options.addresses) {
      const { family } = checked(`address '${text}'`, 'it must look like 192.0.2.9/24', () => parseCidr(text))
      const name = family === 4 ? 'ipv4' : 'ipv6'
      if (own[name] !== undefined) throw new NetworkError('invalid', `uplink address '${text}' is one more of IPv${family}`)
      own[name] = withoutLength(text)
    }
    this.own = own
    for (const gateway of options.gateways ?? []) {
      if (addressFamily(gateway) === 0) throw new NetworkError('invalid', `uplink gateway '${gateway}' is no address`)
    }
    this.mac = checked(`MAC '${options.mac}'`, 'it must look like 02:cc:00:00:00:09', () => formatMac(macOf(options.mac, own)))
  }

  async start(world: UplinkWorld): Promise<UplinkPart> {
    const { native, netlink, netns = -1, interface: name, addresses } = this.options
    const { mac, own } = this
    const link = await netlink.links.find(name)
    if (link === null) throw new NetworkError('invalid', `there is no interface ${name}`, { fix: 'name one that `ip link` shows' })
    const routes = await this.routes(link.index)
    this.watch = new InterfaceWatch({
      native,
      netlink,
      netns,
      index: link.index,
      gone: () => world.failed(new NetworkError('closed', `the interface ${name} was deleted, or moved to another namespace`)),
      failed: (error) => world.log(`whether the interface ${name} is still there cannot be found out: ${error.message}`)
    })
    const { fd, mtu, vnetHeaderLength } = this.open(() => openPacketSocket(native, { netns, interface: name, promiscuous: true }))
    const element = `uplink/${name}`
    // Neighbor discovery is spoken from it, and a router that we ask wants one (RFC 4861, section 6.1.1).
    const linkLocal = own.ipv6 === undefined ? [] : [`${formatIpv6(linkLocalFromMac(parseMac(mac)))}/64`]
    return {
      elements: { [element]: { type: 'packet-socket', options: { fd, name, mtu, vnetHeaderLength } } },
      links: [],
      port: [element, 0],
      interface: {
        name,
        mac,
        addresses: [...addresses, ...linkLocal],
        mtu,
        ...(own.ipv4 !== undefined && { snat: own.ipv4 }),
        ...(own.ipv6 !== undefined && { snat6: own.ipv6 })
      },
      routes,
      hostAddresses: this.hostAddresses
    }
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  /** Ports are on our own addresses, where nobody else listens. */
  async publish(ports: readonly UplinkPort[]): Promise<void> {
    for (const port of ports) {
      const isOurs = port.address === '0.0.0.0' || port.address === '::' || this.hostAddresses.includes(canonical(port.address))
      if (!isOurs) throw new UplinkPortError(port, 'EADDRNOTAVAIL')
    }
  }

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {
    this.watch?.close()
  }

  private get hostAddresses(): string[] {
    return [this.own.ipv4, this.own.ipv6].flatMap((address) => (address === undefined ? [] : canonical(address)))
  }

  /** One default route for each family that we have an address of and know a router for. `index`: of the interface. */
  private async routes(index: number): Promise<Record<string, { via: string }>> {
    const { netlink, gateways = [] } = this.options
    const machine = await netlink.routes.list()
    const result: Record<string, { via: string }> = {}
    for (const [family, to, address] of [
      [4, '0.0.0.0/0', this.own.ipv4],
      [6, '::/0', this.own.ipv6]
    ] as const) {
      if (address === undefined) continue
      const given = gateways.find((gateway) => addressFamily(gateway) === family)
      const via = given ?? machine.find((route) => route.to === to && route.dev === index && route.via !== undefined)?.via
      if (via !== undefined) result[to] = { via }
    }
    return result
  }

  private open<T>(open: () => T): T {
    try {
      return open()
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      const problem = `a packet socket on ${this.options.interface} cannot be opened: ${message}`
      const fix = code === 'EPERM' ? 'run as root, or with CAP_NET_RAW; or take --uplink user' : undefined
      throw new NetworkError('unsupported', problem, { cause, fix })
    }
  }
}

function withoutLength(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}

function canonical(address: string): string {
  return addressFamily(address) === 0 ? address : formatAddress(parseAddress(address))
}

function macOf(given: string | undefined, { ipv4, ipv6 }: { readonly ipv4?: string; readonly ipv6?: string }): Mac {
  if (given !== undefined) return parseMac(given)
  if (ipv4 !== undefined) return macFromIpv4(parseIpv4(ipv4))
  if (ipv6 !== undefined) return macFromIpv4(get32(parseIpv6(ipv6), 12))
  throw new NetworkError('invalid', 'an uplink needs an address on its LAN', { fix: 'add address=192.0.2.9/24' })
}

function checked<T>(what: string, fix: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new NetworkError('invalid', `uplink ${what} is wrong: ${(cause as Error).message}`, { cause, fix })
  }
}
