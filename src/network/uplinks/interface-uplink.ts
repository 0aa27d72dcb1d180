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
import { addressFamily, formatMac, macFromIpv4, parseIpv4, parseMac } from '../../wire/address.ts'
import { parseCidr } from '../../wire/cidr.ts'
import { NetworkError } from '../network-error.ts'
import { type Uplink, type UplinkPart, type UplinkPort, UplinkPortError, type UplinkWorld } from '../uplink.ts'

export interface InterfaceUplinkOptions {
  readonly interface: string
  /** Our address on the LAN, IPv4 CIDR: one that no other station has. There is no DHCP. */
  readonly address: string
  /** The LAN's router; default: that of the machine's own default route by this interface, else there is none. */
  readonly gateway?: string
  /** Default: 02:42 and the address. */
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
  private readonly address: string
  private readonly mac: string

  /** Throws NetworkError `invalid`. */
  constructor(options: InterfaceUplinkOptions) {
    this.options = options
    this.address = options.address.split('/')[0]
    this.mac = checked(`address '${options.address}'`, 'it must look like 192.0.2.9/24', () => {
      parseCidr(options.address)
      return options.mac === undefined ? formatMac(macFromIpv4(parseIpv4(this.address))) : formatMac(parseMac(options.mac))
    })
    if (options.gateway !== undefined && addressFamily(options.gateway) !== 4) {
      throw new NetworkError('invalid', `uplink gateway '${options.gateway}' is no IPv4 address`)
    }
  }

  async start(_world: UplinkWorld): Promise<UplinkPart> {
    const { native, netlink, netns = -1, interface: name, address } = this.options
    const link = await netlink.links.find(name)
    if (link === null) throw new NetworkError('invalid', `there is no interface ${name}`, { fix: 'name one that `ip link` shows' })
    const via = this.options.gateway ?? (await this.defaultGateway(link.index))
    const { fd, mtu, vnetHeaderLength } = this.open(() => openPacketSocket(native, { netns, interface: name, promiscuous: true }))
    const element = `uplink/${name}`
    return {
      elements: { [element]: { type: 'packet-socket', options: { fd, name, mtu, vnetHeaderLength } } },
      links: [],
      port: [element, 0],
      interface: { name, mac: this.mac, addresses: [address], mtu, snat: this.address },
      routes: via === undefined ? {} : { '0.0.0.0/0': { via } },
      hostAddresses: [this.address]
    }
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  /** Ports are on our own address, where nobody else listens. */
  async publish(ports: readonly UplinkPort[]): Promise<void> {
    for (const port of ports) {
      const isOurs = port.address === '0.0.0.0' || port.address === '::' || port.address === this.address
      if (!isOurs) throw new UplinkPortError(port, 'EADDRNOTAVAIL')
    }
  }

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {}

  private async defaultGateway(index: number): Promise<string | undefined> {
    const routes = await this.options.netlink.routes.list()
    return routes.find(({ to, dev, via }) => to === '0.0.0.0/0' && dev === index && via !== undefined)?.via
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

function checked<T>(what: string, fix: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new NetworkError('invalid', `uplink ${what} is wrong: ${(cause as Error).message}`, { cause, fix })
  }
}
