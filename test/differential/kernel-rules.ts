/**
 * The kernel's side as text: the nftables rules that Docker's amount to, and what `ip` and sysctl are told.
 *
 * Two of our decisions are in them, so that all that follows from these does not hide the rest:
 * - what is "invalid" is not forwarded. Docker lets such packets out untranslated;
 * - what ends at the gateway itself is tracked no longer than it takes: it keeps no port from a flow through the NAT. (ESP is
 *   refused by a rule, with the same answer, because its time-out cannot be set.)
 */
import { DEFAULT_VIA, INTERFACES, PUBLISHED, stations } from './world.ts'

export interface KernelOptions {
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

/** By path below /proc/sys/net. Interfaces must exist already. */
export function sysctlsOf({ sysctls = {} }: KernelOptions): [path: string, value: string][] {
  const each = INTERFACES.map(({ name }): [string, string] => [`ipv4/conf/${name}/send_redirects`, '0'])
  return [...Object.entries({ ...SYSCTLS, ...sysctls }), ...each]
}

/** For `ip -batch`. */
export function ipCommands(): string {
  const lines: string[] = ['link set lo up']
  for (const { name, mac, address, broadcast, subnet, mtu } of INTERFACES) {
    lines.push(`link set dev ${name} address ${mac} mtu ${mtu} up`)
    lines.push(`address add ${address}/${subnet.split('/')[1]} broadcast ${broadcast} dev ${name}`)
  }
  for (const { address, interface: number, mac } of stations()) {
    lines.push(`neighbor add ${address} lladdr ${mac} dev ${INTERFACES[number].name} nud permanent`)
  }
  lines.push(`route add default via ${DEFAULT_VIA}`)
  return `${lines.join('\n')}\n`
}

/** For `nft -f`. */
export function nftRules({ rules = (text) => text }: KernelOptions): string {
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
  return rules(`
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
}
