/**
 * Whether a packet with these addresses may come in by an interface at all, before anything else is asked of it.
 */
import { isIpv6Multicast, isIpv6Unspecified } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { NatDrop } from './nat-drop.ts'
import type { NatInterface, NatInterfaces } from './nat-interfaces.ts'
import { READ_OK } from './nat-packet.ts'

/** The source is a station of another network of ours: it may answer by this gateway, and begins nothing. */
export const GUEST = -2

/** READ_OK, GUEST, or the reason to drop; a source and a destination in network byte order at their offsets. */
export function judgeAddresses(
  interfaces: NatInterfaces,
  ingress: NatInterface,
  bytes: Uint8Array,
  sourceAt: number,
  destinationAt: number,
  isIpv6: boolean
): number {
  if (isIpv6) {
    if (isBadIpv6(bytes, sourceAt) || isBadIpv6(bytes, destinationAt)) return NatDrop.martian
  } else if (isBadIpv4(bytes, sourceAt) || isBadIpv4(bytes, destinationAt)) {
    return NatDrop.martian
  }
  if (isSame(bytes, sourceAt, destinationAt, isIpv6 ? 16 : 4)) return NatDrop.land
  if (interfaces.maySend(ingress, bytes, sourceAt, isIpv6)) return READ_OK
  const mayAnswer = !ingress.isUplink && !ingress.spec.internal && interfaces.isInside(bytes, sourceAt, isIpv6)
  return mayAnswer ? GUEST : NatDrop.spoofed
}

/** 0/8, 127/8, groups and the limited broadcast address: RFC 1812 5.3.7. 240/4 passes, as in Linux. */
function isBadIpv4(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at]
  return first === 0 || first === 127 || (first & 0xf0) === 0xe0 || get32(bytes, at) === -1
}

/** Unspecified, loopback, groups. */
function isBadIpv6(bytes: Uint8Array, at: number): boolean {
  if (isIpv6Multicast(bytes, at) || isIpv6Unspecified(bytes, at)) return true
  return (get32(bytes, at) | get32(bytes, at + 4) | get32(bytes, at + 8)) === 0 && get32(bytes, at + 12) === 1
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}
