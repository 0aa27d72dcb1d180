import { CaptureFormatError } from './capture-error.ts'
import { type CapturedFrame, type CaptureInterface, type CaptureReader, type CaptureSection, MAX_BLOCK } from './capture-reader.ts'
import type { CaptureSource } from './capture-source.ts'

const FILE_HEADER = 24
const RECORD_HEADER = 16
const MICROSECONDS = 0xa1b2_c3d4
const NANOSECONDS = 0xa1b2_3c4d

/** Reads classic pcap: micro- and nanoseconds, both byte orders (draft-ietf-opsawg-pcap). */
export class PcapReader implements CaptureReader {
  readonly format = 'pcap'
  readonly sections: CaptureSection[] = []
  readonly interfaces: CaptureInterface[] = []
  readonly names: CaptureReader['names'] = []
  truncatedAt: number | undefined
  private readonly source: CaptureSource
  private readonly little: boolean
  private readonly unit: bigint

  /** Throws CaptureFormatError when the file does not begin as a pcap. */
  constructor(source: CaptureSource) {
    this.source = source
    const magic = pcapMagic(source)
    if (magic === undefined) throw new CaptureFormatError('not a pcap file: unknown magic number', 0)
    this.little = magic.little
    this.unit = magic.unit
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
    this.interfaces.push({ snapLength: view.getUint32(16, this.little), linkType: view.getUint32(20, this.little) & 0xffff })
  }

  *[Symbol.iterator](): Generator<CapturedFrame> {
    try {
      yield* this.records()
    } finally {
      this.source.close()
    }
  }

  private *records(): Generator<CapturedFrame> {
    if (this.interfaces.length === 0) return
    for (let at = FILE_HEADER; at < this.source.length; ) {
      const header = this.source.slice(at, RECORD_HEADER)
      if (header.length < RECORD_HEADER) return this.cut(at)
      const view = viewOf(header)
      const captured = view.getUint32(8, this.little)
      if (captured > MAX_BLOCK) throw new CaptureFormatError(`a record of ${captured} bytes, at most ${MAX_BLOCK} are believed`, at + 8)
      const data = this.source.slice(at + RECORD_HEADER, captured)
      if (data.length < captured) return this.cut(at)
      yield {
        interface: 0,
        timestampNs: BigInt(view.getUint32(0, this.little)) * 1_000_000_000n + BigInt(view.getUint32(4, this.little)) * this.unit,
        data,
        originalLength: view.getUint32(12, this.little)
      }
      at += RECORD_HEADER + captured
    }
  }

  private cut(at: number): void {
    this.truncatedAt = at
  }
}

/** Byte order and ns per unit of the fraction when the source begins as a pcap. */
export function pcapMagic(source: CaptureSource): { little: boolean; unit: bigint } | undefined {
  const start = source.slice(0, 4)
  if (start.length < 4) return undefined
  for (const little of [true, false]) {
    const magic = viewOf(start).getUint32(0, little)
    if (magic === MICROSECONDS) return { little, unit: 1000n }
    if (magic === NANOSECONDS) return { little, unit: 1n }
  }
  return undefined
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
