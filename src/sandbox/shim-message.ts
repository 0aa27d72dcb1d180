import { SandboxError } from './sandbox-error.ts'

/**
 * The shim's messages, one seqpacket datagram each (native/shim/message.h):
 *
 *   number (u32 LE), then fields: length (u32 LE), bytes
 *
 * The first field is a word, the others are `key=value`; a key may come several times, a value may hold any bytes.
 */
export type ShimField = string | Uint8Array

/** No message is longer, in either direction. */
export const MAX_MESSAGE = 128 * 1024

/** A field whose value is raw bytes. */
export function bytesField(key: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${key}=`), value])
}

/** Bytes of a message. Throws SandboxError E2BIG when they are more than the shim takes. */
export function encodeShimMessage(number: number, fields: readonly ShimField[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(4)]
  parts[0]!.writeUInt32LE(number)
  for (const field of fields) {
    const bytes = Buffer.from(field as Uint8Array)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    parts.push(length, bytes)
  }
  const message = Buffer.concat(parts)
  if (message.length > MAX_MESSAGE) {
    throw new SandboxError('E2BIG', `${String(fields[0])}: ${message.length} bytes of arguments, at most ${MAX_MESSAGE} fit`)
  }
  return message
}

export class ShimMessage {
  /** Of the request that it answers; 0 for an event. */
  readonly number: number
  /** 'ok', 'part' or 'error'; the name of an event. */
  readonly word: string
  readonly fds: number[]
  private readonly fields: Buffer[]

  /** Throws RangeError when the lengths do not add up. */
  constructor(data: Uint8Array, fds: number[]) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.number = bytes.readUInt32LE(0)
    this.fields = []
    this.fds = fds
    for (let at = 4; at < bytes.length; ) {
      const end = at + 4 + bytes.readUInt32LE(at)
      if (end > bytes.length) throw new RangeError(`a field ends at ${end} in a message of ${bytes.length} bytes`)
      this.fields.push(bytes.subarray(at + 4, end))
      at = end
    }
    this.word = this.fields.shift()?.toString() ?? ''
  }

  /** The value of the first field of that key, or null. */
  bytes(key: string): Buffer | null {
    const prefix = `${key}=`
    const field = this.fields.find((candidate) => candidate.toString('latin1', 0, prefix.length) === prefix)
    return field?.subarray(prefix.length) ?? null
  }

  text(key: string): string | null {
    return this.bytes(key)?.toString() ?? null
  }

  /** The value as a number, or null. */
  integer(key: string): number | null {
    const text = this.text(key)
    return text === null ? null : Number(text)
  }

  /** All values of a key, in order. */
  all(key: string): string[] {
    const prefix = `${key}=`
    return this.fields.map(String).flatMap((field) => (field.startsWith(prefix) ? [field.slice(prefix.length)] : []))
  }
}
