/**
 * Jute, ZooKeeper's encoding: big-endian numbers, texts and bytes behind their length (-1: none), lists behind their count.
 */
export class JuteWriter {
  private readonly parts: Buffer[] = []

  int(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeInt32BE(value)
    return this.add(part)
  }

  long(value: bigint): this {
    const part = Buffer.allocUnsafe(8)
    part.writeBigInt64BE(value)
    return this.add(part)
  }

  bool(value: boolean): this {
    return this.add(Buffer.from([value ? 1 : 0]))
  }

  bytes(value: Uint8Array): this {
    return this.int(value.length).add(value)
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'))
  }

  /** Already encoded. */
  add(part: Uint8Array): this {
    this.parts.push(part as Buffer)
    return this
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.parts)
  }

  /** With its length before it, as everything goes on the wire. */
  toFrame(): Buffer {
    const body = this.toBuffer()
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(body.length)
    return Buffer.concat([length, body])
  }
}

/** Throws RangeError at the end of the bytes. */
export class JuteReader {
  private readonly buffer: Buffer
  private at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  int(): number {
    this.at += 4
    return this.buffer.readInt32BE(this.at - 4)
  }

  long(): bigint {
    this.at += 8
    return this.buffer.readBigInt64BE(this.at - 8)
  }

  bool(): boolean {
    return this.buffer.readInt8(this.at++) !== 0
  }

  bytes(): Buffer {
    const length = Math.max(0, this.int())
    if (this.at + length > this.buffer.length)
      throw new RangeError(`${length} bytes are announced, ${this.buffer.length - this.at} are there`)
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  texts(): string[] {
    return Array.from({ length: Math.max(0, this.int()) }, () => this.text())
  }
}
