/** Numbers of nf_tables and nfnetlink (include/uapi/linux/netfilter/{nf_tables,nfnetlink}.h). */

/** The socket's protocol. */
export const NETLINK_NETFILTER = 12
/** NFNLGRP_NFTABLES (7) as a bit of the mask of groups: changes of tables and what is in them. */
export const NFTABLES_GROUP = 0x40

/** NFNL_SUBSYS_NFTABLES: the upper byte of every message type, and the res_id of a batch. */
export const SUBSYSTEM = 10
export const BATCH_BEGIN = 0x10
export const BATCH_END = 0x11

const type = (number: number): number => (SUBSYSTEM << 8) | number
export const MessageType = {
  newTable: type(0),
  getTable: type(1),
  delTable: type(2),
  newChain: type(3),
  getChain: type(4),
  newRule: type(6),
  newSet: type(9),
  newElements: type(12),
  delElements: type(14)
} as const

/** struct nfgenmsg: family 1, version 1, res_id 2 (big-endian). */
export const GENERIC_HEADER = 4

/** NFPROTO_: what a table's chains see. */
export const Family = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const
export type FamilyName = keyof typeof Family

export const TableAttribute = { name: 1, flags: 2 } as const
export const ChainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const
export const HookAttribute = { number: 1, priority: 2, device: 3 } as const
export const RuleAttribute = { table: 1, chain: 2, expressions: 4 } as const
export const SetAttribute = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  description: 9,
  id: 10,
  userData: 13
} as const
export const SetDescription = { size: 1, concatenation: 2 } as const
export const SetFlag = { map: 8 } as const
export const ElementAttribute = { key: 1, data: 2 } as const
export const ElementListAttribute = { table: 1, set: 2, elements: 3 } as const
/** NFTA_LIST_ELEM: one of several of a kind, in any list. */
export const LIST_ELEMENT = 1
export const ExpressionAttribute = { name: 1, data: 2 } as const
export const DataAttribute = { value: 1, verdict: 2 } as const
export const VERDICT_CODE = 1

/** NF_INET_ hooks of the families inet, ip and ip6; NF_NETDEV_INGRESS of the family netdev. */
export const Hook = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 0 } as const
export type HookName = keyof typeof Hook

/** Where in a hook a chain runs; the lower, the earlier (NF_IP_PRI_). */
export const Priority = { raw: -300, mangle: -150, destinationNat: -100, filter: 0, sourceNat: 100 } as const

export const Verdict = { drop: 0, accept: 1, return: -5 } as const
export type VerdictName = keyof typeof Verdict
