/**
 * Makes hostile frames out of real ones. Frame number n of a seed is a function of (seed, n) alone, so that any frame of a
 * run can be made again without those before it.
 */
import { FrameFlag, LARGE_CAPACITY, SMALL_CAPACITY } from '../../src/engine/frame-pool.ts'
import { Random } from '../../src/engine/random.ts'
import { checksum, fillTransport } from '../../src/wire/checksum.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { checksumOffset, type FrameLayout, layoutOf } from './frame-layout.ts'
import { CABLE_FLAGS, type FuzzFrame } from './fuzz-frame.ts'
import { asSuperFrame } from './seed-frames.ts'

/** Whom frames are sent to, and whom they claim to come from. */
export interface Targets {
  readonly macs: readonly Uint8Array[]
  /** The MAC of the DNS service. */
  readonly service: Uint8Array
  /** MACs of stations behind the devices, which may send from there. */
  readonly sources: readonly Uint8Array[]
  readonly ipv4: readonly Uint8Array[]
  readonly ipv6: readonly Uint8Array[]
  readonly ports: readonly number[]
}

/** Values at which length and offset arithmetic breaks. */
const EDGES = [0, 1, 2, 4, 5, 7, 8, 15, 16, 19, 20, 21, 27, 39, 40, 41, 63, 64, 127, 128, 255, 256, 511, 512, 1499, 1500, 2047, 4095]
const EDGES_HIGH = [0x3fff, 0x7fff, 0x8000, 0xfff0, 0xfff7, 0xfffe, 0xffff]
const EDGES_16 = [...EDGES, ...EDGES_HIGH]
/** More than this is rare: a 64 KiB frame costs as much as forty others. */
const LARGE_SHARE = 0.01

export class Mutator {
  private readonly seed: number | string
  /** By kind of traffic, so that every kind comes as often however many frames its capture has. */
  private readonly seeds: readonly (readonly FuzzFrame[])[]
  private readonly large: readonly FuzzFrame[]
  private readonly targets: Targets
  private readonly layout: FrameLayout = { ip: -1, version: 0, transport: -1, protocol: -1, arp: -1 }
  private random = new Random(0)

  constructor(seed: number | string, seeds: readonly (readonly FuzzFrame[])[], targets: Targets) {
    this.seed = seed
    const isSmall = ({ length }: FuzzFrame): boolean => length <= SMALL_CAPACITY
    this.seeds = seeds.map((frames) => frames.filter(isSmall)).filter((frames) => frames.length > 0)
    this.large = seeds.flat().filter((frame) => !isSmall(frame))
    this.targets = targets
  }

  /** Writes frame `number` into `frame` and returns the randomness that is left for it (which port, when). */
  make(number: number, frame: FuzzFrame): Random {
    const random = new Random(`${this.seed}/${number}`)
    this.random = random
    frame.copyFrom(this.pick(random.next() < LARGE_SHARE ? this.large : this.pick(this.seeds)))
    // Who is asked matters more than what: a frame for nobody is only flooded.
    if (random.next() < 0.7) this.retarget(frame)
    const rounds = random.below(4)
    for (let round = 0; round < rounds; round++) this.mutate(frame)
    if (random.next() < 0.5) this.repair(frame)
    if (random.next() < 0.1) this.offload(frame)
    return random
  }

  private mutate(frame: FuzzFrame): void {
    const { random } = this
    switch (random.below(13)) {
      case 0:
      case 1:
        return this.flip(frame)
      case 2:
      case 3:
      case 4:
        return this.editField(frame)
      case 5:
        return this.editWord(frame)
      case 6:
        frame.length = random.below(frame.length + 1)
        return
      case 7:
        return this.splice(frame)
      case 8:
        return this.extend(frame)
      case 9:
        return this.remove(frame)
      case 10:
        return this.repeat(frame)
      case 11:
        return this.tag(frame)
      default:
        return this.noise(frame)
    }
  }

  /** Aims a frame at one of the network's own stations. */
  private retarget(frame: FuzzFrame): void {
    const { random, targets } = this
    const { bytes } = frame
    if (frame.length < 14) return
    bytes.set(this.pick(targets.macs), 0)
    // A bridge that hears a host's address elsewhere sends nothing to the host any more: forged ones are rare.
    bytes.set(this.pick(random.next() < 0.03 ? targets.macs : targets.sources), 6)
    const { ip, version, transport, protocol, arp } = this.look(frame)
    if (arp >= 0 && arp + 28 <= frame.length) {
      bytes.set(this.pick(targets.ipv4), arp + 24)
      if (random.next() < 0.5) bytes.set(this.pick(targets.ipv4), arp + 14)
      if (random.next() < 0.5) bytes.set(this.pick(targets.macs), arp + 8)
    }
    if (version !== 0) {
      const addresses = version === 4 ? targets.ipv4 : targets.ipv6
      bytes.set(this.pick(addresses), ip + (version === 4 ? 16 : 24))
      if (random.next() < 0.3) bytes.set(this.pick(addresses), ip + (version === 4 ? 12 : 8))
    }
    const isDns = transport >= 0 && frame.view.getUint16(transport + 2) === 53
    if (isDns && random.next() < 0.7) bytes.set(targets.service, 0)
    else if (transport >= 0 && (protocol === 6 || protocol === 17) && random.next() < 0.3) {
      frame.view.setUint16(transport + 2, this.pick(targets.ports))
      if (random.next() < 0.2) frame.view.setUint16(transport, this.pick(targets.ports))
    }
    // Otherwise the checksums are wrong now, and every frame ends there.
    if (random.next() < 0.95) this.repair(frame)
  }

  private flip(frame: FuzzFrame): void {
    const count = 1 + this.random.below(8)
    for (let i = 0; i < count && frame.length > 0; i++) {
      // Headers are where flips matter; payload bits are as good as each other.
      const reach = this.random.next() < 0.8 ? Math.min(frame.length, 128) : frame.length
      frame.bytes[this.random.below(reach)] ^= 1 << this.random.below(8)
    }
  }

  /** A length, offset, type or checksum field gets a value at which arithmetic breaks. */
  private editField(frame: FuzzFrame): void {
    const { random } = this
    const { ip, version, transport, protocol, arp } = this.look(frame)
    const fields: number[] = [12]
    if (arp >= 0) fields.push(arp, arp + 2, arp + 4, arp + 6)
    if (version === 4) fields.push(ip, ip + 2, ip + 2, ip + 4, ip + 6, ip + 6, ip + 8, ip + 10, ip + 20)
    if (version === 6) fields.push(ip, ip + 4, ip + 4, ip + 6, ip + 6, ip + 40, ip + 42)
    if (transport >= 0) {
      fields.push(transport, transport + 2, transport + 4)
      if (protocol === 6) fields.push(transport + 4, transport + 8, transport + 12, transport + 12, transport + 14, transport + 20)
      if (protocol === 17) fields.push(transport + 4, transport + 6, transport + 8, transport + 10, transport + 12, transport + 18)
      if (protocol === 58) fields.push(transport + 24, transport + 25)
    }
    const at = this.pick(fields)
    if (at + 2 > frame.length) return
    const { view } = frame
    const value = random.below(4)
    if (value === 0) view.setUint16(at, this.pick(EDGES_16))
    else if (value === 1) view.setUint8(at, random.below(256))
    else if (value === 2) view.setUint16(at, (view.getUint16(at) + (random.below(2) === 0 ? 1 : -1) * (1 + random.below(16))) & 0xffff)
    // About the length of what is there: off by a few is what passes a first check.
    else view.setUint16(at, Math.max(0, frame.length - at + random.below(9) - 4) & 0xffff)
  }

  private editWord(frame: FuzzFrame): void {
    if (frame.length < 2) return
    frame.view.setUint16(this.random.below(frame.length - 1), this.pick(EDGES_16))
  }

  /** The head of this frame and the tail of another. */
  private splice(frame: FuzzFrame): void {
    const other = this.pick(this.pick(this.seeds))
    const head = this.random.below(frame.length + 1)
    const tail = this.random.below(other.length)
    const size = Math.min(other.length - tail, LARGE_CAPACITY - head)
    frame.bytes.set(other.bytes.subarray(tail, tail + size), head)
    frame.length = head + size
  }

  private extend(frame: FuzzFrame): void {
    const { random } = this
    const choice = random.below(100)
    const most = choice === 0 ? LARGE_CAPACITY : choice < 30 ? SMALL_CAPACITY : Math.min(LARGE_CAPACITY, frame.length + 64)
    if (most <= frame.length) return
    const length = choice % 3 === 0 ? most : frame.length + random.below(most - frame.length + 1)
    frame.bytes.fill(random.below(256), frame.length, length)
    frame.length = length
  }

  /** Bytes are taken out of the middle. */
  private remove(frame: FuzzFrame): void {
    const { random } = this
    const at = random.below(frame.length + 1)
    const count = Math.min(frame.length - at, 1 + random.below(32))
    frame.bytes.copyWithin(at, at + count, frame.length)
    frame.length -= count
  }

  /** A stretch of bytes comes again: options, extension headers, tags. */
  private repeat(frame: FuzzFrame): void {
    const { random } = this
    if (frame.length === 0) return
    const at = random.below(Math.min(frame.length, 96))
    const count = Math.min(frame.length - at, 1 + random.below(16))
    const times = Math.min(1 + random.below(8), Math.floor((LARGE_CAPACITY - frame.length) / count))
    for (let i = 0; i < times; i++) {
      frame.bytes.copyWithin(at + count, at, frame.length)
      frame.length += count
    }
  }

  /** One 802.1Q tag, or a stack of service and customer tags. */
  private tag(frame: FuzzFrame): void {
    const { random } = this
    const { bytes, view } = frame
    const tags = random.below(8) === 0 ? 1 + random.below(20) : 1
    for (let i = 0; i < tags && frame.length >= 14 && frame.length + 4 <= LARGE_CAPACITY; i++) {
      bytes.copyWithin(16, 12, frame.length)
      view.setUint16(12, random.below(2) === 0 ? 0x8100 : 0x88a8)
      view.setUint16(14, random.below(0x10000))
      frame.length += 4
    }
  }

  private noise(frame: FuzzFrame): void {
    const { random } = this
    const from = random.below(4) === 0 ? 0 : 14
    for (let at = from; at < Math.min(frame.length, from + 64); at++) frame.bytes[at] = random.int32()
  }

  /** Makes lengths and checksums right again, so that what comes behind them is reached. */
  private repair(frame: FuzzFrame): void {
    const { bytes, view, length } = frame
    const { ip, version, transport, protocol } = this.look(frame)
    if (version === 0) return
    if (this.random.next() < 0.7) {
      if (version === 4) view.setUint16(ip + 2, Math.min(0xffff, length - ip))
      else view.setUint16(ip + 4, Math.min(0xffff, length - ip - 40))
      if (protocol === 17 && transport >= 0) view.setUint16(transport + 4, Math.min(0xffff, length - transport))
    }
    const end = Math.min(length, version === 4 ? ip + view.getUint16(ip + 2) : ip + 40 + view.getUint16(ip + 4))
    const offset = checksumOffset(protocol)
    if (transport >= 0 && offset >= 0 && transport + offset + 2 <= end) {
      if (protocol === 1) {
        view.setUint16(transport + 2, 0)
        view.setUint16(transport + 2, checksum(bytes, transport, end - transport))
      } else fillTransport(bytes, transport, end, ip, protocol, transport + offset)
    }
    if (version === 4 && ip + 4 * (bytes[ip] & 15) <= length && (bytes[ip] & 15) >= 5) fillIpv4Checksum(bytes, ip)
  }

  /** Offload fields: those of a real super-frame, slightly wrong ones, or nonsense. */
  private offload(frame: FuzzFrame): void {
    const { random } = this
    const kind = random.below(4)
    if (kind === 0 && frame.length > 600) {
      asSuperFrame(frame)
      frame.gsoSize = 200 + random.below(1400)
      return
    }
    if (kind === 1) {
      asSuperFrame(frame)
      frame.gsoSize = this.pick(EDGES_16)
      if (random.next() < 0.5) frame.gsoType = this.pick([0, 1, 2, 3, 4, 5, 0x81, 0x84, 0x85, 0xff])
      return
    }
    frame.flags = random.int32() & CABLE_FLAGS
    if (kind === 2) frame.flags = FrameFlag.csum
    frame.gsoType = this.pick([0, 1, 3, 4, 5, 0x81, 0x84, random.below(256)])
    frame.gsoSize = this.pick(EDGES_16)
    frame.hdrLen = this.pick(EDGES_16)
    frame.csumStart = random.below(2) === 0 ? random.below(frame.length + 4) : this.pick(EDGES_16)
    frame.csumOffset = random.below(2) === 0 ? this.pick([2, 6, 16]) : this.pick(EDGES_16)
  }

  private look(frame: FuzzFrame): FrameLayout {
    return layoutOf(frame.view, frame.length, this.layout)
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]
  }
}
