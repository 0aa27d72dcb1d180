/** Numbers of the pcapng format (draft-ietf-opsawg-pcapng), shared by the writer and the reader. */

export const Block = {
  section: 0x0a0d0d0a,
  interface: 1,
  /** Obsolete Packet Block: read, never written. */
  packet: 2,
  simplePacket: 3,
  nameResolution: 4,
  interfaceStatistics: 5,
  enhancedPacket: 6
} as const

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d

/** Option codes; those below the first two are numbered apart in each block type. */
export const Option = {
  end: 0,
  comment: 1,
  shbHardware: 2,
  shbOs: 3,
  shbUserAppl: 4,
  ifName: 2,
  ifDescription: 3,
  ifIpv4: 4,
  ifIpv6: 5,
  ifMac: 6,
  ifSpeed: 8,
  ifTsresol: 9,
  ifFilter: 11,
  ifOs: 12,
  ifFcslen: 13,
  ifTsoffset: 14,
  epbFlags: 2,
  epbDropCount: 4,
  epbPacketId: 5,
  epbVerdict: 7,
  isbStartTime: 2,
  isbEndTime: 3,
  isbIfRecv: 4,
  isbIfDrop: 5,
  isbFilterAccept: 6,
  isbOsDrop: 7,
  isbUsrDeliv: 8
} as const

/** Record types of a Name Resolution Block. */
export const NameRecord = { end: 0, ipv4: 1, ipv6: 2 } as const

/** First byte of epb_verdict: who judged. */
export const VerdictType = { hardware: 0, linuxEbpfTc: 1, linuxEbpfXdp: 2 } as const

/** LINKTYPE_ETHERNET. */
export const LINKTYPE_ETHERNET = 1

/** Bytes of padding after `length` bytes: everything in pcapng sits on 4-byte boundaries. */
export function padding(length: number): number {
  return -length & 3
}
