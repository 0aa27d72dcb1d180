/**
 * VXLAN header, RFC 7348 section 5, inside UDP to port 4789.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-----------------------------------------------+
 *   |R|R|R|R|I|R|R|R|                   reserved                    |
 *   +-+-+-+-+-+-+-+-+-------------------------------+---------------+
 *   |                     VNI                       |   reserved    |
 *   +-----------------------------------------------+---------------+
 *
 * I: the VNI is valid; a frame without it is dropped. R and reserved are sent as 0 and ignored on receipt.
 */
import { get32, put32 } from './big-endian.ts'

export const VXLAN_HEADER_LENGTH = 8
export const VXLAN_PORT = 4789
export const VXLAN_FLAG_VNI = 0x08
/** Offsets from the start of the header. */
export const VXLAN_FLAGS = 0
export const VXLAN_VNI = 4
/** VNIs are 24 bits. */
export const VXLAN_MAX_VNI = 0xffffff

/** Whether [at, end) holds a header. Look at `vxlanHasVni` next: a missing I flag is a drop with a reason of its own. */
export function checkVxlan(_bytes: Uint8Array, at: number, end: number): boolean {
  return at + VXLAN_HEADER_LENGTH <= end
}

/** The I flag. */
export function vxlanHasVni(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + VXLAN_FLAGS] & VXLAN_FLAG_VNI) !== 0
}

/** 0..0xffffff. */
export function vxlanVni(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + VXLAN_VNI) >>> 8
}

/** Writes the whole header, 8 bytes. */
export function setVxlan(bytes: Uint8Array, at: number, vni: number): void {
  put32(bytes, at, VXLAN_FLAG_VNI << 24)
  put32(bytes, at + VXLAN_VNI, vni << 8)
}

export interface VxlanRepr {
  vni: number
}

/** null when truncated or without the I flag. The inner Ethernet frame starts VXLAN_HEADER_LENGTH further. */
export function parseVxlan(bytes: Uint8Array, at: number, end: number): VxlanRepr | null {
  if (!checkVxlan(bytes, at, end) || !vxlanHasVni(bytes, at)) return null
  return { vni: vxlanVni(bytes, at) }
}

/** Writes the header and returns its length. */
export function emitVxlan(repr: VxlanRepr, bytes: Uint8Array, at: number): number {
  setVxlan(bytes, at, repr.vni)
  return VXLAN_HEADER_LENGTH
}
