/**
 * The namespace that lends the user uplink its TCP stack (native/uplink/README.md draws it): a TAP towards the router, a TUN
 * towards the helper's outer process, and what sends each packet where it belongs.
 *
 *   tap0: SYN          mark 1 -> table 101 -> tun0
 *   tap0: UDP          tproxy -> the helper's socket
 *   tap0: all other    table 100 -> sockets of this namespace, whatever the destination
 *   tun0: SYN          tproxy -> the helper's listener
 *   from here          default route -> the router
 */
import { NftablesBatch, type Table } from '../../io/netlink/nftables/batch.ts'
import { compare, immediate, mask, payload, Register, setMark, transparentProxy, verdict } from '../../io/netlink/nftables/expressions.ts'
import { hostOrder, interfaceName, portBytes, protocol } from '../../io/netlink/nftables/match.ts'
import { NETLINK_NETFILTER, Priority } from '../../io/netlink/nftables/nf-tables.ts'
import { Nftables } from '../../io/netlink/nftables/nftables.ts'
import { RouteScope, RouteType } from '../../io/netlink/rtnetlink.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'

export const TAP_NAME = 'tap0'
const TUN_NAME = 'tun0'
/** kRedirectPort of native/uplink/inside.h. */
const REDIRECT_PORT = 1

const TO_LOCAL = 100
const TO_TUN = 101
const SYN_MARK = 1

const TCP = 6
const UDP = 17
const TCP_FLAGS_OFFSET = 13
/** FIN, SYN, RST, ACK. */
const OPENING_FLAGS = 0x17
const SYN = 0x02

const ANY_FAMILY = 0
const TABLE: Table = { family: 'inet', name: 'netloom' }
const CHAIN = 'steer'

/** One end of the link between the helper and the router. */
export interface LinkEnd {
  readonly mac: string
  readonly address: string
  readonly address6: string
}

export interface HelperLink {
  readonly helper: LinkEnd
  readonly router: LinkEnd
  readonly prefixLength: number
  readonly prefixLength6: number
  /** Bytes. */
  readonly mtu: number
}

/** Settings of the namespace before anything runs in it. Packets come from and go to addresses that nobody here has. */
export async function prepareHelper(sandbox: Sandbox): Promise<void> {
  const settings: Record<string, string> = {
    'net/ipv4/ip_forward': '1', // SYNs go from tap0 to tun0
    'net/ipv6/conf/all/forwarding': '1',
    'net/ipv4/conf/all/rp_filter': '0',
    'net/ipv4/conf/default/rp_filter': '0',
    'net/ipv4/conf/all/accept_local': '1', // the way back to a SYN's sender, as asked for tun0, is local like all else
    'net/ipv4/icmp_echo_ignore_all': '1', // all destinations are local here, but the helper asks the real ones
    'net/ipv6/icmp/echo_ignore_all': '1',
    'net/ipv4/tcp_max_syn_backlog': '4096',
    // What the helper's TCP sends has come one hop already: the outside's 64 would be 63 behind a router.
    'net/ipv4/ip_default_ttl': '63',
    'net/ipv6/conf/default/hop_limit': '63',
    'net/ipv6/conf/default/accept_ra': '0',
    'net/ipv6/conf/default/accept_dad': '0',
    'net/ipv6/conf/default/router_solicitations': '0'
  }
  for (const [name, value] of Object.entries(settings)) {
    await sandbox.writeSysctl(name, value).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' || !name.startsWith('net/ipv6/')) throw error // a kernel without IPv6
    })
  }
}

/** Addresses, routes and rules, once both devices are there. Throws NetlinkError. */
export async function steerHelper(sandbox: Sandbox, link: HelperLink, hasIpv6: boolean): Promise<void> {
  const { links, addresses, neighbors, routes, rules } = sandbox.netlink
  const { helper, router, prefixLength, prefixLength6, mtu } = link
  await links.set(TAP_NAME, { up: true, mac: helper.mac, mtu })
  await links.set(TUN_NAME, { up: true })
  await addresses.add(TAP_NAME, `${helper.address}/${prefixLength}`)
  await neighbors.setPermanent(TAP_NAME, router.address, router.mac)
  await routes.add({ to: 'default', via: router.address, dev: TAP_NAME })
  if (hasIpv6) {
    await addresses.add(TAP_NAME, `${helper.address6}/${prefixLength6}`, { noDad: true })
    await neighbors.setPermanent(TAP_NAME, router.address6, router.mac)
    await routes.add({ to: 'default', via: router.address6, dev: TAP_NAME })
  }
  for (const family of hasIpv6 ? ([4, 6] as const) : ([4] as const)) {
    const all = family === 4 ? '0.0.0.0/0' : '::/0'
    await routes.add({ to: all, dev: 'lo', table: TO_LOCAL, type: RouteType.local, ...(family === 4 && { scope: RouteScope.host }) })
    await routes.add({ to: all, dev: TUN_NAME, table: TO_TUN })
    await rules.add({ family, priority: 10, inputInterface: TAP_NAME, mark: SYN_MARK, table: TO_TUN })
    await rules.add({ family, priority: 11, inputInterface: TAP_NAME, table: TO_LOCAL })
    await rules.add({ family, priority: 12, inputInterface: TUN_NAME, table: TO_LOCAL })
  }
  await nftables(sandbox).commit(steeringRules())
}

function nftables(sandbox: Sandbox): Nftables {
  return new Nftables((request) => sandbox.netlinkExchange(NETLINK_NETFILTER, request))
}

function steeringRules(): NftablesBatch {
  const { first } = Register
  const toHelper = [immediate(first, portBytes(REDIRECT_PORT)), transparentProxy(ANY_FAMILY, first), verdict('accept')]
  const isSyn = [
    payload('transport', TCP_FLAGS_OFFSET, 1, first),
    mask(first, Uint8Array.of(OPENING_FLAGS)),
    compare(first, '==', Uint8Array.of(SYN))
  ]
  return new NftablesBatch()
    .addTable(TABLE)
    .addChain(TABLE, CHAIN, { type: 'filter', hook: 'prerouting', priority: Priority.mangle })
    .addRule(TABLE, CHAIN, interfaceName('iifname', '==', TUN_NAME), protocol('==', TCP), toHelper)
    .addRule(TABLE, CHAIN, interfaceName('iifname', '==', TAP_NAME), protocol('==', UDP), toHelper)
    .addRule(TABLE, CHAIN, interfaceName('iifname', '==', TAP_NAME), protocol('==', TCP), isSyn, [
      immediate(first, hostOrder(SYN_MARK)),
      setMark(first)
    ])
}
