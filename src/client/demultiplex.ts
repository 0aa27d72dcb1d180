import { ClientError } from './client-error.ts'

/** A piece of a container's output. */
export interface OutputPiece {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Buffer
}

const HEADER = 8

/**
 * Takes Docker's framing apart: one byte for the stream (0 stdin, 1 stdout, 2 stderr), three zeros, the length in 32 bits big endian.
 * Pieces come out as bytes come in, also from the middle of a frame. ClientError when the bytes are no such framing.
 */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutputPiece> {
  let held: Buffer = Buffer.alloc(0)
  let stream: OutputPiece['stream'] = 'stdout'
  /** Bytes of the frame that have not come yet. */
  let missing = 0
  for await (const chunk of source) {
    held = held.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([held, chunk])
    for (;;) {
      if (missing === 0) {
        if (held.length < HEADER) break
        stream = streamOf(held)
        missing = held.readUInt32BE(4)
        held = held.subarray(HEADER)
        continue
      }
      const data = held.subarray(0, missing)
      if (data.length === 0) break
      missing -= data.length
      held = held.subarray(data.length)
      yield { stream, data }
    }
  }
}

function streamOf(header: Buffer): OutputPiece['stream'] {
  if (header[0] === 2) return 'stderr'
  if (header[0] === 0 || header[0] === 1) return 'stdout'
  throw new ClientError('ERR_PROTOCOL', `Unrecognized input header: ${header[0]}`)
}
