/**
 * Reads netlink answers: messages, attributes, and what an NLMSG_ERROR says. Bytes that do not add up end the reading;
 * nothing is read outside the buffer.
 */
import { LITTLE_ENDIAN, MESSAGE_HEADER_LENGTH } from './message-writer.ts'

/** Message types that every netlink family has. */
export const ControlType = { noop: 1, error: 2, done: 3 } as const

/** NLM_F_DUMP_INTR: the table changed while it was listed. */
export const FLAG_DUMP_INTERRUPTED = 0x10
const FLAG_CAPPED = 0x100
const FLAG_ACK_TLVS = 0x200
const ERROR_TEXT = 1

export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** Fixed part and attributes. */
  readonly payload: DataView
}

export type Attributes = ReadonlyMap<number, DataView>

export function readMessages(bytes: Uint8Array): Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: Message[] = []
  for (let at = 0; at + MESSAGE_HEADER_LENGTH <= bytes.length; ) {
    const length = view.getUint32(at, LITTLE_ENDIAN)
    if (length < MESSAGE_HEADER_LENGTH || length > bytes.length - at) break
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      payload: part(view, at + MESSAGE_HEADER_LENGTH, length - MESSAGE_HEADER_LENGTH)
    })
    at += (length + 3) & ~3
  }
  return messages
}

/** Attributes from `at` on, by type (flag bits removed). Of several of one type the last counts. */
export function readAttributes(view: DataView, at: number): Attributes {
  const attributes = new Map<number, DataView>()
  while (at + 4 <= view.byteLength) {
    const length = view.getUint16(at, LITTLE_ENDIAN)
    if (length < 4 || length > view.byteLength - at) break
    attributes.set(view.getUint16(at + 2, LITTLE_ENDIAN) & 0x3fff, part(view, at + 4, length - 4))
    at += (length + 3) & ~3
  }
  return attributes
}

/** Of an NLMSG_ERROR: errno (0: done) and the kernel's sentence, where it gave one. */
export function readError(message: Message): { errno: number; text: string } {
  const { payload, flags } = message
  if (payload.byteLength < 4 + MESSAGE_HEADER_LENGTH) return { errno: 5, text: 'a truncated answer' }
  const errno = 0 - payload.getInt32(0, LITTLE_ENDIAN)
  if ((flags & FLAG_ACK_TLVS) === 0) return { errno, text: '' }
  // Behind the error stands the request's header, and the rest of the request too unless it was left out.
  const quoted = (flags & FLAG_CAPPED) !== 0 ? MESSAGE_HEADER_LENGTH : ((payload.getUint32(4, LITTLE_ENDIAN) + 3) & ~3) >>> 0
  const text = readAttributes(payload, 4 + quoted).get(ERROR_TEXT)
  return { errno, text: text === undefined ? '' : textOf(text) }
}

export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** Up to the closing zero byte. */
export function textOf(view: DataView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('utf8').split('\0')[0]
}

export function u32Of(view: DataView | undefined): number | undefined {
  return view !== undefined && view.byteLength >= 4 ? view.getUint32(0, LITTLE_ENDIAN) : undefined
}

function part(view: DataView, at: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + at, length)
}
