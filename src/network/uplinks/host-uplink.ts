/**
 * Uplink `host`: the daemon's network namespace is a station on every network, and its kernel forwards and masquerades what leaves.
 *
 *   network's bridge -- divert -- nat | router | nat -- netloom0 | host: forwarding, masquerade -- eth0 ...
 *                          |
 *                       docker0, br-... | host: its own sockets
 *
 * Parts are in `host/`; its README says what is changed on the host and why.
 */
import { realTimers, type Timers } from '../../engine/clock.ts'
import type { NativeBinding, OpenedTap } from '../../io/native-binding.ts'
import { NetlinkError } from '../../io/netlink/netlink-error.ts'
import { addressFamily } from '../../wire/address.ts'
import { TAP_SPEED } from '../capture-point.ts'
import { NetworkError } from '../network-error.ts'
import type { NetworkTap, Uplink, UplinkNetwork, UplinkPart, UplinkPort, UplinkWorld } from '../uplink.ts'
import { ForeignForwardDrops } from './host/foreign-filters.ts'
import { HostAddressWatch } from './host/host-addresses.ts'
import { HostChanges } from './host/host-changes.ts'
import { HostJournal } from './host/host-journal.ts'
import { HostLink } from './host/host-link.ts'
import { HostNamespace } from './host/host-namespace.ts'
import { LINK_NAME, ROUTER_MAC } from './host/host-settings.ts'
import { openStation } from './host/host-station.ts'
import { HostTable } from './host/host-table.ts'
import { KeptWays } from './host/kept-ways.ts'
import { openHostTap, tapElementOf } from './host/open-host-tap.ts'
import { PortListeners } from './host/port-listeners.ts'
import { UplinkMtuWatch } from './host/uplink-mtu.ts'
import { InterfaceWatch } from './interface-watch.ts'
import { refuseOverlap } from './link-overlap.ts'

const LINK_ELEMENT = 'uplink/netloom0'
const UDP = 17
const FORWARDING = 'net/ipv4/ip_forward'

export interface HostUplinkOptions {
  readonly native: NativeBinding
  /** Where the journal of changes is kept; it exists. */
  readonly stateDirectory: string
  readonly timers?: Timers
}

export class HostUplink implements Uplink {
  readonly kind = 'host'
  private readonly host: HostNamespace
  private readonly stateDirectory: string
  private readonly timers: Timers
  private readonly listeners: PortListeners
  private readonly networks = new Map<string, UplinkNetwork>()
  private readonly ports = new Map<string, UplinkPort>()
  private world: UplinkWorld | undefined
  private changes: HostChanges | undefined
  private table: HostTable | undefined
  private ways: KeptWays | undefined
  private link: HostLink | undefined
  private foreign: ForeignForwardDrops | undefined
  private watch: HostAddressWatch | undefined
  private mtuWatch: UplinkMtuWatch | undefined
  private linkWatch: InterfaceWatch | undefined
  /** netloom0 as long as it is ours and not the engine's. */
  private ownTap: OpenedTap | undefined
  private forwardsIpv6 = false

  constructor({ native, stateDirectory, timers = realTimers }: HostUplinkOptions) {
    this.host = new HostNamespace(native, -1)
    this.stateDirectory = stateDirectory
    this.timers = timers
    this.listeners = new PortListeners(timers)
  }

  /**
   * Puts back what a killed daemon changed, for one that starts with another uplink. While somebody else has netloom0, what is there is
   * that one's, and this rejects with NetworkError `conflict`. Rejects with `unclean` when something stays.
   */
  async removeLeft(): Promise<void> {
    const { host } = this
    const journal = HostJournal.open(this.stateDirectory, host.id)
    if (journal.changes.length === 0) return
    const { fd } = await openHostTap(host, LINK_NAME, this.timers)
    const errors = await new HostChanges(host, journal).undoAll().finally(() => host.native.closeFd(fd))
    if (errors.length > 0) throw unclean(errors)
  }

  async start(world: UplinkWorld): Promise<UplinkPart> {
    this.world = world
    // Whoever has netloom0 is the only one here: what else bears our names is left of somebody who is gone.
    this.ownTap = await openHostTap(this.host, LINK_NAME, this.timers)
    try {
      return await this.setUp(world, this.ownTap)
    } catch (error) {
      throw explained(error)
    }
  }

  async addNetwork(network: UplinkNetwork): Promise<NetworkTap> {
    const { ways, host, link } = this
    if (ways === undefined || link === undefined) throw new NetworkError('closed', 'the uplink has not been started')
    refuseOverlap(network, link.routerAddresses.slice(0, 1)) // each link has link-local IPv6 addresses of its own
    const subnets = subnetsOf(network)
    const tap = await openStation(host, network, this.timers)
    try {
      if (network.gateway6 !== null) await this.forwardIpv6()
      for (const subnet of subnets) await ways.addRoute(subnet)
    } catch (error) {
      // Routes that came before the error are in nobody's way: without the network they end in the router.
      host.native.closeFd(tap.fd)
      throw explained(error)
    }
    this.networks.set(network.id, network)
    return { tap: tapElementOf(tap, network.mtu) }
  }

  async removeNetwork(id: string): Promise<void> {
    const network = this.networks.get(id)
    if (network === undefined) return
    this.networks.delete(id)
    for (const subnet of subnetsOf(network)) await this.ways?.deleteRoute(subnet)
  }

  async publish(ports: readonly UplinkPort[]): Promise<void> {
    await this.listeners.open(ports)
    try {
      await this.table?.addPorts(ports)
    } catch (error) {
      await this.listeners.close(ports.map(({ key }) => key))
      throw explained(error)
    }
    for (const port of ports) this.ports.set(port.key, port)
    await this.forgetDatagrams(ports.filter(({ protocol }) => protocol === 'udp').flatMap((port) => this.untranslated(port)))
  }

  async unpublish(keys: readonly string[]): Promise<void> {
    const gone = keys.flatMap((key) => this.ports.get(key) ?? [])
    for (const { key } of gone) this.ports.delete(key)
    await this.listeners.close(keys)
    await this.table?.deletePorts(gone)
    const targets = gone.filter(({ protocol }) => protocol === 'udp')
    await this.forgetDatagrams(targets.map(({ target, targetPort }) => ({ address: target, port: targetPort })))
  }

  obstacles(): readonly string[] {
    const forwarding =
      this.host.sysctl(FORWARDING) === '0' ? [`the host forwards nothing; to let it: sysctl -w ${FORWARDING.replaceAll('/', '.')}=1`] : []
    return [...forwarding, ...(this.foreign?.sentences ?? [])]
  }

  async close(): Promise<void> {
    this.watch?.close()
    this.mtuWatch?.close()
    this.linkWatch?.close()
    await this.listeners.close()
    await this.table?.close()
    await this.ways?.close()
    const errors = (await this.changes?.undoAll()) ?? []
    if (this.ownTap !== undefined) this.host.native.closeFd(this.ownTap.fd)
    this.ownTap = undefined
    this.changes = undefined
    this.table = undefined
    this.ways = undefined
    if (errors.length > 0) throw unclean(errors)
  }

  private async setUp(world: UplinkWorld, tap: OpenedTap): Promise<UplinkPart> {
    const { host } = this
    const changes = new HostChanges(host, HostJournal.open(this.stateDirectory, host.id))
    for (const error of await changes.undoAll())
      world.log(`what an earlier daemon changed on this host could not be put back: ${error.message}`)
    await changes.removeStrays()
    this.changes = changes
    const link = await HostLink.setUp(host, tap)
    this.link = link
    const foreign = new ForeignForwardDrops(host, world.log)
    this.foreign = foreign
    const table = new HostTable(host, world.log, () => foreign.look())
    this.table = table
    await table.open(changes, link.routerAddress)
    const ways = new KeptWays({ host, timers: this.timers, link, changes, log: world.log })
    this.ways = ways
    await ways.open()
    if (host.sysctl(FORWARDING) !== '1') await table.dropOtherForwarding(4)
    changes.setSysctl(FORWARDING, '1')
    this.watch = await HostAddressWatch.open(
      host,
      (addresses) => world.hostAddresses(addresses),
      (error) => world.log(`the host's addresses cannot be listed: ${error.message}`)
    )
    await foreign.look()
    const part = (): UplinkPart => partOf(link, tap, this.watch?.addresses ?? [])
    this.mtuWatch = new UplinkMtuWatch(
      host,
      this.timers,
      link.mtu,
      async (mtu) => {
        await link.setMtu(mtu)
        await world.changed(part())
        world.log(`the host's way out has another MTU now: ${mtu} bytes`)
      },
      (error) => world.log(`the MTU of ${LINK_NAME} does not follow that of the host's way out: ${error.message}`)
    )
    this.linkWatch = new InterfaceWatch({
      native: host.native,
      netlink: host.netlink,
      netns: host.fd,
      index: await host.netlink.links.index(LINK_NAME),
      gone: () => this.lost(world),
      failed: (error) => world.log(`whether ${LINK_NAME} is still there cannot be found out: ${error.message}`)
    })
    this.ownTap = undefined
    return part()
  }

  /** What watches over netloom0 has nothing to see to any more; its sockets and our table stay, which keep ports and close the way past us. */
  private lost({ failed }: UplinkWorld): void {
    this.mtuWatch?.close()
    void this.ways?.close()
    failed(
      new NetworkError('closed', `somebody deleted ${LINK_NAME}, or moved it to another namespace (a new start of the daemon makes it)`)
    )
  }

  /**
   * UDP flows that these answer. A client that goes on sending keeps its translation alive, and would send to an address that may be somebody
   * else's by now; or keeps having none, and would be served by our socket, under the gateway's address. TCP connections end by themselves.
   * Where the kernel cannot filter what it deletes, or no descriptor is left, entries live on for up to three minutes.
   */
  private async forgetDatagrams(stations: readonly { readonly address: string; readonly port: number }[]): Promise<void> {
    try {
      await this.host.conntrack.forgetAnsweredBy(stations.map((station) => ({ protocol: UDP, ...station })))
    } catch {
      // The ports are as asked, whatever is not forgotten; that ends by itself.
    }
  }

  /** Who answered at a port before the kernel translated it. Other networks' stations go by our own NAT, whatever gateway they ask. */
  private untranslated({ address, port }: UplinkPort): { address: string; port: number }[] {
    if (address !== '0.0.0.0' && address !== '::') return [{ address, port }]
    const family = addressFamily(address)
    const gateways = new Set(
      [...this.networks.values()].flatMap(({ gateway, gateway6 }) => [gateway, gateway6]).map((cidr) => cidr?.split('/')[0])
    )
    const addresses = this.watch?.addresses.filter((own) => addressFamily(own) === family && !gateways.has(own)) ?? []
    return addresses.map((own) => ({ address: own, port }))
  }

  /** With the first network that has IPv6. */
  private async forwardIpv6(): Promise<void> {
    const { host, changes, table } = this
    if (this.forwardsIpv6 || changes === undefined || table === undefined) return
    this.forwardsIpv6 = true
    if (host.sysctl('net/ipv6/conf/all/forwarding') === '1') return
    // A host that forwards no longer listens to routers, and would lose its own way out, unless it is told to (ip-sysctl: accept_ra 2).
    for (const { name } of await host.netlink.links.list()) {
      if (name === 'lo') continue
      const setting = `net/ipv6/conf/${name}/accept_ra`
      if (host.sysctl(setting) === '1') changes.setSysctl(setting, '2')
    }
    await table.dropOtherForwarding(6)
    changes.setSysctl('net/ipv6/conf/all/forwarding', '1')
    this.world?.log('IPv6 forwarding is switched on on this host, for networks with IPv6')
  }
}

function partOf(link: HostLink, tap: OpenedTap, hostAddresses: readonly string[]): UplinkPart {
  return {
    elements: { [LINK_ELEMENT]: tapElementOf(tap, link.mtu) },
    links: [],
    port: [LINK_ELEMENT, 0],
    interface: {
      name: LINK_NAME,
      mac: ROUTER_MAC,
      addresses: link.routerAddresses,
      mtu: link.mtu,
      speed: TAP_SPEED,
      snat: link.routerAddress,
      noDecrement: true
    },
    routes: link.routes,
    hostAddresses
  }
}

function subnetsOf({ subnet, subnet6 }: UplinkNetwork): string[] {
  return subnet6 === null ? [subnet] : [subnet, subnet6]
}

/** Errors of the kernel as the control plane's. */
function explained(error: unknown): unknown {
  if (error instanceof NetworkError || !(error instanceof Error)) return error
  const { code } = error as NodeJS.ErrnoException
  const isNftables = error instanceof NetlinkError && error.request.startsWith('nft ')
  if (isNftables && code === 'EOPNOTSUPP') {
    return new NetworkError('unsupported', `this kernel has no nf_tables: ${error.message}`, { cause: error, fix: 'use --uplink user' })
  }
  if (code === 'EPERM' || code === 'EACCES' || code === 'EROFS') {
    return new NetworkError('unsupported', `the host's network may not be changed: ${error.message}`, {
      cause: error,
      fix: 'run the daemon as root, with CAP_NET_ADMIN and a writable /proc/sys/net, or with --uplink user'
    })
  }
  return new NetworkError('conflict', `the host uplink: ${error.message}`, { cause: error })
}

function unclean(errors: readonly Error[]): NetworkError {
  const list = errors.map(({ message }) => message).join('; ')
  const fix = '`netloom doctor` lists what is left'
  return new NetworkError('unclean', `not everything could be put back on the host: ${list}`, { cause: errors[0], fix })
}
