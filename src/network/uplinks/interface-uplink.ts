/**
 * Uplink `interface=NAME`: a station of our own on the LAN behind an interface that exists, by a packet socket.
 *
 *   nat -- [dhcp-client --] packet socket ... NAME, which the kernel goes on using ... the LAN
 *
 * Nothing is changed on the machine but promiscuous mode while the socket is open, so there is no journal. The station has a MAC of
 * its own; the machine itself is not on the LAN that we see (a packet socket does not hear what its own machine sends, and the machine
 * not what we send): the host's addresses are other stations', unreachable from the networks.
 *
 * With DHCP the networks run before there is a lease: until then nothing is routed to the LAN.
 */
import { isDeepStrictEqual } from 'node:util'
import { DhcpClientPort, type DhcpEvent } from '../../elements/dhcp-client/dhcp-client.ts'
import { realTimers, type Timers } from '../../engine/clock.ts'
import type { TopologyElement, TopologyLink } from '../../engine/index.ts'
import { interfaceSpeed } from '../../io/interface-speed.ts'
import type { NativeBinding } from '../../io/native-binding.ts'
import type { Netlink } from '../../io/netlink/netlink.ts'
import { openPacketSocket } from '../../io/packet-socket-device.ts'
import { addressFamily, formatIpv6, linkLocalFromMac, parseMac } from '../../wire/address.ts'
import { formatAddress, parseAddress } from '../../wire/cidr.ts'
import { NetworkError } from '../network-error.ts'
import { type Uplink, type UplinkPart, type UplinkPort, UplinkPortError, type UplinkWorld } from '../uplink.ts'
import { InterfaceWatch } from './interface-watch.ts'
import { LanAddresses } from './lan-addresses.ts'
import { PacedWatch } from './paced-watch.ts'
import { stationMac } from './station-mac.ts'

export interface InterfaceUplinkOptions {
  readonly interface: string
  /**
   * Our addresses on the LAN, CIDR, at most one of each family: ones that no other station has. With `dhcp` an IPv4 one is used while no
   * server answers.
   */
  readonly addresses: readonly string[]
  /** Lease an IPv4 address. Default: where no address is given. */
  readonly dhcp?: boolean
  /** Told to the DHCP server. */
  readonly hostName?: string
  /** The LAN's routers; default: the DHCP server's, else those of the machine's own default routes by this interface, else none. */
  readonly gateways?: readonly string[]
  /** Default: 02:42 and the IPv4 address, or the end of the IPv6 one; with DHCP alone, 02:42 and a hash of the interface's own MAC. */
  readonly mac?: string
  readonly native: NativeBinding
  /** Of the namespace of the interface. */
  readonly netlink: Netlink
  /** Descriptor of that namespace; default -1, the caller's own. */
  readonly netns?: number
  readonly timers?: Timers
}

/** What `start` found and opened. */
interface Station {
  readonly world: UplinkWorld
  readonly mac: string
  /** Of the interface. */
  readonly index: number
  /** bit/s */
  readonly speed: number | undefined
  /** Options of the packet socket, but for its MTU. */
  readonly socket: Readonly<Record<'fd' | 'vnetHeaderLength', number>>
  readonly elements: Readonly<Record<string, TopologyElement>>
  readonly links: readonly TopologyLink[]
}

export class InterfaceUplink implements Uplink {
  readonly kind = 'interface'
  private readonly options: InterfaceUplinkOptions
  private readonly addresses: LanAddresses
  private watch: InterfaceWatch | null = null
  private wayWatch: PacedWatch | null = null
  private station: Station | null = null
  /** What the world knows. */
  private told: UplinkPart | null = null
  private line: Promise<unknown> = Promise.resolve()

  /** Throws NetworkError `invalid`. */
  constructor(options: InterfaceUplinkOptions) {
    this.options = options
    const { addresses, dhcp = addresses.length === 0, mac } = options
    this.addresses = new LanAddresses(addresses, dhcp)
    for (const gateway of options.gateways ?? []) {
      if (addressFamily(gateway) === 0) throw new NetworkError('invalid', `uplink gateway '${gateway}' is no address`)
    }
    try {
      if (mac !== undefined) parseMac(mac)
    } catch (cause) {
      const problem = `uplink MAC '${mac}' is wrong: ${(cause as Error).message}`
      throw new NetworkError('invalid', problem, { cause, fix: 'it must look like 02:cc:00:00:00:09' })
    }
  }

  async start(world: UplinkWorld): Promise<UplinkPart> {
    const { native, netlink, netns = -1, interface: name, hostName } = this.options
    const { addresses } = this
    const link = await netlink.links.find(name)
    if (link === null) throw new NetworkError('invalid', `there is no interface ${name}`, { fix: 'name one that `ip link` shows' })
    this.watch = new InterfaceWatch({
      native,
      netlink,
      netns,
      index: link.index,
      gone: () => world.failed(new NetworkError('closed', `the interface ${name} was deleted, or moved to another namespace`)),
      failed: (error) => world.log(`whether the interface ${name} is still there cannot be found out: ${error.message}`)
    })
    const { fd, mtu, vnetHeaderLength } = this.open(() => openPacketSocket(native, { netns, interface: name, promiscuous: true }))
    const mac = stationMac(this.options.mac, addresses, link)
    const [device, client] = [`uplink/${name}`, `uplink/${name}/dhcp`]
    const elements: Record<string, TopologyElement> = {}
    const links: TopologyLink[] = []
    if (addresses.isLeased) {
      elements[client] = { type: 'dhcp-client', options: { mac, hostName } }
      links.push({ a: [device, 0], b: [client, DhcpClientPort.lan] })
      world.listen(client, (event) => this.leased(event as DhcpEvent))
    }
    this.station = { world, mac, index: link.index, speed: await interfaceSpeed(link), socket: { fd, vnetHeaderLength }, elements, links }
    this.wayWatch = new PacedWatch({
      native,
      netns,
      timers: this.options.timers ?? realTimers,
      ask: () => this.followed(),
      failed: (error) => world.log(`${name}: what changed of its MTU or routes cannot be followed: ${error.message}`)
    })
    this.told = await this.part(this.station, mtu)
    return this.told
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  /** Ports are on our own addresses, where nobody else listens. */
  async publish(ports: readonly UplinkPort[]): Promise<void> {
    const { hosts } = this.addresses
    for (const port of ports) {
      const isOurs = port.address === '0.0.0.0' || port.address === '::' || hosts.includes(canonical(port.address))
      if (!isOurs) throw new UplinkPortError(port, 'EADDRNOTAVAIL')
    }
  }

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {
    this.watch?.close()
    this.wayWatch?.close()
    this.station = null
  }

  private async part({ mac, index, speed, socket, elements, links }: Station, mtu: number): Promise<UplinkPart> {
    const { interface: name } = this.options
    const { ipv4, ipv6, cidrs, hosts, isLeased } = this.addresses
    // Neighbor discovery is spoken from it, and a router that we ask wants one (RFC 4861, section 6.1.1).
    const linkLocal = ipv6 === undefined ? [] : [`${formatIpv6(linkLocalFromMac(parseMac(mac)))}/64`]
    const snat = { ...(ipv4 !== undefined && { snat: ipv4 }), ...(ipv6 !== undefined && { snat6: ipv6 }) }
    return {
      elements: { [`uplink/${name}`]: { type: 'packet-socket', options: { ...socket, name, mtu } }, ...elements },
      links,
      port: isLeased ? [`uplink/${name}/dhcp`, DhcpClientPort.station] : [`uplink/${name}`, 0],
      interface: { name, mac, addresses: [...cidrs, ...linkLocal], mtu, ...(speed !== undefined && { speed }), ...snat },
      routes: await this.routes(index),
      hostAddresses: hosts
    }
  }

  /** What the DHCP client tells. */
  private leased(event: DhcpEvent): void {
    const { station, addresses, options } = this
    if (station === null) return
    const { world } = station
    const isNews = addresses.take(event)
    world.log(`${options.interface}: ${addresses.sentence(event)}`)
    if (!isNews) return
    this.retell().catch((error: Error) => world.log(`${options.interface}: the new address cannot be used: ${error.message}`))
  }

  /** Links or routes of the machine changed, perhaps ours. */
  private async followed(): Promise<void> {
    const { told: before, station, options } = this
    await this.retell()
    const { told: now } = this
    if (station === null || before === null || now === null) return
    if (now.interface.mtu !== before.interface.mtu) station.world.log(`${options.interface}: its MTU is ${now.interface.mtu} bytes now`)
    if (isDeepStrictEqual(now.routes, before.routes)) return
    const routers = Object.values(now.routes).map(({ via }) => via)
    station.world.log(`${options.interface}: the way out is now by ${routers.length === 0 ? 'no router' : routers.join(' and ')}`)
  }

  /** Tells the world of the way out as it is now, if that is another; one after the other. */
  private retell(): Promise<void> {
    const done = this.line.then(async () => {
      const { station, told } = this
      if (station === null || told === null) return
      const link = (await this.options.netlink.links.list()).find(({ index }) => index === station.index)
      const part = await this.part(station, link?.mtu ?? told.interface.mtu)
      if (this.station !== station || isDeepStrictEqual(part, told)) return
      await station.world.changed(part)
      this.told = part
    })
    this.line = done.catch(() => {}) // who asked for it is told
    return done
  }

  /** One default route for each family that we have an address of and know a router for. `index`: of the interface. */
  private async routes(index: number): Promise<Record<string, { via: string }>> {
    const { netlink, gateways = [] } = this.options
    const { ipv4, ipv6, routers } = this.addresses
    const machine = await netlink.routes.list()
    const result: Record<string, { via: string }> = {}
    for (const [family, to, address] of [
      [4, '0.0.0.0/0', ipv4],
      [6, '::/0', ipv6]
    ] as const) {
      if (address === undefined) continue
      const given = [...gateways, ...routers].find((gateway) => addressFamily(gateway) === family)
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

function canonical(address: string): string {
  return addressFamily(address) === 0 ? address : formatAddress(parseAddress(address))
}
