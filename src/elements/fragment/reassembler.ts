/**
 * IPv4 reassembly on the way (RFC 791 section 3.2), for who must see the ports of every packet.
 *
 *   fragment --> | table: (source, destination, protocol, id, zone) | --> whole packet, when the last hole is filled
 *
 * Fragments wait in the frames they came in; only a whole datagram is copied, into one frame. What waits is bounded in time and
 * memory, and found by a hash with a secret, so that nobody can choose identifications that meet.
 */

import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, LARGE_SLOT, NO_FRAME, SMALL_SLOT } from '../../engine/frame-pool.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { get16, get32, put16 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  fillIpv4Checksum,
  IPV4_DESTINATION,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_ID,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TOTAL_LENGTH
} from '../../wire/ipv4.ts'
import { FragmentDrop } from './fragment-drop.ts'
import { FragmentLayout } from './fragment-layout.ts'
import { HeldDatagram, Insertion } from './held-datagram.ts'

export interface ReassemblerOptions {
  /** Seconds from the first fragment until the datagram is given up; default 30. */
  readonly timeout?: number
  /** Bytes of frame slots held at most; default 8 MiB. */
  readonly memory?: number
}

const TIMEOUT = 30
const MEMORY = 8 << 20
const SECOND = 1e9
/** Lists of the hash table; a power of two. With 8 MiB a list has four datagrams at most on average. */
const BUCKETS = 1024
/** Objects of datagrams that ended, kept to be used again. */
const SPARE_MAX = 256
const PACKET_MAX = 65535
/** RFC 791 3.2: every link carries this many bytes; a fragment's payload is a multiple of 8, so up to 7 bytes may be free. */
const SHORTEST_FRAGMENT = 68 - 7
const ECN_CONGESTION = 3

export class Reassembler {
  /** Fragments that came. */
  received = 0
  /** Packets put together, and the fragments they came in. */
  datagrams = 0
  joined = 0
  /** Fragments that ended here. */
  dropped = 0
  private heldCount = 0
  private heldMemory = 0
  private readonly context: ElementContext
  private readonly timeout: number
  private readonly memory: number
  private readonly secret: number
  private readonly table: (HeldDatagram | null)[] = new Array(BUCKETS).fill(null)
  private oldest: HeldDatagram | null = null
  private newest: HeldDatagram | null = null
  private readonly spare: HeldDatagram[] = []
  private readonly layout = new FragmentLayout()
  private readonly timer: Timer

  constructor(context: ElementContext, options: ReassemblerOptions = {}) {
    this.context = context
    this.timeout = (options.timeout ?? TIMEOUT) * SECOND
    this.memory = options.memory ?? MEMORY
    this.secret = context.random.below(0x7fffffff) | 1
    this.timer = context.timer((now) => this.expire(now))
  }

  /** Fragments that wait for others. */
  get held(): number {
    return this.heldCount
  }

  /** Bytes of frame slots that they occupy. */
  get heldBytes(): number {
    return this.heldMemory
  }

  /**
   * Takes an IPv4 fragment (`checkIpv4` and `ipv4IsFragment` hold at 14 bytes from the frame's start).
   * @param zone fragments of different zones never meet: the interface where they came in
   * @returns the whole packet in a frame that is the caller's, or NO_FRAME
   */
  add(frame: FrameHandle, zone: number): FrameHandle {
    const { frames } = this.context
    const { layout } = this
    const bytes = frames.bytes(frame)
    this.received++
    layout.readIpv4(bytes, frames.start[frame])
    const problem = this.judge(frame)
    if (problem >= 0) return this.drop(frame, problem)
    const hash = this.hashOf(bytes, layout.ipAt, zone)
    const datagram = this.find(hash, bytes, layout.ipAt, zone) ?? this.begin(hash, zone)
    const what = datagram.insert(frame, layout)
    if (what === Insertion.duplicate) return this.drop(frame, FragmentDrop.duplicate)
    if (what !== Insertion.held) {
      const reason = what === Insertion.overlap ? FragmentDrop.overlap : FragmentDrop.contradiction
      this.giveUp(datagram, reason)
      return this.drop(frame, reason)
    }
    const size = frame >= frames.largeBase ? LARGE_SLOT : SMALL_SLOT
    datagram.memory += size
    this.heldMemory += size
    this.heldCount++
    if (datagram.isWhole) return this.join(datagram)
    while (this.heldMemory > this.memory && this.oldest !== null) this.giveUp(this.oldest, FragmentDrop.evicted)
    return NO_FRAME
  }

  /** Gives back what is held. */
  close(): void {
    while (this.oldest !== null) {
      for (const frame of this.oldest.frames) this.context.frames.free(frame)
      this.remove(this.oldest)
    }
  }

  /** Why the fragment in `layout` cannot be one, or -1. */
  private judge(frame: FrameHandle): number {
    const { from, to, isLast, packetLength } = this.layout
    if ((this.context.frames.flags[frame] & (FrameFlag.csum | FrameFlag.gso)) !== 0) return FragmentDrop.malformed
    if (from === to || (!isLast && (to & 7) !== 0)) return FragmentDrop.malformed
    if (!isLast && packetLength < SHORTEST_FRAGMENT) return FragmentDrop.tiny
    if (to > PACKET_MAX - IPV4_HEADER_LENGTH) return FragmentDrop.oversize
    return -1
  }

  private drop(frame: FrameHandle, reason: number): FrameHandle {
    this.dropped++
    this.context.drop(frame, reason)
    return NO_FRAME
  }

  private hashOf(bytes: Uint8Array, ipAt: number, zone: number): number {
    let hash = this.secret ^ zone
    hash = Math.imul(hash ^ get32(bytes, ipAt + IPV4_SOURCE), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ get32(bytes, ipAt + IPV4_DESTINATION), 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ ((get16(bytes, ipAt + IPV4_ID) << 8) | bytes[ipAt + IPV4_PROTOCOL]), 0x9e3779b1)
    return hash ^ (hash >>> 16)
  }

  private find(hash: number, bytes: Uint8Array, ipAt: number, zone: number): HeldDatagram | null {
    const { frames } = this.context
    for (let known = this.table[hash & (BUCKETS - 1)]; known !== null; known = known.next) {
      if (known.hash !== hash || known.zone !== zone) continue
      const first = known.frames[0]
      if (isSameDatagram(frames.bytes(first), frames.start[first] + ETHERNET_HEADER_LENGTH, bytes, ipAt)) return known
    }
    return null
  }

  private begin(hash: number, zone: number): HeldDatagram {
    const datagram = this.spare.pop() ?? new HeldDatagram()
    datagram.hash = hash
    datagram.zone = zone
    datagram.deadline = this.context.now + this.timeout
    datagram.next = this.table[hash & (BUCKETS - 1)]
    this.table[hash & (BUCKETS - 1)] = datagram
    datagram.older = this.newest
    if (this.newest === null) this.oldest = datagram
    else this.newest.newer = datagram
    this.newest = datagram
    if (!this.timer.armed) this.timer.arm(datagram.deadline)
    return datagram
  }

  /** Takes the datagram out of everything; its frames are the caller's. */
  private remove(datagram: HeldDatagram): void {
    const bucket = datagram.hash & (BUCKETS - 1)
    if (this.table[bucket] === datagram) this.table[bucket] = datagram.next
    else {
      let before = this.table[bucket]!
      while (before.next !== datagram) before = before.next!
      before.next = datagram.next
    }
    if (datagram.older === null) this.oldest = datagram.newer
    else datagram.older.newer = datagram.newer
    if (datagram.newer === null) this.newest = datagram.older
    else datagram.newer.older = datagram.older
    // Nothing held, nothing to wait for: an idle lab has no next event.
    if (this.oldest === null) this.timer.disarm()
    this.heldMemory -= datagram.memory
    this.heldCount -= datagram.frames.length
    datagram.clear()
    if (this.spare.length < SPARE_MAX) this.spare.push(datagram)
  }

  private giveUp(datagram: HeldDatagram, reason: number): void {
    for (const frame of datagram.frames) this.drop(frame, reason)
    this.remove(datagram)
  }

  /** Makes one packet of a datagram that has no hole. */
  private join(datagram: HeldDatagram): FrameHandle {
    const { frames } = this.context
    const first = datagram.frames[0]
    this.layout.readIpv4(frames.bytes(first), frames.start[first])
    const headers = ETHERNET_HEADER_LENGTH + this.layout.headerLength
    const length = headers + datagram.total
    const problem = length - ETHERNET_HEADER_LENGTH > PACKET_MAX ? FragmentDrop.oversize : datagram.hasBadEcn ? FragmentDrop.ecn : -1
    const whole = problem >= 0 ? NO_FRAME : frames.allocate(length)
    if (whole === NO_FRAME) {
      this.giveUp(datagram, problem >= 0 ? problem : EngineDrop.poolExhausted)
      return NO_FRAME
    }
    const into = frames.bytes(whole)
    const start = frames.start[whole]
    into.set(frames.bytes(first).subarray(frames.start[first], frames.start[first] + headers), start)
    frames.copyMetadata(first, whole)
    frames.flags[whole] = (frames.flags[first] & FrameFlag.traced) | FrameFlag.reassembled
    frames.gsoSize[whole] = datagram.longest
    this.finishHeader(datagram, into, start + ETHERNET_HEADER_LENGTH, length - ETHERNET_HEADER_LENGTH)
    this.datagrams++
    this.joined += datagram.frames.length
    for (const frame of datagram.frames) {
      const bytes = frames.bytes(frame)
      this.layout.readIpv4(bytes, frames.start[frame])
      const { payloadAt, from, to } = this.layout
      into.set(bytes.subarray(payloadAt, payloadAt + to - from), start + headers + from)
      frames.free(frame)
    }
    this.remove(datagram)
    return whole
  }

  private finishHeader(datagram: HeldDatagram, bytes: Uint8Array, ipAt: number, length: number): void {
    put16(bytes, ipAt + IPV4_TOTAL_LENGTH, length)
    put16(bytes, ipAt + IPV4_FRAGMENT, datagram.dontFragment ? IPV4_DONT_FRAGMENT : 0)
    if (datagram.metCongestion) bytes[ipAt + IPV4_TOS] |= ECN_CONGESTION
    fillIpv4Checksum(bytes, ipAt)
  }

  private expire(now: number): void {
    while (this.oldest !== null && this.oldest.deadline <= now) this.giveUp(this.oldest, FragmentDrop.timeout)
    if (this.oldest !== null) this.timer.arm(this.oldest.deadline)
  }
}

/** Same addresses, identification and protocol. */
function isSameDatagram(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  return (
    get32(a, aAt + IPV4_SOURCE) === get32(b, bAt + IPV4_SOURCE) &&
    get32(a, aAt + IPV4_DESTINATION) === get32(b, bAt + IPV4_DESTINATION) &&
    get16(a, aAt + IPV4_ID) === get16(b, bAt + IPV4_ID) &&
    a[aAt + IPV4_PROTOCOL] === b[bAt + IPV4_PROTOCOL]
  )
}
