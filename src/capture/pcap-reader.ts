import { CaptureFormatError } from './capture-error.ts'
import { type CapturedFrame, type CaptureInterface, type CaptureReader, type CaptureSection, MAX_BLOCK } from './capture-reader.ts'
import type { CaptureBytes } from './capture-source.ts'

const FILE_HEADER = 24
const RECORD_HEADER = 16
/** Of the "modified" pcap of old Red Hat systems: interface, protocol and packet type follow. */
const LONG_RECORD_HEADER = 24
const MICROSECONDS = 0xa1b2_c3d4
const NANOSECONDS = 0xa1b2_3c4d
const MODIFIED = 0xa1b2_cd34

/** Set when the four bits above it say how long the frame check sequence is, in units of 16 bits. */
const HAS_FCS = 0x0400_0000

/** Bytes that a file must have before it can be read. */
export const PCAP_HEADER_LENGTH = FILE_HEADER

/** Reads classic pcap: micro- and nanoseconds, both byte orders (draft-ietf-opsawg-pcap), and the modified one. */
export class PcapReader implements CaptureReader {
  readonly format = 'pcap'
  readonly sections: CaptureSection[] = []
  readonly interfaces: CaptureInterface[] = []
  readonly names: CaptureReader['names'] = []
  position = FILE_HEADER
  truncatedAt: number | undefined
  private readonly source: CaptureBytes
  private readonly little: boolean
  private readonly unit: bigint
  private readonly recordHeader: number

  /** Throws CaptureFormatError when the file does not begin as a pcap. */
  constructor(source: CaptureBytes) {
    this.source = source
    const magic = pcapMagic(source)
    if (magic === undefined) throw new CaptureFormatError('not a pcap file: unknown magic number', 0)
    this.little = magic.little
    this.unit = magic.unit
    this.recordHeader = magic.recordHeader
    const header = source.slice(0, FILE_HEADER)
    if (header.length < FILE_HEADER) {
      this.truncatedAt = 0
      return
    }
    const view = viewOf(header)
    if (view.getUint16(4, this.little) !== 2)
      throw new CaptureFormatError(`pcap version ${view.getUint16(4, this.little)}, only 2 is known`, 4)
    this.sections.push({})
    // The upper bits of the last word tell about frame check sequences.
    const link = view.getUint32(20, this.little)
    const fcsLength = (link & HAS_FCS) === 0 ? 0 : (link >>> 28) * 2
    this.interfaces.push({
      snapLength: view.getUint32(16, this.little),
      linkType: link & 0xffff,
      ...(fcsLength > 0 && { fcsLength })
    })
  }

  *[Symbol.iterator](): Generator<CapturedFrame> {
    try {
      for (let frame = this.read(); frame !== undefined; frame = this.read()) yield frame
    } finally {
      this.source.close()
    }
  }

  read(): CapturedFrame | undefined {
    if (this.interfaces.length === 0) return undefined
    const at = this.position
    const header = this.source.slice(at, this.recordHeader)
    if (header.length < this.recordHeader) return this.cut()
    const view = viewOf(header)
    const captured = view.getUint32(8, this.little)
    if (captured > MAX_BLOCK) throw new CaptureFormatError(`a record of ${captured} bytes, at most ${MAX_BLOCK} are believed`, at + 8)
    const data = this.source.slice(at + this.recordHeader, captured)
    if (data.length < captured) return this.cut()
    this.position = at + this.recordHeader + captured
    this.truncatedAt = undefined
    return {
      interface: 0,
      timestampNs: BigInt(view.getUint32(0, this.little)) * 1_000_000_000n + BigInt(view.getUint32(4, this.little)) * this.unit,
      data,
      originalLength: view.getUint32(12, this.little)
    }
  }

  private cut(): undefined {
    this.truncatedAt = this.position < this.source.length ? this.position : undefined
  }
}

/** How the source is to be read when it begins as a pcap: byte order, ns per unit of the fraction, bytes before each frame. */
export function pcapMagic(source: CaptureBytes): { little: boolean; unit: bigint; recordHeader: number } | undefined {
  const start = source.slice(0, 4)
  if (start.length < 4) return undefined
  for (const little of [true, false]) {
    const magic = viewOf(start).getUint32(0, little)
    if (magic === MICROSECONDS) return { little, unit: 1000n, recordHeader: RECORD_HEADER }
    if (magic === NANOSECONDS) return { little, unit: 1n, recordHeader: RECORD_HEADER }
    if (magic === MODIFIED) return { little, unit: 1000n, recordHeader: LONG_RECORD_HEADER }
  }
  return undefined
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
