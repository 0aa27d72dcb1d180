/** Names and numbers of what the host uplink makes in the host's network namespace. All are ours alone: see README. */

/** The interface by which routed packets leave; its MAC and that of the router behind it. */
export const LINK_NAME = 'netloom0'
export const LINK_MAC = '02:6e:6c:00:00:01'
export const ROUTER_MAC = '02:6e:6c:00:00:02'

/** The routing table with the ways to the networks, and the place of the rule that asks it: after local addresses, before all others. */
export const ROUTING_TABLE = 0x6e6c // "nl"
export const RULE_PRIORITY = 1100

/** The group of interfaces that docker0 and br-... are in: what is forwarded never leaves by one of these. */
export const STATION_GROUP = ROUTING_TABLE

/** Of nf_tables. */
export const FILTER_TABLE = { family: 'inet', name: 'netloom' } as const

/** IPv6 stations of the link. */
export const LINK_ADDRESS6 = 'fe80::1'
export const ROUTER_ADDRESS6 = 'fe80::2'

/** Where the IPv4 addresses of the link are looked for: pairs from here on, link-local ones (RFC 3927), which nobody routes. */
export const LINK_PREFIX = '169.254.110.0/24'

/** By which outer frames of VXLAN leave to be forwarded (`network/underlays`). */
export const UNDERLAY_TAP = 'netloomvx'
