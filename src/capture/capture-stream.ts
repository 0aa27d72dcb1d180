import { CaptureFormatError } from './capture-error.ts'
import type { CapturedFrame, CaptureReader } from './capture-reader.ts'
import { PCAP_HEADER_LENGTH } from './pcap-reader.ts'
import { readBytes } from './read-capture.ts'
import { StreamSource } from './stream-source.ts'

/**
 * Reads a capture that comes in pieces: a pipe, the body of a request. It takes any format that `readCapture` takes, and holds no more
 * than the block that is not whole yet.
 *
 *     const stream = new CaptureStream()
 *     for await (const chunk of process.stdin) for (const frame of stream.push(chunk)) console.log(frame.data.length)
 *     stream.end()
 */
export class CaptureStream {
  private readonly source = new StreamSource()
  private opened: CaptureReader | undefined

  /** What is known of the capture; undefined until its beginning has come. */
  get reader(): CaptureReader | undefined {
    return this.opened
  }

  /** Offset of the first byte that is not in a frame given out, nor in a block between them. */
  get position(): number {
    return this.opened?.position ?? 0
  }

  /** Takes the next piece; gives the frames that are whole now. Throws CaptureFormatError, after every frame before the fault. */
  *push(chunk: Uint8Array): Generator<CapturedFrame> {
    this.source.append(chunk, this.position)
    if (this.opened === undefined) {
      // A pcapng could be told earlier; every capture with a frame in it is longer.
      if (this.source.length < PCAP_HEADER_LENGTH) return
      this.opened = readBytes(this.source)
    }
    for (let frame = this.opened.read(); frame !== undefined; frame = this.opened.read()) yield frame
  }

  /** Nothing more comes. Throws CaptureFormatError when what came is no capture; one that is cut short has `reader.truncatedAt`. */
  end(): void {
    if (this.opened !== undefined) return
    readBytes(this.source)
    throw new CaptureFormatError(`the capture ends within its first ${PCAP_HEADER_LENGTH} bytes`, this.source.length)
  }
}

/**
 * The frames of a stream, in groups as they come. Rejects with CaptureFormatError, after every frame before the fault, and with what
 * the stream rejects with.
 */
export async function* captureFrames(chunks: AsyncIterable<Uint8Array>, stream = new CaptureStream()): AsyncGenerator<CapturedFrame[]> {
  for await (const chunk of chunks) {
    const frames: CapturedFrame[] = []
    let fault: unknown
    try {
      for (const frame of stream.push(chunk)) frames.push(frame)
    } catch (error) {
      fault = error
    }
    if (frames.length > 0) yield frames
    if (fault !== undefined) throw fault
  }
  stream.end()
}
