/**
 * Who may not be a source, as the fast paths ask it: our own addresses and our networks' broadcast addresses.
 *
 *   suspects   by hash of the address: how many of ours fall there    not 0: the slow path looks who it is
 *   octets     by first byte of an IPv4 address: how many of ours are in that /8, and 1 for martians    0: anybody there may send
 *
 * Both have room for 255: what is full stays so, and only sends frames the slow way.
 */
import { swap32 } from './forwarding-cache.ts'
import type { RouterInterface } from './router-interface.ts'

const PLACES = 65_536
const FULL = 255
/** 0/8, 127/8, and from here on groups and what is reserved. */
const LOOPBACK = 127
const FIRST_GROUP = 224

export class SourceFilter {
  readonly suspects = new Uint8Array(PLACES)
  readonly octets = new Uint8Array(256).fill(FULL, FIRST_GROUP)

  constructor() {
    this.octets[0] = this.octets[LOOPBACK] = FULL
  }

  /** The interface's addresses come (1) or go (-1). */
  count({ addresses }: RouterInterface, by: 1 | -1): void {
    for (const { family, words, broadcast } of addresses) {
      const [w0, w1, w2, w3] = words
      if (family === 4) this.countIpv4(w0, by)
      else add(this.suspects, sourceFilterIndex6(swap32(w0), swap32(w1), swap32(w2), swap32(w3)), by)
      if (broadcast !== null) this.countIpv4(broadcast, by)
    }
  }

  private countIpv4(address: number, by: 1 | -1): void {
    add(this.suspects, sourceFilterIndex(swap32(address)), by)
    add(this.octets, address >>> 24, by)
  }
}

function add(counts: Uint8Array, at: number, by: 1 | -1): void {
  if (counts[at] < FULL) counts[at] += by
}

/** Where `suspects` has a source address, given as a word of the frame. */
export function sourceFilterIndex(key: number): number {
  return Math.imul(key ^ (key >>> 16), 0x85ebca6b | 0) >>> 16
}

/** The same for an IPv6 address. */
export function sourceFilterIndex6(s0: number, s1: number, s2: number, s3: number): number {
  return sourceFilterIndex(s3 ^ Math.imul(s2, 0x27d4eb2f) ^ Math.imul(s1, 0xc2b2ae35 | 0) ^ Math.imul(s0, 0x9e3779b1 | 0))
}
