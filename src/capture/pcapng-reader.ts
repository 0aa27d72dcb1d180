import { CaptureFormatError } from './capture-error.ts'
import {
  type CapturedFrame,
  type CaptureInterface,
  type CaptureNames,
  type CaptureReader,
  type CaptureSection,
  type CaptureStatistics,
  MAX_BLOCK
} from './capture-reader.ts'
import type { CaptureBytes } from './capture-source.ts'
import { Block, BYTE_ORDER_MAGIC, NameRecord, Option, padding } from './pcapng-format.ts'

const decoder = new TextDecoder()
const DEFAULT_TICKS = 1_000_000n

/** Turns an interface's ticks into ns since 1970. */
interface Clock {
  perSecond: bigint
  offsetSeconds: bigint
}

/** One option: its code and where its value is in the block. */
interface OptionAt {
  code: number
  at: number
  length: number
}

/**
 * Reads pcapng (draft-ietf-opsawg-pcapng): both byte orders, several sections, every time resolution; unknown blocks and
 * options are skipped by their length.
 */
export class PcapngReader implements CaptureReader {
  readonly format = 'pcapng'
  readonly sections: CaptureSection[] = []
  readonly interfaces: CaptureInterface[] = []
  readonly names: CaptureReader['names'] = []
  position = 0
  truncatedAt: number | undefined
  private readonly source: CaptureBytes
  /** Of the interface with the same index. */
  private readonly clocks: Clock[] = []
  /** Index of the current section's interface 0. */
  private sectionBase = 0
  private little = true
  /** The block being read, its view, its offset in the file. */
  private body: Uint8Array = new Uint8Array(0)
  private view: DataView = new DataView(this.body.buffer)
  private offset = 0

  constructor(source: CaptureBytes) {
    this.source = source
    if (!isPcapng(source)) throw new CaptureFormatError('not a pcapng file: it does not begin with a section header block', 0)
  }

  *[Symbol.iterator](): Generator<CapturedFrame> {
    try {
      for (let frame = this.read(); frame !== undefined; frame = this.read()) yield frame
    } finally {
      this.source.close()
    }
  }

  read(): CapturedFrame | undefined {
    while (this.position < this.source.length) {
      const total = this.load(this.position)
      if (total === 0) {
        this.truncatedAt = this.position
        return undefined
      }
      const frame = this.dispatch()
      this.position += total
      this.truncatedAt = undefined
      if (frame !== undefined) return frame
    }
    return undefined
  }

  /** Makes the block at `at` the current one; gives its length, 0 when the file ends within it. */
  private load(at: number): number {
    const head = this.source.slice(at, 12)
    if (head.length < 12) return 0
    this.use(head, at)
    if (this.view.getUint32(0, true) === Block.section) this.readByteOrder()
    const total = this.view.getUint32(4, this.little)
    if (total < 12 || total % 4 !== 0) throw this.fault(`a block length of ${total}, which no block can have`, 4)
    if (total > MAX_BLOCK) throw this.fault(`a block of ${total} bytes, at most ${MAX_BLOCK} are believed`, 4)
    const block = this.source.slice(at, total)
    if (block.length < total) return 0
    this.use(block, at)
    const trailer = this.view.getUint32(total - 4, this.little)
    if (trailer !== total) throw this.fault(`a block of ${total} bytes that ends saying ${trailer}`, total - 4)
    return total
  }

  private use(block: Uint8Array, at: number): void {
    this.body = block
    this.view = new DataView(block.buffer, block.byteOffset, block.byteLength)
    this.offset = at
  }

  private readByteOrder(): void {
    if (this.view.getUint32(8, true) === BYTE_ORDER_MAGIC) this.little = true
    else if (this.view.getUint32(8, false) === BYTE_ORDER_MAGIC) this.little = false
    else throw this.fault('a section header with an unknown byte-order magic', 8)
  }

  private dispatch(): CapturedFrame | undefined {
    const type = this.view.getUint32(0, this.little)
    if (type === Block.enhancedPacket) return this.readEnhancedPacket()
    if (type === Block.simplePacket) return this.readSimplePacket()
    if (type === Block.packet) return this.readPacket()
    if (type === Block.section) this.readSection()
    else if (type === Block.interface) this.readInterface()
    else if (type === Block.nameResolution) this.readNames()
    else if (type === Block.interfaceStatistics) this.readStatistics()
    return undefined
  }

  private readSection(): void {
    this.need(28)
    const major = this.view.getUint16(12, this.little)
    if (major !== 1) throw this.fault(`pcapng version ${major}, only 1 is known`, 12)
    this.sectionBase = this.interfaces.length
    const section: CaptureSection = {}
    for (const option of this.options(24)) {
      if (option.code === Option.comment) section.comment = this.joined(section.comment, option)
      else if (option.code === Option.shbHardware) section.hardware = this.text(option)
      else if (option.code === Option.shbOs) section.os = this.text(option)
      else if (option.code === Option.shbUserAppl) section.application = this.text(option)
    }
    this.sections.push(section)
  }

  private readInterface(): void {
    this.need(20)
    const info: CaptureInterface = { linkType: this.view.getUint16(8, this.little), snapLength: this.view.getUint32(12, this.little) }
    const clock: Clock = { perSecond: DEFAULT_TICKS, offsetSeconds: 0n }
    for (const option of this.options(16)) {
      const { code, at } = option
      if (code === Option.comment) info.comment = this.joined(info.comment, option)
      else if (code === Option.ifName) info.name = this.text(option)
      else if (code === Option.ifDescription) info.description = this.text(option)
      else if (code === Option.ifOs) info.os = this.text(option)
      else if (code === Option.ifMac) info.mac = this.value(option, 6)
      else if (code === Option.ifSpeed) info.speed = this.u64(option)
      else if (code === Option.ifFilter && option.length > 0) info.filter = this.text({ code, at: at + 1, length: option.length - 1 })
      else if (code === Option.ifIpv4) {
        const pair = this.value(option, 8)
        info.ipv4 ??= []
        info.ipv4.push({ address: pair.subarray(0, 4), mask: pair.subarray(4) })
      } else if (code === Option.ifIpv6) {
        const pair = this.value(option, 17)
        info.ipv6 ??= []
        info.ipv6.push({ address: pair.subarray(0, 16), prefixLength: pair[16] })
      } else if (code === Option.ifTsresol) {
        // The top bit chooses the base, 2 or 10; the rest is the negative exponent.
        const resolution = this.value(option, 1)[0]
        clock.perSecond = (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f)
      } else if (code === Option.ifFcslen) {
        // In bits.
        const fcsLength = this.value(option, 1)[0] >> 3
        if (fcsLength > 0) info.fcsLength = fcsLength
      } else if (code === Option.ifTsoffset) clock.offsetSeconds = BigInt.asIntN(64, this.u64(option))
    }
    this.interfaces.push(info)
    this.clocks.push(clock)
  }

  private readEnhancedPacket(): CapturedFrame {
    this.need(32)
    const index = this.interfaceIndex(this.view.getUint32(8, this.little), 8)
    const captured = this.view.getUint32(20, this.little)
    const frame: CapturedFrame = {
      interface: index,
      timestampNs: this.timestamp(index, 12),
      data: this.frameData(28, captured, 20),
      originalLength: this.view.getUint32(24, this.little)
    }
    for (const option of this.options(28 + captured + padding(captured))) this.frameOption(frame, option)
    return frame
  }

  private frameOption(frame: CapturedFrame, option: OptionAt): void {
    const { code } = option
    if (code === Option.comment) frame.comment = this.joined(frame.comment, option)
    else if (code === Option.epbFlags) frame.flags = this.u32(option)
    else if (code === Option.epbDropCount) frame.dropCount = this.u64(option)
    else if (code === Option.epbPacketId) frame.packetId = this.u64(option)
    else if (code === Option.epbVerdict && option.length > 0) {
      const value = this.value(option, option.length)
      frame.verdict = { type: value[0], data: value.subarray(1) }
    }
  }

  private readPacket(): CapturedFrame {
    this.need(32)
    const index = this.interfaceIndex(this.view.getUint16(8, this.little), 8)
    const captured = this.view.getUint32(20, this.little)
    const frame: CapturedFrame = {
      interface: index,
      timestampNs: this.timestamp(index, 12),
      data: this.frameData(28, captured, 20),
      originalLength: this.view.getUint32(24, this.little)
    }
    for (const option of this.options(28 + captured + padding(captured))) {
      if (option.code === Option.comment || option.code === Option.epbFlags) this.frameOption(frame, option)
    }
    return frame
  }

  /** A simple packet block has no captured length of its own: the snap length and the block's length tell it. */
  private readSimplePacket(): CapturedFrame {
    this.need(16)
    const index = this.interfaceIndex(0, 0)
    const original = this.view.getUint32(8, this.little)
    const snap = this.interfaces[index].snapLength
    const captured = Math.min(original, snap === 0 ? original : snap, this.body.length - 16)
    return { interface: index, timestampNs: 0n, data: this.frameData(12, captured, 8), originalLength: original }
  }

  private readNames(): void {
    let at = 8
    const end = this.body.length - 4
    const found: CaptureNames[] = []
    while (at + 4 <= end) {
      const type = this.view.getUint16(at, this.little)
      const length = this.view.getUint16(at + 2, this.little)
      at += 4
      if (type === NameRecord.end) break
      if (at + length > end) throw this.fault(`a name record of ${length} bytes that leaves its block`, at - 2)
      const size = type === NameRecord.ipv4 ? 4 : type === NameRecord.ipv6 ? 16 : 0
      if (size > 0 && length > size) {
        const text = decoder.decode(this.body.subarray(at + size, at + length))
        found.push({ address: this.body.subarray(at, at + size), names: text.split('\0').filter((name) => name !== '') })
      }
      at += length + padding(length)
    }
    let comment: string | undefined
    for (const option of this.options(at)) if (option.code === Option.comment) comment = this.joined(comment, option)
    if (comment !== undefined) {
      if (found.length === 0) found.push({ address: new Uint8Array(0), names: [] })
      found[0].comment = comment
    }
    this.names.push(...found)
  }

  private readStatistics(): void {
    this.need(24)
    const index = this.interfaceIndex(this.view.getUint32(8, this.little), 8)
    const statistics: CaptureStatistics = {}
    for (const option of this.options(20)) {
      const { code } = option
      if (code === Option.isbStartTime) statistics.start = this.optionTimestamp(index, option)
      else if (code === Option.isbEndTime) statistics.end = this.optionTimestamp(index, option)
      else if (code === Option.isbIfRecv) statistics.received = this.u64(option)
      else if (code === Option.isbIfDrop) statistics.dropped = this.u64(option)
      else if (code === Option.isbFilterAccept) statistics.accepted = this.u64(option)
      else if (code === Option.isbOsDrop) statistics.osDropped = this.u64(option)
      else if (code === Option.isbUsrDeliv) statistics.delivered = this.u64(option)
    }
    this.interfaces[index].statistics = statistics
  }

  private interfaceIndex(number: number, at: number): number {
    const index = this.sectionBase + number
    if (index >= this.interfaces.length) {
      throw this.fault(`interface ${number}, but the section describes only ${this.interfaces.length - this.sectionBase}`, at)
    }
    return index
  }

  private frameData(at: number, captured: number, lengthAt: number): Uint8Array {
    if (at + captured + padding(captured) + 4 > this.body.length) {
      throw this.fault(`a frame of ${captured} bytes in a block of ${this.body.length}`, lengthAt)
    }
    return this.body.subarray(at, at + captured)
  }

  /** The options from `at` up to the end of the block or the end-of-options option. */
  private *options(at: number): Generator<OptionAt> {
    const end = this.body.length - 4
    while (at + 4 <= end) {
      const code = this.view.getUint16(at, this.little)
      const length = this.view.getUint16(at + 2, this.little)
      at += 4
      if (code === Option.end) return
      if (at + length > end) throw this.fault(`option ${code} of ${length} bytes that leaves its block`, at - 2)
      yield { code, at, length }
      at += length + padding(length)
    }
  }

  private timestamp(index: number, at: number): bigint {
    const { perSecond, offsetSeconds } = this.clocks[index]
    const ticks = (BigInt(this.view.getUint32(at, this.little)) << 32n) | BigInt(this.view.getUint32(at + 4, this.little))
    return (ticks * 1_000_000_000n) / perSecond + offsetSeconds * 1_000_000_000n
  }

  private optionTimestamp(index: number, option: OptionAt): bigint {
    this.value(option, 8)
    return this.timestamp(index, option.at)
  }

  private value(option: OptionAt, length: number): Uint8Array {
    if (option.length < length) throw this.fault(`option ${option.code} of ${option.length} bytes, ${length} are needed`, option.at - 2)
    return this.body.subarray(option.at, option.at + length)
  }

  private u32(option: OptionAt): number {
    this.value(option, 4)
    return this.view.getUint32(option.at, this.little)
  }

  private u64(option: OptionAt): bigint {
    this.value(option, 8)
    return this.view.getBigUint64(option.at, this.little)
  }

  private text(option: OptionAt): string {
    const text = decoder.decode(this.body.subarray(option.at, option.at + option.length))
    return text.endsWith('\0') ? text.slice(0, text.indexOf('\0')) : text
  }

  private joined(before: string | undefined, option: OptionAt): string {
    return before === undefined ? this.text(option) : `${before}\n${this.text(option)}`
  }

  private need(length: number): void {
    if (this.body.length < length) throw this.fault(`a block of ${this.body.length} bytes, its type needs ${length}`, 4)
  }

  private fault(message: string, at: number): CaptureFormatError {
    return new CaptureFormatError(message, this.offset + at)
  }
}

/** Whether the source begins with a section header block. */
export function isPcapng(source: CaptureBytes): boolean {
  const start = source.slice(0, 4)
  // The type reads the same in both byte orders.
  return start.length === 4 && new DataView(start.buffer, start.byteOffset, 4).getUint32(0) === Block.section
}
