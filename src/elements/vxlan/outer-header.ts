/**
 * The headers in front of an inner frame, RFC 7348 section 5, as words that are copied:
 *
 *   word  0        1        2        3        4        5        6        7        8        9       10       11       12
 *       | - | Ethernet 14           |type| IPv4 20                                      | UDP 8         | VXLAN 8       |
 *   bytes 0   2                 14  16                                             36              44              52
 *
 * Two bytes of padding in front put all that follows Ethernet at whole words, and so the inner frame, whose own first byte is at
 * one: 50 bytes over IPv4 (13 words), 70 over IPv6 (18 words). The padding lies in front of the frame and is nobody's.
 */
import { put16, put32 } from '../../wire/big-endian.ts'
import { onesComplementSum } from '../../wire/checksum.ts'
import { EtherType, setMac } from '../../wire/ethernet.ts'
import { IPV4_DONT_FRAGMENT, IpProtocol } from '../../wire/ipv4.ts'
import type { VtepAddress, VxlanSettings } from './vxlan-options.ts'

/** Bytes in front of the inner frame, by family of the underlay. */
export const OUTER_LENGTH = { 4: 50, 6: 70 } as const
/** Bytes that the outer IP packet is longer than the inner one: the inner Ethernet header comes in addition, the outer one does not. */
export const OVERHEAD = OUTER_LENGTH
export const PADDING = 2
export const OUTER_WORDS = { 4: 13, 6: 18 } as const
/** Offsets from the padding. */
export const OUTER_IP = 16
export const OUTER_UDP = { 4: 36, 6: 56 } as const

/** Highest 14 bits of a source port are the flow's (RFC 7348 5: from the dynamic range, 49152 on). */
export const ENTROPY_BASE = 0xc000

/**
 * Writes the constant part for one remote VTEP at `at`, a multiple of four. Lengths, identification, checksums, source port and VNI
 * stay zero.
 * @returns the sum of the IPv4 header as it stands; over IPv6 that of all that a UDP checksum covers, pseudo-header included
 */
export function writeTemplate(bytes: Uint8Array, at: number, own: VtepAddress, remote: VtepAddress, settings: VxlanSettings): number {
  const { mac, nextHopMac, ttl, dontFragment, port } = settings
  bytes.fill(0, at, at + OUTER_WORDS[remote.family] * 4)
  setMac(bytes, at + PADDING, nextHopMac.hi, nextHopMac.lo)
  setMac(bytes, at + PADDING + 6, mac.hi, mac.lo)
  const ip = at + OUTER_IP
  if (remote.family === 4) {
    put16(bytes, ip - 2, EtherType.ipv4)
    bytes[ip] = 0x45
    put16(bytes, ip + 6, dontFragment ? IPV4_DONT_FRAGMENT : 0)
    bytes[ip + 8] = ttl
    bytes[ip + 9] = IpProtocol.udp
    put32(bytes, ip + 12, own.words[3])
    put32(bytes, ip + 16, remote.words[3])
  } else {
    put16(bytes, ip - 2, EtherType.ipv6)
    bytes[ip] = 0x60
    bytes[ip + 6] = IpProtocol.udp
    bytes[ip + 7] = ttl
    own.words.forEach((word, i) => {
      put32(bytes, ip + 8 + 4 * i, word)
    })
    remote.words.forEach((word, i) => {
      put32(bytes, ip + 24 + 4 * i, word)
    })
  }
  const udp = at + OUTER_UDP[remote.family]
  put16(bytes, udp + 2, port)
  bytes[udp + 8] = 0x08
  // Over IPv6 addresses, UDP and VXLAN stand one behind the other.
  return remote.family === 4 ? onesComplementSum(bytes, ip, 20, 0) : onesComplementSum(bytes, ip + 8, 48, IpProtocol.udp)
}
