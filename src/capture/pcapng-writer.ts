import { BlockBuffer, type ByteSink, optionSize, optionText } from './block-buffer.ts'
import type { FrameRecord } from './frame-record.ts'
import { Block, BYTE_ORDER_MAGIC, LINKTYPE_ETHERNET, NameRecord, Option, padding, VerdictType } from './pcapng-format.ts'

/** What the section header tells. Nothing is filled in by itself: a capture of a simulated run must not name a host. */
export interface SectionOptions {
  application?: string
  hardware?: string
  os?: string
  comment?: string
}

/** One interface of the capture: a port of the network. Addresses are bytes in network order. */
export interface InterfaceInfo {
  name?: string
  description?: string
  /** 6 bytes. */
  mac?: Uint8Array
  /** 4 bytes of address and 4 bytes of netmask each. */
  ipv4?: { address: Uint8Array; mask: Uint8Array }[]
  /** 16 bytes of address and the prefix length each. */
  ipv6?: { address: Uint8Array; prefixLength: number }[]
  /** bit/s */
  speed?: number
  /** The capture filter, as its author wrote it. */
  filter?: string
  os?: string
  comment?: string
  /** LINKTYPE_ number; Ethernet when absent. */
  linkType?: number
  /** Bytes kept per frame; the writer's own when absent. */
  snapLength?: number
}

/** Names of one address (4 or 16 bytes, network order). */
export interface AddressNames {
  address: Uint8Array
  names: string[]
  /** What else is known from here on, in words. Where there is nothing but that, there are no names, and the address may be empty. */
  comment?: string
}

/** Counts of one interface; what is absent is not written. Times are ns since the capture's base time. */
export interface InterfaceStatistics {
  start?: number
  end?: number
  received?: number
  dropped?: number
  accepted?: number
  osDropped?: number
  delivered?: number
}

export interface PcapngWriterOptions {
  section?: SectionOptions
  /** Bytes kept per frame; 262,144 (all of any frame) when absent. */
  snapLength?: number
  /** ns since 1970 at timestamp 0 of the records. */
  baseTime?: bigint
  /** Bytes gathered before the sink gets them. */
  bufferSize?: number
}

export const DEFAULT_SNAP_LENGTH = 262_144
const WORD = 0x1_0000_0000
const NANOSECONDS = 9
const MAX_FRAME_OPTIONS = 8 + 12 + 16 + 12 + 4
const END_OF_OPTIONS = 4

/**
 * Writes one pcapng section (draft-ietf-opsawg-pcapng), little-endian, nanoseconds on every interface.
 *
 *   block:  | type 4 | total length 4 | body ... | total length 4 |
 *
 * `writeFrame` allocates nothing but the views that a copy needs. Bytes depend on the calls alone.
 */
export class PcapngWriter {
  readonly snapLength: number
  private readonly out: BlockBuffer
  private readonly baseHigh: number
  private readonly baseLow: number
  private interfaceCount = 0

  /** Puts the section header into the buffer. */
  constructor(sink: ByteSink, options: PcapngWriterOptions = {}) {
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH
    this.out = new BlockBuffer(sink, options.bufferSize ?? 1 << 20)
    const base = options.baseTime ?? 0n
    this.baseHigh = Number(base >> 32n)
    this.baseLow = Number(base & 0xffff_ffffn)
    this.writeSection(options.section ?? {})
  }

  /** Adds an interface block; gives the number that frames name it by: 0, 1, 2 ... */
  addInterface(info: InterfaceInfo): number {
    const { out } = this
    const name = optionText(info.name)
    const description = optionText(info.description)
    const os = optionText(info.os)
    const comment = optionText(info.comment)
    const filter = optionText(info.filter)
    const ipv4 = info.ipv4 ?? []
    const ipv6 = info.ipv6 ?? []
    const texts = optionSize(name) + optionSize(description) + optionSize(os) + optionSize(comment) + optionSize(filter) + 4
    out.reserve(20 + texts + ipv4.length * 12 + ipv6.length * 24 + optionSize(info.mac) + 12 + 8 + END_OF_OPTIONS)
    const start = this.begin(Block.interface)
    out.u16(info.linkType ?? LINKTYPE_ETHERNET)
    out.u16(0)
    out.u32(info.snapLength ?? this.snapLength)
    this.text(Option.comment, comment)
    this.text(Option.ifName, name)
    this.text(Option.ifDescription, description)
    for (const { address, mask } of ipv4) {
      out.option(Option.ifIpv4, 8)
      out.data(address, 0, 4)
      out.data(mask, 0, 4)
    }
    for (const { address, prefixLength } of ipv6) {
      out.option(Option.ifIpv6, 17)
      out.data(address, 0, 16)
      out.u32(prefixLength) // 1 byte and 3 of padding
    }
    if (info.mac !== undefined) out.optionBytes(Option.ifMac, info.mac)
    if (info.speed !== undefined) out.optionU64(Option.ifSpeed, info.speed)
    out.option(Option.ifTsresol, 1)
    out.u32(NANOSECONDS)
    if (filter !== undefined) {
      // The first byte says how the filter is written: 0 = text.
      out.option(Option.ifFilter, filter.length + 1)
      out.bytes[out.end++] = 0
      out.bytes.set(filter, out.end)
      out.end += filter.length
      for (let rest = padding(filter.length + 1); rest > 0; rest--) out.bytes[out.end++] = 0
    }
    this.text(Option.ifOs, os)
    this.end(start)
    return this.interfaceCount++
  }

  /**
   * Adds an enhanced packet block. `comment` is UTF-8 from `optionText`. `bytes[at]` up to `captured` is copied, cut to
   * the snap length. A record of an unknown interface is the caller's fault and makes a file that readers refuse.
   */
  writeFrame(frame: FrameRecord, comment?: Uint8Array): void {
    const { out } = this
    const captured = Math.min(frame.captured, this.snapLength)
    out.reserve(32 + captured + 3 + MAX_FRAME_OPTIONS + optionSize(comment))
    const start = this.begin(Block.enhancedPacket)
    out.u32(frame.port)
    this.timestamp(frame.timestamp)
    out.u32(captured)
    out.u32(frame.original)
    out.data(frame.bytes, frame.at, captured)
    const optionsAt = out.end
    if (comment !== undefined) out.optionBytes(Option.comment, comment)
    if (frame.flags !== 0) {
      out.option(Option.epbFlags, 4)
      out.u32(frame.flags)
    }
    if (frame.lost > 0) out.optionU64(Option.epbDropCount, frame.lost)
    if (frame.packetId !== 0) out.optionU64(Option.epbPacketId, frame.packetId >>> 0)
    if (frame.verdict !== -1) {
      out.option(Option.epbVerdict, 9)
      out.bytes[out.end++] = VerdictType.linuxEbpfTc
      out.u64(frame.verdict)
      out.bytes.fill(0, out.end, out.end + 3)
      out.end += 3
    }
    this.end(start, out.end !== optionsAt)
  }

  /** Adds a name resolution block, and one for each entry with a comment; addresses that are neither 4 nor 16 bytes are left out. */
  writeNames(entries: AddressNames[]): void {
    const plain = entries.filter(({ comment }) => comment === undefined)
    if (plain.length > 0) this.writeNameBlock(plain)
    for (const entry of entries) if (entry.comment !== undefined) this.writeNameBlock([entry], optionText(entry.comment))
  }

  private writeNameBlock(entries: AddressNames[], comment?: Uint8Array): void {
    const { out } = this
    const records = entries
      .filter(({ address, names }) => names.length > 0 && (address.length === 4 || address.length === 16))
      .map(({ address, names }) => ({ address, text: optionText(`${names.join('\0')}\0`).subarray(0, 0xffff - 16) }))
    out.reserve(records.reduce((sum, { text }) => sum + 4 + 16 + text.length + 3, 12 + 4 + optionSize(comment) + END_OF_OPTIONS))
    const start = this.begin(Block.nameResolution)
    for (const { address, text } of records) {
      const length = address.length + text.length
      out.option(address.length === 4 ? NameRecord.ipv4 : NameRecord.ipv6, length)
      out.data(address, 0, address.length)
      out.data(text, 0, text.length)
    }
    out.option(NameRecord.end, 0)
    this.text(Option.comment, comment)
    this.end(start, comment !== undefined)
  }

  /** Adds an interface statistics block; by custom at the end of the section. */
  writeStatistics(port: number, counts: InterfaceStatistics): void {
    const { out } = this
    out.reserve(24 + 7 * 12 + END_OF_OPTIONS)
    const start = this.begin(Block.interfaceStatistics)
    out.u32(port)
    this.timestamp(counts.end ?? 0)
    if (counts.start !== undefined) {
      out.option(Option.isbStartTime, 8)
      this.timestamp(counts.start)
    }
    if (counts.end !== undefined) {
      out.option(Option.isbEndTime, 8)
      this.timestamp(counts.end)
    }
    if (counts.received !== undefined) out.optionU64(Option.isbIfRecv, counts.received)
    if (counts.dropped !== undefined) out.optionU64(Option.isbIfDrop, counts.dropped)
    if (counts.accepted !== undefined) out.optionU64(Option.isbFilterAccept, counts.accepted)
    if (counts.osDropped !== undefined) out.optionU64(Option.isbOsDrop, counts.osDropped)
    if (counts.delivered !== undefined) out.optionU64(Option.isbUsrDeliv, counts.delivered)
    this.end(start)
  }

  /** Gives the sink everything encoded so far. */
  flush(): void {
    this.out.flush()
  }

  private writeSection(section: SectionOptions): void {
    const { out } = this
    const comment = optionText(section.comment)
    const hardware = optionText(section.hardware)
    const os = optionText(section.os)
    const application = optionText(section.application)
    out.reserve(28 + optionSize(comment) + optionSize(hardware) + optionSize(os) + optionSize(application) + END_OF_OPTIONS)
    const start = this.begin(Block.section)
    out.u32(BYTE_ORDER_MAGIC)
    out.u16(1)
    out.u16(0)
    // Section length -1: not known in advance.
    out.u32(0xffff_ffff)
    out.u32(0xffff_ffff)
    const optionsAt = out.end
    this.text(Option.comment, comment)
    this.text(Option.shbHardware, hardware)
    this.text(Option.shbOs, os)
    this.text(Option.shbUserAppl, application)
    this.end(start, out.end !== optionsAt)
  }

  /** Two words, the high one first, whatever the byte order: base time + `ns`, without a BigInt. */
  private timestamp(ns: number): void {
    const whole = Math.floor(ns)
    const high = Math.floor(whole / WORD)
    const low = this.baseLow + (whole - high * WORD)
    this.out.u32(this.baseHigh + high + (low >= WORD ? 1 : 0))
    this.out.u32(low)
  }

  private text(code: number, value: Uint8Array | undefined): void {
    if (value !== undefined) this.out.optionBytes(code, value)
  }

  private begin(type: number): number {
    const start = this.out.end
    this.out.u32(type)
    this.out.u32(0)
    return start
  }

  /** Ends the options, if there are any, and fills in both lengths. */
  private end(start: number, withOptions = true): void {
    const { out } = this
    if (withOptions) out.option(Option.end, 0)
    const total = out.end + 4 - start
    out.u32(total)
    out.view.setUint32(start + 4, total, true)
  }
}
