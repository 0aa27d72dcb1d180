/**
 * Reassembly on the way (RFC 791 section 3.2, RFC 8200 section 4.5), for who must see the ports of every packet.
 *
 *   fragment --> | table: (source, destination, id, zone) | --> whole packet, when the last hole is filled
 *
 * Fragments wait in the frames they came in; only a whole datagram is copied, into one frame. What waits is bounded in time and
 * memory, and found by a hash with a secret, so that nobody can choose identifications that meet.
 */

import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, LARGE_SLOT, NO_FRAME, SMALL_SLOT } from '../../engine/frame-pool.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { get32, put16 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  fillIpv4Checksum,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_SOURCE,
  IPV4_TOS,
  IPV4_TOTAL_LENGTH,
  ipv4Destination,
  ipv4Source
} from '../../wire/ipv4.ts'
import {
  IPV6_DESTINATION,
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  IPV6_SOURCE,
  ipv6Equal,
  setIpv6PayloadLength
} from '../../wire/ipv6.ts'
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
/** Bytes of payload: what IPv4's least MTU leaves behind a plain header. (1,280 would be the rule of IPv6; there are senders below it.) */
const SHORTEST_PAYLOAD6 = 48
/** Congestion experienced, in the second byte of either header. */
const ECN_CONGESTION4 = 3
const ECN_CONGESTION6 = 3 << 4

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
   * Takes a fragment, 14 bytes from the frame's start: an IPv4 packet for which `checkIpv4` and `ipv4IsFragment` hold, or an IPv6
   * packet with a fragment header (one that is whole by itself, RFC 6946, comes out as it is).
   * @param zone fragments of different zones never meet: the interface where they came in
   * @returns the whole packet in a frame that is the caller's, or NO_FRAME
   */
  add(frame: FrameHandle, zone: number): FrameHandle {
    const { frames } = this.context
    const { layout } = this
    const bytes = frames.bytes(frame)
    this.received++
    const isSound = layout.read(bytes, frames.start[frame], frames.start[frame] + frames.length[frame])
    if (isSound && layout.family === 6 && layout.from === 0 && layout.isLast) return this.passAtomic(frame)
    const problem = isSound ? this.judge(frame) : FragmentDrop.malformed
    if (problem >= 0) return this.drop(frame, problem)
    const hash = this.hashOf(bytes, zone)
    const datagram = this.find(hash, bytes, zone) ?? this.begin(hash, zone)
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

  /** A packet with a fragment header that is the only one: it fits as it is and is not to be cut. */
  private passAtomic(frame: FrameHandle): FrameHandle {
    this.datagrams++
    this.joined++
    return frame
  }

  /** Why the fragment in `layout` cannot be one, or -1. */
  private judge(frame: FrameHandle): number {
    const { family, from, to, isLast, packetLength, headerLength } = this.layout
    if ((this.context.frames.flags[frame] & (FrameFlag.csum | FrameFlag.gso)) !== 0) return FragmentDrop.malformed
    if (from === to || (!isLast && (to & 7) !== 0)) return FragmentDrop.malformed
    if (!isLast && (family === 4 ? packetLength < SHORTEST_FRAGMENT : to - from < SHORTEST_PAYLOAD6)) return FragmentDrop.tiny
    if (to > PACKET_MAX - (family === 4 ? IPV4_HEADER_LENGTH : headerLength - IPV6_HEADER_LENGTH)) return FragmentDrop.oversize
    return -1
  }

  private drop(frame: FrameHandle, reason: number): FrameHandle {
    this.dropped++
    this.context.drop(frame, reason)
    return NO_FRAME
  }

  private hashOf(bytes: Uint8Array, zone: number): number {
    const { family, ipAt, id } = this.layout
    const addresses = ipAt + (family === 4 ? IPV4_SOURCE : IPV6_SOURCE)
    let hash = this.secret ^ zone
    for (let i = 0; i < (family === 4 ? 8 : 32); i += 4) {
      hash = Math.imul(hash ^ get32(bytes, addresses + i), 0x85ebca6b)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash ^ id, 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  }

  private find(hash: number, bytes: Uint8Array, zone: number): HeldDatagram | null {
    const { frames } = this.context
    const { family, ipAt, id } = this.layout
    for (let known = this.table[hash & (BUCKETS - 1)]; known !== null; known = known.next) {
      if (known.hash !== hash || known.zone !== zone || known.family !== family || known.id !== id) continue
      const first = known.frames[0]
      if (haveSameAddresses(family, frames.bytes(first), frames.start[first] + ETHERNET_HEADER_LENGTH, bytes, ipAt)) return known
    }
    return null
  }

  private begin(hash: number, zone: number): HeldDatagram {
    const datagram = this.spare.pop() ?? new HeldDatagram()
    datagram.hash = hash
    datagram.zone = zone
    datagram.family = this.layout.family
    datagram.id = this.layout.id
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
    this.readHeld(first)
    const headers = ETHERNET_HEADER_LENGTH + this.layout.headerLength
    const length = headers + datagram.total
    const counted = length - ETHERNET_HEADER_LENGTH - (datagram.family === 4 ? 0 : IPV6_HEADER_LENGTH)
    const problem = counted > PACKET_MAX ? FragmentDrop.oversize : datagram.hasBadEcn ? FragmentDrop.ecn : -1
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
    if (datagram.family === 4) finishIpv4(datagram, into, start + ETHERNET_HEADER_LENGTH, counted)
    else finishIpv6(datagram, into, start + ETHERNET_HEADER_LENGTH, start + headers, counted)
    this.datagrams++
    this.joined += datagram.frames.length
    for (const frame of datagram.frames) {
      const bytes = frames.bytes(frame)
      this.readHeld(frame)
      const { payloadAt, from, to } = this.layout
      into.set(bytes.subarray(payloadAt, payloadAt + to - from), start + headers + from)
      frames.free(frame)
    }
    this.remove(datagram)
    return whole
  }

  private readHeld(frame: FrameHandle): void {
    const { frames } = this.context
    this.layout.read(frames.bytes(frame), frames.start[frame], frames.start[frame] + frames.length[frame])
  }

  private expire(now: number): void {
    while (this.oldest !== null && this.oldest.deadline <= now) this.giveUp(this.oldest, FragmentDrop.timeout)
    if (this.oldest !== null) this.timer.arm(this.oldest.deadline)
  }
}

function haveSameAddresses(family: 4 | 6, a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  if (family === 6) {
    return ipv6Equal(a, aAt + IPV6_SOURCE, b, bAt + IPV6_SOURCE) && ipv6Equal(a, aAt + IPV6_DESTINATION, b, bAt + IPV6_DESTINATION)
  }
  return ipv4Source(a, aAt) === ipv4Source(b, bAt) && ipv4Destination(a, aAt) === ipv4Destination(b, bAt)
}

/** `length`: bytes of the whole packet. */
function finishIpv4(datagram: HeldDatagram, bytes: Uint8Array, at: number, length: number): void {
  put16(bytes, at + IPV4_TOTAL_LENGTH, length)
  put16(bytes, at + IPV4_FRAGMENT, datagram.dontFragment ? IPV4_DONT_FRAGMENT : 0)
  if (datagram.metCongestion) bytes[at + IPV4_TOS] |= ECN_CONGESTION4
  fillIpv4Checksum(bytes, at)
}

/** `length`: bytes behind the fixed header. The fragment header, which ends at `payloadAt`, stays: it has the identification. */
function finishIpv6(datagram: HeldDatagram, bytes: Uint8Array, at: number, payloadAt: number, length: number): void {
  setIpv6PayloadLength(bytes, at, length)
  put16(bytes, payloadAt - IPV6_FRAGMENT_HEADER_LENGTH + 2, 0)
  if (datagram.metCongestion) bytes[at + 1] |= ECN_CONGESTION6
}
