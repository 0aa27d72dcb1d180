/**
 * Flows in which one side of the divert speaks: a set-associative table of fingerprints, which doubles while it may; then the
 * longest unused in the set goes.
 *
 *   set (by hash)   | a b used | a b used | ... 8 places
 *
 * A flow is named by two hashes of (protocol, our address and port, the peer's) under a secret: 63 bits, so that two of a million
 * flows meet once in ten million tables, and nobody can choose flows that do.
 */
import type { Random } from '../../engine/random.ts'
import { get32 } from '../../wire/big-endian.ts'
import type { PacketView } from '../../wire/packet-view.ts'

const WAYS = 8
/** Words of a place: first hash, second hash (never 0 in use), when it was last used. */
const WORDS = 3
const SMALLEST = 64

export class FlowMemory {
  /** Flows in the table, entered ever, and put out for others. */
  size = 0
  learned = 0
  displaced = 0
  private table = new Int32Array(SMALLEST * WORDS)
  private setMask = SMALLEST / WAYS - 1
  private readonly capacity: number
  private readonly secret: number
  /** Counts up with every use: orders them. */
  private clock = 0
  private first = 0
  private second = 0

  /** `capacity`: flows at most, a power of two from 64 on. */
  constructor(random: Random, capacity: number) {
    this.capacity = capacity
    this.secret = random.int32()
  }

  /** Notes the flow of a packet that goes to the peer. */
  learn(packet: PacketView): void {
    const known = this.find(packet, true)
    if (known >= 0) return this.use(known)
    const { first } = this
    let free = this.leastUsed()
    while (this.table[free + 1] !== 0 && this.table.length < this.capacity * WORDS) {
      this.grow()
      this.first = first
      free = this.leastUsed()
    }
    if (this.table[free + 1] === 0) this.size++
    else this.displaced++
    this.learned++
    this.table[free] = first
    this.table[free + 1] = this.second
    this.use(free)
  }

  /** Forgets the flow of a packet that goes to the peer. */
  forget(packet: PacketView): void {
    const at = this.find(packet, true)
    if (at < 0) return
    this.table[at + 1] = 0
    this.size--
  }

  /**
   * Whether the flow of a packet is known.
   * @param outward the packet goes to the peer (as one does that an ICMP error of the peer quotes), and does not come from it
   */
  knows(packet: PacketView, outward: boolean): boolean {
    return this.find(packet, outward) >= 0
  }

  private use(at: number): void {
    this.clock = (this.clock + 1) | 0
    this.table[at + 2] = this.clock
  }

  /** Place of the flow, or -1; its hashes stay in `first` and `second`. */
  private find(packet: PacketView, outward: boolean): number {
    this.hash(packet, outward)
    const from = (this.first & this.setMask) * WAYS * WORDS
    for (let at = from; at < from + WAYS * WORDS; at += WORDS) {
      if (this.table[at + 1] === this.second && this.table[at] === this.first) return at
    }
    return -1
  }

  /** A free place in the set of `first`, or the one that was not used for the longest time. */
  private leastUsed(): number {
    const from = (this.first & this.setMask) * WAYS * WORDS
    let best = from
    for (let at = from; at < from + WAYS * WORDS; at += WORDS) {
      if (this.table[at + 1] === 0) return at
      if (((this.clock - this.table[at + 2]) | 0) > ((this.clock - this.table[best + 2]) | 0)) best = at
    }
    return best
  }

  /** Twice as many sets: each is divided by the next bit of its hashes, so it has room for all. */
  private grow(): void {
    const { table } = this
    const sets = this.setMask + 1
    this.table = new Int32Array(2 * table.length)
    this.setMask = 2 * sets - 1
    for (let at = 0; at < table.length; at += WORDS) {
      if (table[at + 1] === 0) continue
      this.first = table[at]
      this.table.set(table.subarray(at, at + WORDS), this.leastUsed())
    }
  }

  private hash(packet: PacketView, outward: boolean): void {
    const { bytes, family, sourceAt, destinationAt, sourcePort, destinationPort } = packet
    const ours = outward ? sourceAt : destinationAt
    const peer = outward ? destinationAt : sourceAt
    const ports = outward ? (sourcePort << 16) | destinationPort : (destinationPort << 16) | sourcePort
    let a = mix(this.secret ^ packet.protocol, ports)
    let b = mix(Math.imul(this.secret, 0x27d4eb2f) ^ ports, packet.protocol)
    for (let i = 0; i < (family === 4 ? 4 : 16); i += 4) {
      a = mix(mix(a, get32(bytes, ours + i)), get32(bytes, peer + i))
      b = mix(mix(b, get32(bytes, peer + i)), get32(bytes, ours + i))
    }
    this.first = a
    this.second = b | 1
  }
}

/** One round of MurmurHash3's body and of its end. */
function mix(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51)
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593) ^ hash
  mixed = Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}
