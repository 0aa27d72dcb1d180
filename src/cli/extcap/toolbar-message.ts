/**
 * Messages between Wireshark's toolbar and us, over a FIFO in each direction:
 *
 *    0       1       2       3       4         5         6
 *   +-------+-----------------------+---------+---------+----------
 *   |  'T'  | length of what is     | control | command | payload
 *   |       | behind it, 24 bits    |         |         |
 *   +-------+-----------------------+---------+---------+----------
 */
export const ToolbarCommand = {
  /** From Wireshark, after the values that its user chose before the capture began. */
  initialized: 0,
  set: 1,
  add: 2,
  remove: 3,
  enable: 4,
  disable: 5,
  statusBar: 6,
  information: 7,
  warning: 8,
  error: 9
} as const

export interface ToolbarMessage {
  readonly control: number
  /** See ToolbarCommand. */
  readonly command: number
  /** Text, or one byte of a boolean. */
  readonly payload: string
}

const HEADER = 6
/** Of payload: Wireshark's own limit. */
const LONGEST = 65_535
const SYNC = 'T'.charCodeAt(0)

export function encodeToolbarMessage({ control, command, payload }: ToolbarMessage): Uint8Array {
  const text = Buffer.from(payload).subarray(0, LONGEST)
  const length = text.length + 2
  return Buffer.concat([Uint8Array.of(SYNC, length >> 16, length >> 8, length, control, command), text])
}

/** Messages out of a stream in pieces of any size. */
export class ToolbarDecoder {
  private rest = Buffer.alloc(0)

  /** Throws RangeError for what is no message: there is no way to find the next one. */
  push(chunk: Uint8Array): ToolbarMessage[] {
    this.rest = Buffer.concat([this.rest, chunk])
    const messages: ToolbarMessage[] = []
    while (this.rest.length >= HEADER) {
      const length = this.rest.readUIntBE(1, 3)
      if (this.rest[0] !== SYNC || length < 2 || length > LONGEST + 2)
        throw new RangeError('what came from the toolbar is no message of its protocol')
      const end = 4 + length
      if (this.rest.length < end) break
      messages.push({ control: this.rest[4]!, command: this.rest[5]!, payload: this.rest.toString('utf8', HEADER, end) })
      this.rest = this.rest.subarray(end)
    }
    return messages
  }
}
