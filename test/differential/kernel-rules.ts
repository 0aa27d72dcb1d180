/**
 * The kernel's side as text: the nftables rules that Docker's amount to, and what `ip` and sysctl are told.
 *
 * Two of our decisions are in them, so that all that follows from these does not hide the rest:
 * - what is "invalid" is not forwarded. Docker lets such packets out untranslated;
 * - what ends at the gateway itself is tracked no longer than it takes: it keeps no port from a flow through the NAT. (ESP is
 *   refused by a rule, with the same answer, because its time-out cannot be set.)
 */
import { ipv6Of } from './ipv6-translation.ts'
import { DEFAULT_VIA, INTERFACES, PUBLISHED, stations } from './world.ts'

export interface KernelOptions {
  /** Default 4. With 6 the world's addresses are those of `ipv6Of`. */
  readonly family?: 4 | 6
  /** Its TAPs take and give super-frames and partial checksums. */
  readonly hasOffloads?: boolean
  /** Changes the rules' text: for the proof that a difference is seen. */
  readonly rules?: (text: string) => string
  /** Sysctls besides those below. */
  readonly sysctls?: Readonly<Record<string, string>>
}

/**
 * No limits on ICMP errors, since hundreds of streams follow each other within a second. Strict source validation, as our networks have
 * it. Fragments without a rest stay for ever: what Linux says of them when their time is over would come at any moment. No IPv6, so that the kernel has nothing of its own to say.
 */
const SYSCTLS: Readonly<Record<string, string>> = {
  'ipv6/conf/all/disable_ipv6': '1',
  'ipv4/ip_forward': '1',
  'ipv4/conf/all/rp_filter': '1',
  'ipv4/conf/all/send_redirects': '0',
  'ipv4/conf/default/send_redirects': '0',
  'ipv4/conf/all/arp_ignore': '1',
  'ipv4/ipfrag_time': '3600',
  'ipv4/icmp_ratelimit': '0',
  'ipv4/icmp_msgs_per_sec': '1000000',
  'ipv4/icmp_msgs_burst': '1000000'
}

/** Nothing of its own to say to the link, no limit on errors. */
const SYSCTLS_IPV6: Readonly<Record<string, string>> = {
  'ipv6/conf/all/forwarding': '1',
  'ipv6/icmp/ratelimit': '0'
}

/** For interfaces that are yet to come: no link-local addresses, which would be announced. */
export const IPV6_DEFAULTS: Readonly<Record<string, string>> = {
  'ipv6/conf/default/addr_gen_mode': '1',
  'ipv6/conf/default/accept_dad': '0',
  'ipv6/conf/default/accept_ra': '0',
  'ipv6/conf/default/router_solicitations': '0'
}

/** By path below /proc/sys/net. Interfaces must exist already. */
export function sysctlsOf({ sysctls = {}, family = 4 }: KernelOptions): [path: string, value: string][] {
  if (family === 6) return Object.entries({ ...SYSCTLS_IPV6, ...sysctls })
  const each = INTERFACES.map(({ name }): [string, string] => [`ipv4/conf/${name}/send_redirects`, '0'])
  return [...Object.entries({ ...SYSCTLS, ...sysctls }), ...each]
}

/** For `ip -batch`. */
export function ipCommands({ family = 4 }: KernelOptions): string {
  const lines: string[] = ['link set lo up']
  const of = (address: string): string => (family === 6 ? ipv6Of(address) : address)
  for (const { name, mac, address, broadcast, subnet, mtu } of INTERFACES) {
    lines.push(`link set dev ${name} address ${mac} mtu ${mtu} up`)
    lines.push(
      family === 6
        ? `address add ${of(address)}/64 dev ${name} nodad`
        : `address add ${address}/${subnet.split('/')[1]} broadcast ${broadcast} dev ${name}`
    )
  }
  for (const { address, interface: number, mac } of stations()) {
    lines.push(`neighbor add ${of(address)} lladdr ${mac} dev ${INTERFACES[number].name} nud permanent`)
  }
  lines.push(`route add default via ${of(DEFAULT_VIA)}`)
  return `${lines.join('\n')}\n`
}

/** For `nft -f`. */
export function nftRules({ rules = (text) => text, family = 4 }: KernelOptions): string {
  const networks = INTERFACES.filter(({ role }) => role === 'network').map(({ name }) => `"${name}"`)
  const uplinks = INTERFACES.filter(({ role }) => role === 'uplink').map(({ name }) => `"${name}"`)
  const map = (protocol: string): string =>
    PUBLISHED.filter((published) => published.protocol === protocol)
      .map(({ port, target, targetPort }) => `${port} : ${target} . ${targetPort}`)
      .join(', ')
  const targets = (protocol: string): string =>
    PUBLISHED.filter((published) => published.protocol === protocol)
      .map(({ target, targetPort }) => `${target} . ${targetPort}`)
      .join(', ')
  const text = rules(`
table ip gateway {
  map tcp_ports { type inet_service : ipv4_addr . inet_service; elements = { ${map('tcp')} }; }
  map udp_ports { type inet_service : ipv4_addr . inet_service; elements = { ${map('udp')} }; }
  set tcp_targets { type ipv4_addr . inet_service; elements = { ${targets('tcp')} }; }
  set udp_targets { type ipv4_addr . inet_service; elements = { ${targets('udp')} }; }
  ct timeout none_tcp { protocol tcp; l3proto ip; policy = { syn_sent : 0, syn_recv : 0, established : 0, close : 0, fin_wait : 0, close_wait : 0, last_ack : 0, time_wait : 0 }; }
  ct timeout none_udp { protocol udp; l3proto ip; policy = { unreplied : 0, replied : 0 }; }
  chain input {
    type filter hook input priority filter;
    meta l4proto esp reject with icmp prot-unreachable
    meta l4proto tcp ct timeout set "none_tcp"
    meta l4proto udp ct timeout set "none_udp"
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 127.0.0.0/8 return
    fib daddr type local dnat to tcp dport map @tcp_ports
    fib daddr type local dnat to udp dport map @udp_ports
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    iifname { ${networks} } ct status dnat masquerade
    iifname { ${networks} } oifname { ${uplinks} } masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    ct status dnat accept
    iifname { ${networks} } oifname { ${uplinks} } accept
    ${INTERFACES.filter(({ role }) => role === 'network')
      .map(({ name }) => `iifname "${name}" oifname "${name}" accept`)
      .join('\n    ')}
    iifname { ${uplinks} } ip daddr . tcp dport @tcp_targets accept
    iifname { ${uplinks} } ip daddr . udp dport @udp_targets accept
  }
}
`)
  return family === 6 ? inIpv6(text) : text
}

/** The same rules for the other family, without what only IPv4 has. */
function inIpv6(text: string): string {
  return text
    .replace(/^.*(?:prot-unreachable|127\.0\.0\.0).*$/gm, '')
    .replace('table ip ', 'table ip6 ')
    .replaceAll('ipv4_addr', 'ipv6_addr')
    .replaceAll('l3proto ip;', 'l3proto ip6;')
    .replaceAll('ip daddr', 'ip6 daddr')
    .replace(/\d+\.\d+\.\d+\.\d+/g, ipv6Of)
}
