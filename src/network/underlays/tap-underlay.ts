/**
 * Underlay `tap`: the host's kernel carries outer frames, see the README.
 */
import { realTimers, type Timers } from '../../engine/clock.ts'
import { ALL_OFFLOADS, Offload, TUNNEL_OFFLOADS } from '../../io/frame-device.ts'
import { interfaceSpeed } from '../../io/interface-speed.ts'
import type { NativeBinding, OpenedTap } from '../../io/native-binding.ts'
import { NetlinkError } from '../../io/netlink/netlink-error.ts'
import { NftablesBatch } from '../../io/netlink/nftables/batch.ts'
import {
  compare,
  duplicateTo,
  type Expression,
  forwardTo,
  immediate,
  mask,
  payload,
  Register
} from '../../io/netlink/nftables/expressions.ts'
import { destinationPort, etherType, hostOrder, portBytes, protocol } from '../../io/netlink/nftables/match.ts'
import { addressFamily, parseIpv4 } from '../../wire/address.ts'
import { put32 } from '../../wire/big-endian.ts'
import { EtherType } from '../../wire/ethernet.ts'
import { IPV4_DESTINATION, IPV4_FRAGMENT, IPV4_SOURCE, IpProtocol } from '../../wire/ipv4.ts'
import { NetworkError } from '../network-error.ts'
import type { Underlay, UnderlayPart, UnderlayTarget } from '../underlay.ts'
import { HostJournal } from '../uplinks/host/host-journal.ts'
import { HostNamespace } from '../uplinks/host/host-namespace.ts'
import { UNDERLAY_TAP } from '../uplinks/host/host-settings.ts'
import { KeptTable } from '../uplinks/host/kept-table.ts'
import { openHostTap } from '../uplinks/host/open-host-tap.ts'
import { underlayError } from './underlay-error.ts'
import { underlayLink } from './underlay-link.ts'

const ELEMENT = 'underlay/netloomvx'
export const UNDERLAY_TABLE = { family: 'netdev', name: 'netloom-vxlan' } as const
export const UNDERLAY_JOURNAL = 'tap-underlay.json'
/** Of the TAP: where outer frames go. */
const TAP_MAC = '02:6e:6c:76:78:01'
/** The kernel believes no source on an interface without any address, however loose rp_filter is. Nobody speaks to it. */
const TAP_ADDRESS = '169.254.111.1/32'
const SCOPE_LINK = 253
/**
 * What the kernel may leave undone. Not the parting of UDP: a sender's UDP_SEGMENT or a GRO makes several datagrams of VXLAN one frame,
 * and each has an inner frame of its own.
 */
const DATAGRAM_OFFLOADS = Offload.uso4 | Offload.uso6
const TAP_OFFLOADS = (ALL_OFFLOADS & ~DATAGRAM_OFFLOADS) | TUNNEL_OFFLOADS
/** Before everybody else at the ingress. */
const PRIORITY = -300
/** ICMP type 3 code 4, and where in it the quoted packet (without options) and its UDP header are. */
const FRAGMENTATION_NEEDED = Uint8Array.of(3, 4)
const QUOTED_IP = 8
const QUOTED_UDP = QUOTED_IP + 20
/** Of IPv4's word of flags and offset. */
const OFFSET_BITS = Uint8Array.of(0x1f, 0xff)

export interface TapUnderlayOptions {
  readonly native: NativeBinding
  /** Where the journal of changes is kept; it exists. */
  readonly stateDirectory: string
  /** fd of the host's network namespace; default: the caller's own. */
  readonly netns?: number
  readonly timers?: Timers
  /** For what nobody asked for but an operator should read. */
  readonly log?: (message: string) => void
}

export class TapUnderlay implements Underlay {
  readonly kind = 'tap'
  private readonly host: HostNamespace
  private readonly stateDirectory: string
  private readonly timers: Timers
  private readonly log: (message: string) => void
  private journal: HostJournal | undefined
  private kept: KeptTable | undefined

  constructor({ native, stateDirectory, netns = -1, timers = realTimers, log = () => {} }: TapUnderlayOptions) {
    this.host = new HostNamespace(native, netns)
    this.stateDirectory = stateDirectory
    this.timers = timers
    this.log = log
  }

  /**
   * Puts back what a killed daemon left, under the name of its interface: while another daemon has that, the table is that one's, and
   * this rejects with NetworkError `conflict`.
   */
  async removeLeft(): Promise<void> {
    const { host } = this
    const journal = HostJournal.open(this.stateDirectory, host.id, UNDERLAY_JOURNAL)
    if (journal.changes.length === 0) return
    const { fd } = await openHostTap(host, UNDERLAY_TAP, this.timers)
    try {
      this.journal = journal
      await this.removeTable()
    } finally {
      host.native.closeFd(fd)
    }
  }

  async open(target: UnderlayTarget): Promise<UnderlayPart> {
    const { host } = this
    if (addressFamily(target.address) !== 4) {
      throw new NetworkError('unsupported', `the tap underlay carries IPv4, not ${target.address}`, { fix: 'use --underlay udp' })
    }
    let tap: OpenedTap | undefined
    try {
      const link = await underlayLink(host, target.address)
      const speed = await interfaceSpeed(link)
      const opened = await openHostTap(host, UNDERLAY_TAP, this.timers, TAP_OFFLOADS)
      tap = opened
      await this.setUp(opened, link.mtu)
      await this.addTable(link.name, opened, target)
      const { fd, name, vnetHeaderLength } = opened
      const offloads = opened.offloads | takenOffloads(opened.offloads)
      return {
        elements: { [ELEMENT]: { type: 'tap', options: { fd, name, mtu: link.mtu, vnetHeaderLength, offloads } } },
        links: [],
        port: [ELEMENT, 0],
        mac: link.mac,
        nextHopMac: TAP_MAC,
        mtu: link.mtu,
        ...(speed !== undefined && { speed }),
        address: target.address
      }
    } catch (error) {
      if (tap !== undefined) host.native.closeFd(tap.fd)
      throw underlayError(error, 'the tap underlay')
    }
  }

  async close(): Promise<void> {
    await this.removeTable()
  }

  /** What it has goes with it. */
  private async setUp({ name }: OpenedTap, mtu: number): Promise<void> {
    const { host } = this
    // The host's own address comes in by it as a source, and has its way back by another interface.
    host.setSysctl(`net/ipv4/conf/${name}/accept_local`, '1')
    host.setSysctl(`net/ipv4/conf/${name}/rp_filter`, '2')
    host.setSysctl(`net/ipv4/conf/${name}/forwarding`, '1')
    host.setSysctl(`net/ipv4/conf/${name}/send_redirects`, '0')
    host.trySysctl(`net/ipv6/conf/${name}/disable_ipv6`, '1')
    await host.netlink.addresses.add(name, TAP_ADDRESS, { scope: SCOPE_LINK })
    await host.netlink.links.set(name, { mac: TAP_MAC, mtu, arp: false, up: true })
  }

  private async addTable(device: string, { ifindex }: OpenedTap, target: UnderlayTarget): Promise<void> {
    const { host, log } = this
    let hasFragments = true
    const contents = (): NftablesBatch => ingressTable(device, ifindex, target, hasFragments)
    const make = async (): Promise<void> => {
      try {
        await host.nftables.commit(contents())
      } catch (error) {
        if (!(error instanceof NetlinkError && error.code === 'ENOENT')) throw error
        hasFragments = false
        await host.nftables.commit(contents())
        log('the kernel has no nft_dup_netdev: VXLAN packets that a router on the way has cut do not arrive; --underlay udp takes them')
      }
    }
    this.journal = HostJournal.open(this.stateDirectory, this.host.id, UNDERLAY_JOURNAL)
    for (const change of this.journal.changes) this.journal.remove(change)
    this.journal.add({ kind: 'nftables', ...UNDERLAY_TABLE })
    this.kept = new KeptTable({ host, table: UNDERLAY_TABLE, contents, log })
    await this.kept.open(make)
  }

  private async removeTable(): Promise<void> {
    const { journal } = this
    await this.kept?.close()
    this.kept = undefined
    if (journal === undefined) return
    await this.host.nftables.commit(new NftablesBatch().deleteTable(UNDERLAY_TABLE))
    for (const change of journal.changes) journal.remove(change)
    this.journal = undefined
  }
}

/** What the kernel takes from us beyond what it was let do: who knows tunnels (Linux 6.17) knows UDP segments (6.2). */
function takenOffloads(granted: number): number {
  return (granted & Offload.tunnel) === 0 ? 0 : DATAGRAM_OFFLOADS
}

/**
 * What is for the VTEP, straight from the interface to the TAP; in place of a table of that name that is there. With `hasFragments` the TAP
 * gets a copy of later fragments too.
 */
export function ingressTable(device: string, tap: number, { address, port }: UnderlayTarget, hasFragments: boolean): NftablesBatch {
  const table = UNDERLAY_TABLE
  const batch = new NftablesBatch()
  const to = [immediate(Register.first, hostOrder(tap)), forwardTo(Register.first)]
  batch
    .deleteTable(table)
    .addTable(table)
    .addChain(table, 'ingress', { type: 'filter', hook: 'ingress', device, priority: PRIORITY })
    .addRule(table, 'ingress', ipv4To(address), protocol('==', IpProtocol.udp), destinationPort('==', port), to)
    .addRule(
      table,
      'ingress',
      ipv4To(address),
      protocol('==', IpProtocol.icmp),
      transportBytes(0, FRAGMENTATION_NEEDED),
      transportBytes(QUOTED_IP + IPV4_SOURCE, ipv4Bytes(address)),
      transportBytes(QUOTED_UDP + 2, portBytes(port)),
      to
    )
  if (hasFragments) {
    const alsoTo = [immediate(Register.first, hostOrder(tap)), duplicateTo(Register.first)]
    batch.addRule(table, 'ingress', ipv4To(address), protocol('==', IpProtocol.udp), laterFragment(), alsoTo)
  }
  return batch
}

/** It shows no port: whether it is ours or for a socket of the host only who puts it together with the first one can tell. */
function laterFragment(): Expression[] {
  return [
    payload('network', IPV4_FRAGMENT, OFFSET_BITS.length, Register.first),
    mask(Register.first, OFFSET_BITS),
    compare(Register.first, '!=', new Uint8Array(OFFSET_BITS.length))
  ]
}

function ipv4To(address: string): Expression[] {
  return [
    ...etherType(EtherType.ipv4),
    payload('network', IPV4_DESTINATION, 4, Register.first),
    compare(Register.first, '==', ipv4Bytes(address))
  ]
}

function transportBytes(offset: number, bytes: Uint8Array): Expression[] {
  return [payload('transport', offset, bytes.length, Register.first), compare(Register.first, '==', bytes)]
}

function ipv4Bytes(address: string): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseIpv4(address))
  return bytes
}
