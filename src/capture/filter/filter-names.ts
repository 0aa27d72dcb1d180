/** The names that the grammar knows: protocols, services and the values of header fields. */

/** What has a name of its own as a primitive and stands before `[`. */
export const PROTOCOL_WORDS = [
  'ether',
  'link',
  'ip',
  'ip6',
  'arp',
  'rarp',
  'tcp',
  'udp',
  'sctp',
  'icmp',
  'icmp6',
  'igmp',
  'esp',
  'ah',
  'pim',
  'vrrp'
] as const
export type ProtocolWord = (typeof PROTOCOL_WORDS)[number]

export const ETHER_TYPES: Readonly<Record<string, number>> = { ip: 0x0800, arp: 0x0806, rarp: 0x8035, ip6: 0x86dd, loopback: 0x9000 }

/** Protocol numbers of IPv4 and IPv6 (IANA). */
export const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  'ipv6-icmp': 58,
  ospf: 89,
  pim: 103,
  vrrp: 112,
  sctp: 132
}

export interface Service {
  readonly port: number
  /** The one protocol that it is registered for; undefined: TCP and UDP. */
  readonly protocol?: 'tcp' | 'udp'
}

/** The services that one meets, as /etc/services of Debian 12 has them. */
export const SERVICES: Readonly<Record<string, Service>> = {
  'ftp-data': { port: 20, protocol: 'tcp' },
  ftp: { port: 21, protocol: 'tcp' },
  ssh: { port: 22, protocol: 'tcp' },
  telnet: { port: 23, protocol: 'tcp' },
  smtp: { port: 25, protocol: 'tcp' },
  domain: { port: 53 },
  bootps: { port: 67, protocol: 'udp' },
  bootpc: { port: 68, protocol: 'udp' },
  tftp: { port: 69, protocol: 'udp' },
  http: { port: 80, protocol: 'tcp' },
  ntp: { port: 123, protocol: 'udp' },
  snmp: { port: 161 },
  bgp: { port: 179, protocol: 'tcp' },
  https: { port: 443 },
  syslog: { port: 514, protocol: 'udp' },
  mdns: { port: 5353, protocol: 'udp' }
}

/** Offsets and values that stand for numbers in a comparison (pcap-filter(7)). */
export const FIELD_VALUES: Readonly<Record<string, number>> = {
  icmptype: 0,
  icmpcode: 1,
  'icmp-echoreply': 0,
  'icmp-unreach': 3,
  'icmp-sourcequench': 4,
  'icmp-redirect': 5,
  'icmp-echo': 8,
  'icmp-routeradvert': 9,
  'icmp-routersolicit': 10,
  'icmp-timxceed': 11,
  'icmp-paramprob': 12,
  'icmp-tstamp': 13,
  'icmp-tstampreply': 14,
  'icmp-ireq': 15,
  'icmp-ireqreply': 16,
  'icmp-maskreq': 17,
  'icmp-maskreply': 18,
  icmp6type: 0,
  icmp6code: 1,
  'icmp6-destinationunreach': 1,
  'icmp6-packettoobig': 2,
  'icmp6-timeexceeded': 3,
  'icmp6-parameterproblem': 4,
  'icmp6-echo': 128,
  'icmp6-echoreply': 129,
  'icmp6-multicastlistenerquery': 130,
  'icmp6-multicastlistenerreportv1': 131,
  'icmp6-multicastlistenerdone': 132,
  'icmp6-routersolicit': 133,
  'icmp6-routeradvert': 134,
  'icmp6-neighborsolicit': 135,
  'icmp6-neighboradvert': 136,
  'icmp6-redirect': 137,
  tcpflags: 13,
  'tcp-fin': 0x01,
  'tcp-syn': 0x02,
  'tcp-rst': 0x04,
  'tcp-push': 0x08,
  'tcp-ack': 0x10,
  'tcp-urg': 0x20,
  'tcp-ece': 0x40,
  'tcp-cwr': 0x80
}

/** Words of pcap-filter(7) that only libpcap knows. */
export const LIBPCAP_ONLY: ReadonlySet<string> = new Set(
  `gateway mpls pppoed pppoes geneve inbound outbound ifname on rnr rulenum reason rset ruleset srnr subrulenum action protochain iso clnp esis
  isis lsp snp psnp csnp l1 l2 llc wlan lane fddi tr ppp slip atalk aarp decnet lat moprc mopdl stp ipx netbeui radio igrp carp type subtype
  direction dir addr1 addr2 addr3 addr4 byte oam oamf4 ilmic metac vpi vci metaconnect connectmsg`.split(/\s+/)
)
