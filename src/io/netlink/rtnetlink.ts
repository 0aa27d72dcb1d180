/**
 * Numbers of rtnetlink (rtnetlink(7), include/uapi/linux/{rtnetlink,if_link,if_addr,fib_rules,neighbour}.h).
 */
export const AF_INET = 2
export const AF_INET6 = 10

export const MessageType = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeighbor: 28,
  delNeighbor: 29,
  getNeighbor: 30,
  newRule: 32,
  delRule: 33,
  getRule: 34
} as const

/** RTMGRP_: who is told of changes. */
export const MulticastGroup = {
  link: 0x1,
  ipv4Address: 0x10,
  ipv4Route: 0x40,
  ipv4Rule: 0x80,
  ipv6Address: 0x100,
  ipv6Route: 0x400,
  ipv6Rule: 0x40000
} as const

/** struct ifinfomsg: family 1, pad 1, type 2, index 4, flags 4, change 4. */
export const LINK_HEADER = 16
export const LinkAttribute = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  txQueueLength: 13,
  info: 18,
  netnsPid: 19,
  group: 27,
  netnsFd: 28
} as const
export const LinkInfo = { kind: 1, data: 2, vethPeer: 1 } as const
export const LinkFlag = { up: 0x1, loopback: 0x8, noArp: 0x80, lowerUp: 0x10000 } as const

/** struct ifaddrmsg: family 1, prefix length 1, flags 1, scope 1, index 4. */
export const ADDRESS_HEADER = 8
export const AddressAttribute = { address: 1, local: 2, broadcast: 4, flags: 8 } as const
export const AddressFlag = { noDad: 0x02, tentative: 0x40, permanent: 0x80 } as const

/** struct rtmsg: family, dst length, src length, tos, table, protocol, scope, type (1 each), flags 4. */
export const ROUTE_HEADER = 12
export const RouteAttribute = { destination: 1, outInterface: 4, gateway: 5, priority: 6, preferredSource: 7, table: 15 } as const
export const ROUTE_PROTOCOL_STATIC = 4
export const RouteType = { unicast: 1, local: 2, broadcast: 3, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8 } as const
export const RouteScope = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const
export const RouteTable = { default: 253, main: 254, local: 255 } as const

/** struct fib_rule_hdr: family, dst length, src length, tos, table, res, res, action (1 each), flags 4. */
export const RULE_HEADER = 12
export const RuleAttribute = { destination: 1, source: 2, inputInterface: 3, priority: 6, mark: 10, table: 15 } as const
export const RULE_ACTION_TABLE = 1
export const RULE_FLAG_INVERT = 2

/** struct ndmsg: family 1, pad 1, pad 2, index 4, state 2, flags 1, type 1. */
export const NEIGHBOR_HEADER = 12
export const NeighborAttribute = { destination: 1, linkAddress: 2 } as const
export const NeighborState = {
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80
} as const
