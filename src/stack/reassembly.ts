/**
 * IPv4 reassembly, RFC 791 section 3.2 with RFC 815's bookkeeping as a bitmap of 8-byte units.
 *
 * The parts are copied into one large frame; when the last hole is filled, that frame goes on as if it had come whole.
 * Overlapping fragments end the datagram, as in Linux since 4.20 and as RFC 5722 asks for IPv6; an exact repeat does no harm.
 */

import { EngineDrop } from '../engine/drop-reason.ts'
import type { ElementContext } from '../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { get32, put16 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.ts'
import {
  fillIpv4Checksum,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source
} from '../wire/ipv4.ts'
import type { PacketView } from '../wire/packet-view.ts'
import { StackDrop } from './stack-drop.ts'

/** Datagrams that are put together at once: each holds a large frame. */
export const REASSEMBLIES_MAX = 16
const TIMEOUT_NS = 30e9
const UNITS = 8192
const HEADERS = ETHERNET_HEADER_LENGTH + IPV4_HEADER_LENGTH

interface Datagram {
  frame: FrameHandle
  source: number
  destination: number
  id: number
  protocol: number
  /** Bytes of payload, known when the last fragment came; -1 before. */
  total: number
  /** Units that are there, and how many. */
  readonly units: Uint8Array
  filled: number
  deadline: number
}

export class Reassembly {
  private readonly context: ElementContext
  private readonly datagrams: Datagram[] = []
  /** Bitmaps of datagrams that ended, to be used again. */
  private readonly spare: Uint8Array[] = []
  private readonly timer: Timer

  constructor(context: ElementContext) {
    this.context = context
    this.timer = context.timer((now) => this.expire(now))
  }

  /** Takes a fragment. Returns the whole datagram's frame, which is then the caller's; else NO_FRAME. */
  add(frame: FrameHandle, packet: PacketView): FrameHandle {
    const { bytes, networkAt: ipAt, transportAt, end } = packet
    const offset = ipv4FragmentOffset(bytes, ipAt)
    const size = end - transportAt
    const isLast = !ipv4MoreFragments(bytes, ipAt)
    // Only the last part may have a length that is no multiple of 8.
    if (offset + size > 65535 - IPV4_HEADER_LENGTH || size === 0 || (!isLast && (size & 7) !== 0)) {
      this.context.drop(frame, StackDrop.malformed)
      return NO_FRAME
    }
    const datagram = this.find(packet) ?? this.begin(frame, packet)
    if (datagram === null) {
      this.context.drop(frame, EngineDrop.poolExhausted)
      return NO_FRAME
    }
    const first = offset >> 3
    const last = (offset + size + 7) >> 3
    const known = this.countFilled(datagram, first, last)
    if (known === last - first) {
      this.context.frames.free(frame) // a repeat
      return NO_FRAME
    }
    const isBeyond = datagram.total >= 0 && offset + size > datagram.total
    const contradicts = isLast && datagram.total >= 0 && offset + size !== datagram.total
    // The end must not lie before what is there: the count of units would come out right over a hole.
    const endsTooEarly = isLast && datagram.units.indexOf(1, last) >= 0
    if (known > 0 || isBeyond || contradicts || endsTooEarly) {
      this.end(datagram)
      this.context.drop(datagram.frame, StackDrop.fragmentOverlap)
      this.context.drop(frame, StackDrop.fragmentOverlap)
      return NO_FRAME
    }
    const { frames } = this.context
    const into = frames.bytes(datagram.frame)
    into.set(bytes.subarray(transportAt, end), frames.start[datagram.frame] + HEADERS + offset)
    datagram.units.fill(1, first, last)
    datagram.filled += last - first
    if (isLast) datagram.total = offset + size
    frames.free(frame)
    return datagram.total >= 0 && datagram.filled === (datagram.total + 7) >> 3 ? this.finish(datagram) : NO_FRAME
  }

  /** Gives back what is held. */
  close(): void {
    for (const { frame } of this.datagrams) this.context.frames.free(frame)
    this.datagrams.length = 0
  }

  private find(packet: PacketView): Datagram | undefined {
    const { bytes, networkAt: ipAt } = packet
    return this.datagrams.find(
      (known) =>
        known.id === ipv4Id(bytes, ipAt) &&
        known.source === ipv4Source(bytes, ipAt) &&
        known.destination === ipv4Destination(bytes, ipAt) &&
        known.protocol === ipv4Protocol(bytes, ipAt)
    )
  }

  private begin(from: FrameHandle, packet: PacketView): Datagram | null {
    const { frames } = this.context
    if (this.datagrams.length >= REASSEMBLIES_MAX) {
      const oldest = this.datagrams[0]
      this.end(oldest)
      this.context.drop(oldest.frame, StackDrop.reassemblyTimeout)
    }
    const frame = frames.allocate(65535 + ETHERNET_HEADER_LENGTH)
    if (frame === NO_FRAME) return null
    const { bytes, frameAt: at, networkAt: ipAt } = packet
    // The headers of the fragment that came first; options are left out.
    const into = frames.bytes(frame)
    const start = frames.start[frame]
    into.set(bytes.subarray(at, at + HEADERS), start)
    into[start + ETHERNET_HEADER_LENGTH] = 0x45
    frames.copyMetadata(from, frame)
    frames.flags[frame] &= FrameFlag.traced
    const units = this.spare.pop() ?? new Uint8Array(UNITS)
    const datagram: Datagram = {
      frame,
      source: ipv4Source(bytes, ipAt),
      destination: get32(bytes, ipAt + IPV4_SOURCE + 4),
      id: ipv4Id(bytes, ipAt),
      protocol: ipv4Protocol(bytes, ipAt),
      total: -1,
      units: units.fill(0),
      filled: 0,
      deadline: this.context.now + TIMEOUT_NS
    }
    this.datagrams.push(datagram)
    if (!this.timer.armed) this.timer.arm(datagram.deadline)
    return datagram
  }

  private countFilled(datagram: Datagram, first: number, last: number): number {
    let count = 0
    for (let unit = first; unit < last; unit++) count += datagram.units[unit]
    return count
  }

  private finish(datagram: Datagram): FrameHandle {
    const { frames } = this.context
    this.end(datagram)
    const { frame, total } = datagram
    const bytes = frames.bytes(frame)
    const ipAt = frames.start[frame] + ETHERNET_HEADER_LENGTH
    frames.length[frame] = HEADERS + total
    put16(bytes, ipAt + IPV4_TOTAL_LENGTH, IPV4_HEADER_LENGTH + total)
    put16(bytes, ipAt + IPV4_FRAGMENT, 0)
    fillIpv4Checksum(bytes, ipAt)
    return frame
  }

  private end(datagram: Datagram): void {
    this.datagrams.splice(this.datagrams.indexOf(datagram), 1)
    this.spare.push(datagram.units)
  }

  private expire(now: number): void {
    while (this.datagrams.length > 0 && this.datagrams[0].deadline <= now) {
      const { frame } = this.datagrams[0]
      this.end(this.datagrams[0])
      this.context.drop(frame, StackDrop.reassemblyTimeout)
    }
    if (this.datagrams.length > 0) this.timer.arm(this.datagrams[0].deadline)
  }
}
