import { padding } from './pcapng-format.ts'

/** Takes encoded bytes in order. They are overwritten afterwards: write or copy them before returning. */
export interface ByteSink {
  write(bytes: Uint8Array): void
}

const WORD = 0x1_0000_0000
const MAX_OPTION = 0xffff
const encoder = new TextEncoder()

/**
 * A reused buffer that encodes whole blocks, little-endian, and hands itself to the sink when the next block does not
 * fit: so the sink always gets whole blocks. `reserve` first, then any number of puts within what was reserved.
 */
export class BlockBuffer {
  bytes: Uint8Array
  view: DataView
  /** Bytes filled so far. */
  end = 0
  private readonly sink: ByteSink

  constructor(sink: ByteSink, capacity: number) {
    this.sink = sink
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `length` bytes: flushes what is there, and grows only for a block larger than the whole buffer. */
  reserve(length: number): void {
    if (this.end + length <= this.bytes.length) return
    this.flush()
    if (length <= this.bytes.length) return
    this.bytes = new Uint8Array(length)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Gives the filled part to the sink. When the sink throws, the filled part is gone. */
  flush(): void {
    if (this.end === 0) return
    const filled = this.bytes.subarray(0, this.end)
    this.end = 0
    this.sink.write(filled)
  }

  u16(value: number): void {
    this.view.setUint16(this.end, value, true)
    this.end += 2
  }

  u32(value: number): void {
    this.view.setUint32(this.end, value, true)
    this.end += 4
  }

  /** A 64-bit number from a non-negative double, exact to 2^53. */
  u64(value: number): void {
    this.u32(value % WORD)
    this.u32(value / WORD)
  }

  /** `length` bytes of `source` from `at`, and zeros up to the next 4-byte boundary. */
  data(source: Uint8Array, at: number, length: number): void {
    this.bytes.set(at === 0 && length === source.length ? source : source.subarray(at, at + length), this.end)
    this.end += length
    for (let rest = padding(length); rest > 0; rest--) this.bytes[this.end++] = 0
  }

  /** Option header; its value follows. */
  option(code: number, length: number): void {
    this.u16(code)
    this.u16(length)
  }

  optionBytes(code: number, value: Uint8Array): void {
    this.option(code, value.length)
    this.data(value, 0, value.length)
  }

  optionU64(code: number, value: number): void {
    this.option(code, 8)
    this.u64(value)
  }
}

/** Room that an option with this value takes. */
export function optionSize(value: Uint8Array | undefined): number {
  return value === undefined ? 0 : 4 + value.length + padding(value.length)
}

/** UTF-8 for an option's value, cut at a character's edge to the 65,535 bytes that an option can hold. */
export function optionText(text: string): Uint8Array
export function optionText(text: string | undefined): Uint8Array | undefined
export function optionText(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined
  const bytes = encoder.encode(text)
  if (bytes.length <= MAX_OPTION) return bytes
  let end = MAX_OPTION
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
