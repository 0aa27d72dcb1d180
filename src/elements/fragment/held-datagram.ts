/**
 * The fragments of one datagram that have come, ordered by their place: what RFC 815 keeps as a list of holes.
 *
 *   frames   a  b     c          from[i] <= to[i] <= from[i + 1]; no two overlap, so the datagram is whole
 *   bytes   |==|==|..|===|       when their lengths add up to its length
 *                          ^ total, known when the last fragment came
 */
import type { FrameHandle } from '../../engine/frame-pool.ts'
import type { FragmentLayout } from './fragment-layout.ts'

/** What `insert` did. All but `held` leave the datagram as it was. */
export const Insertion = { held: 0, duplicate: 1, overlap: 2, contradiction: 3 } as const

/** Congestion experienced, and ECN-unknown, as bits of `HeldDatagram.ecn`. */
const ECN_CONGESTION = 1 << 3
const ECN_UNKNOWN = 1 << 0

export class HeldDatagram {
  /** Of addresses, `id`, family and zone; see Reassembler. */
  hash = 0
  zone = 0
  family: 4 | 6 = 4
  /** As in FragmentLayout. */
  id = 0
  /** Nanoseconds since the engine's start. */
  deadline = 0
  /** Frame slots that the fragments occupy, bytes. */
  memory = 0
  /** Others with the same place in the table. */
  next: HeldDatagram | null = null
  /** Neighbors in the order in which datagrams began. */
  older: HeldDatagram | null = null
  newer: HeldDatagram | null = null
  /** The fragments in the order of their places. */
  readonly frames: FrameHandle[] = []
  private readonly from: number[] = []
  private readonly to: number[] = []
  /** Bytes of payload of the whole, known when the last fragment came; -1 before. */
  total = -1
  private filled = 0
  /** Bytes of the longest fragment's IP packet, and of the longest one with DF. */
  longest = 0
  private longestWithDf = 0
  /** One bit for each ECN codepoint that was seen. */
  private ecn = 0

  get isWhole(): boolean {
    return this.filled === this.total
  }

  /** Whether the longest fragment had DF. */
  get dontFragment(): boolean {
    return this.longestWithDf === this.longest
  }

  /** Whether any fragment met congestion (RFC 3168 5.3). */
  get metCongestion(): boolean {
    return (this.ecn & ECN_CONGESTION) !== 0
  }

  /** Some fragments say that their sender knows ECN and others that it does not: RFC 3168 5.3, Linux's ip_frag_ecn_table. */
  get hasBadEcn(): boolean {
    return (this.ecn & ECN_UNKNOWN) !== 0 && (this.ecn & ~ECN_UNKNOWN) !== 0
  }

  /** Forgets everything: the object is used again. */
  clear(): void {
    this.frames.length = this.from.length = this.to.length = 0
    this.total = -1
    this.filled = this.memory = this.longest = this.longestWithDf = this.ecn = 0
    this.next = this.older = this.newer = null
  }

  /** Takes the frame whose layout this is, if it fits in; one of `Insertion`. */
  insert(frame: FrameHandle, layout: FragmentLayout): number {
    const { from, to, isLast } = layout
    const end = this.to.length > 0 ? this.to[this.to.length - 1] : 0
    if (this.total >= 0 && (to > this.total || (isLast && to !== this.total))) return Insertion.contradiction
    if (isLast && to < end) return Insertion.contradiction
    const index = this.firstEndingAfter(from)
    if (index < this.from.length && this.from[index] < to) return this.covers(index, from, to) ? Insertion.duplicate : Insertion.overlap
    this.frames.splice(index, 0, frame)
    this.from.splice(index, 0, from)
    this.to.splice(index, 0, to)
    this.filled += to - from
    if (isLast) this.total = to
    this.longest = Math.max(this.longest, layout.packetLength)
    if (layout.dontFragment) this.longestWithDf = Math.max(this.longestWithDf, layout.packetLength)
    this.ecn |= 1 << layout.ecn
    return Insertion.held
  }

  /** Index of the first fragment that ends behind `place`; most come in order, so the search begins at the end. */
  private firstEndingAfter(place: number): number {
    let high = this.to.length
    if (high === 0 || this.to[high - 1] <= place) return high
    let low = 0
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.to[middle] > place) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Whether [from, to) lies inside the run of touching fragments that begins at `index`. */
  private covers(index: number, from: number, to: number): boolean {
    if (this.from[index] > from) return false
    let last = index
    while (this.to[last] < to && this.from[last + 1] === this.to[last]) last++
    return this.to[last] >= to
  }
}
