/**
 * VLAN tag, IEEE 802.1Q clause 9.6. `at` is the offset of the TPID: 12 bytes into the frame for the outer tag.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------------------------------+-----+-+-----------------------+
 *   |             TPID              | PCP |D|        VLAN id        |
 *   +-------------------------------+-----+-+-----------------------+
 *   |   EtherType of what follows   |
 *   +-------------------------------+
 *
 * D: drop eligible. VLAN id 0 means priority only, 4095 is reserved.
 */
import { get16, put16 } from './big-endian.ts'
import { ETHERNET_TYPE, EtherType } from './ethernet.ts'

export const VLAN_TAG_LENGTH = 4
/** Offsets from the TPID. */
export const VLAN_TPID = 0
export const VLAN_TCI = 2
export const VLAN_TYPE = 4

/** Whether [at, end) holds a tag with a known TPID and the EtherType after it. */
export function checkVlan(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + VLAN_TAG_LENGTH + 2 > end) return false
  const tpid = get16(bytes, at)
  return tpid === EtherType.vlan || tpid === EtherType.serviceVlan
}

/**
 * Offset of what follows the Ethernet header at `at` and all its tags, which may equal `end`; the EtherType is the 16 bits before it.
 * -1 when [at, end) holds no Ethernet header. What is read after it needs a check of its own.
 */
export function skipVlans(bytes: Uint8Array, at: number, end: number): number {
  let typeAt = at + ETHERNET_TYPE
  if (typeAt + 2 > end) return -1
  while (checkVlan(bytes, typeAt, end)) typeAt += VLAN_TAG_LENGTH
  return typeAt + 2
}

export function vlanTpid(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + VLAN_TPID)
}

/** Tag control information: PCP, D and VLAN id, 16 bits, as PACKET_AUXDATA carries it. */
export function vlanTci(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + VLAN_TCI)
}

/** 0..4095. */
export function vlanId(bytes: Uint8Array, at: number): number {
  return vlanTci(bytes, at) & 0xfff
}

/** Priority code point, 0..7. */
export function vlanPriority(bytes: Uint8Array, at: number): number {
  return bytes[at + VLAN_TCI] >> 5
}

export function vlanDropEligible(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + VLAN_TCI] & 0x10) !== 0
}

/** EtherType of the payload, or the TPID of an inner tag. */
export function vlanType(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + VLAN_TYPE)
}

export function setVlanId(bytes: Uint8Array, at: number, id: number): void {
  put16(bytes, at + VLAN_TCI, (vlanTci(bytes, at) & 0xf000) | (id & 0xfff))
}

/**
 * Puts a tag into the frame that starts at `frameAt`, by moving both MACs into the 4 bytes before it: the payload stays.
 * @returns the frame's new start, frameAt - 4. The caller has seen that there is headroom and that the frame has both MACs.
 */
export function pushVlan(bytes: Uint8Array, frameAt: number, tpid: number, tci: number): number {
  const start = frameAt - VLAN_TAG_LENGTH
  for (let i = 0; i < ETHERNET_TYPE; i++) bytes[start + i] = bytes[frameAt + i]
  put16(bytes, start + ETHERNET_TYPE + VLAN_TPID, tpid)
  put16(bytes, start + ETHERNET_TYPE + VLAN_TCI, tci)
  return start
}

/** Takes the outer tag out, the MACs moving up. @returns the frame's new start, frameAt + 4. `checkVlan` at 12 must have held. */
export function popVlan(bytes: Uint8Array, frameAt: number): number {
  for (let i = ETHERNET_TYPE - 1; i >= 0; i--) bytes[frameAt + VLAN_TAG_LENGTH + i] = bytes[frameAt + i]
  return frameAt + VLAN_TAG_LENGTH
}

export interface VlanRepr {
  tpid: number
  priority: number
  dropEligible: boolean
  id: number
  /** EtherType of what follows. */
  type: number
}

/** null when truncated or when the TPID is not 0x8100 or 0x88a8. What follows starts VLAN_TAG_LENGTH + 2 further. */
export function parseVlan(bytes: Uint8Array, at: number, end: number): VlanRepr | null {
  if (!checkVlan(bytes, at, end)) return null
  return {
    tpid: vlanTpid(bytes, at),
    priority: vlanPriority(bytes, at),
    dropEligible: vlanDropEligible(bytes, at),
    id: vlanId(bytes, at),
    type: vlanType(bytes, at)
  }
}

/** Writes tag and EtherType at `at` (12 bytes into the frame); returns VLAN_TAG_LENGTH + 2. */
export function emitVlan(repr: VlanRepr, bytes: Uint8Array, at: number): number {
  put16(bytes, at + VLAN_TPID, repr.tpid)
  put16(bytes, at + VLAN_TCI, ((repr.priority & 7) << 13) | (repr.dropEligible ? 0x1000 : 0) | (repr.id & 0xfff))
  put16(bytes, at + VLAN_TYPE, repr.type)
  return VLAN_TAG_LENGTH + 2
}
