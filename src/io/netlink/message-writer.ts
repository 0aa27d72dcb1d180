/**
 * Writes netlink messages: header, fixed part, attributes, all aligned to 4 bytes and in the machine's byte order
 * (include/uapi/linux/netlink.h).
 *
 *   | length 4 | type 2 | flags 2 | sequence 4 | port 4 | fixed part | attribute ... |
 *   attribute: | length 2 | type 2 | payload, padded |
 */
import { endianness } from 'node:os'

/** Netlink speaks host byte order. */
export const LITTLE_ENDIAN = endianness() === 'LE'
export const MESSAGE_HEADER_LENGTH = 16

const NESTED = 0x8000

/** NLM_F_ flags of requests. */
export const RequestFlag = {
  request: 0x001,
  ack: 0x004,
  /** For get: all of them. */
  dump: 0x300,
  /** For new. */
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800
} as const

export class MessageWriter {
  private bytes = new Uint8Array(256)
  private view = new DataView(this.bytes.buffer)
  private at = MESSAGE_HEADER_LENGTH

  constructor(type: number, flags: number, sequence: number) {
    this.view.setUint16(4, type, LITTLE_ENDIAN)
    this.view.setUint16(6, flags, LITTLE_ENDIAN)
    this.view.setUint32(8, sequence, LITTLE_ENDIAN)
  }

  u8(value: number): this {
    this.grow(1)
    this.view.setUint8(this.at, value)
    this.at += 1
    return this
  }

  u16(value: number): this {
    this.grow(2)
    this.view.setUint16(this.at, value, LITTLE_ENDIAN)
    this.at += 2
    return this
  }

  u32(value: number): this {
    this.grow(4)
    this.view.setUint32(this.at, value, LITTLE_ENDIAN)
    this.at += 4
    return this
  }

  attribute(type: number, payload: Uint8Array): this {
    this.u16(4 + payload.length).u16(type)
    this.grow(payload.length)
    this.bytes.set(payload, this.at)
    this.at += payload.length
    return this.pad()
  }

  /** What another message had in an attribute, attributes with their padding. */
  copied(payload: DataView): this {
    for (let at = 0; at < payload.byteLength; at++) this.u8(payload.getUint8(at))
    return this
  }

  attributeU32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value)
  }

  /** Netfilter's numbers are in network byte order, and may be negative. */
  attributeU32Be(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value >> 24, value >> 16, value >> 8, value))
  }

  /** Text with the closing zero byte that the kernel wants. */
  attributeText(type: number, text: string): this {
    return this.attribute(type, Buffer.from(`${text}\0`))
  }

  /** An attribute whose payload is what `fill` writes. */
  nested(type: number, fill: (writer: this) => void): this {
    const begin = this.at
    this.u16(0).u16(type | NESTED)
    fill(this)
    this.view.setUint16(begin, this.at - begin, LITTLE_ENDIAN)
    return this.pad()
  }

  /** The message; the writer is used up. */
  finish(): Uint8Array {
    this.view.setUint32(0, this.at, LITTLE_ENDIAN)
    return this.bytes.subarray(0, this.at)
  }

  private pad(): this {
    const rest = -this.at & 3
    this.grow(rest)
    this.at += rest
    return this
  }

  private grow(length: number): void {
    if (this.at + length <= this.bytes.length) return
    const bigger = new Uint8Array(2 * (this.at + length))
    bigger.set(this.bytes)
    this.bytes = bigger
    this.view = new DataView(bigger.buffer)
  }
}
