import { once } from 'node:events'
import type { TextStream } from '../terminal.ts'

/** Writes at the pace of the reader. A stream without events takes everything at once. */
export function writeAll(stream: TextStream, data: string | Uint8Array): void | Promise<void> {
  if (stream.write(data) === false) return once(stream as NodeJS.WritableStream, 'drain').then(() => {})
}
