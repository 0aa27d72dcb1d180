/** Where the frames of a replay come from: a file or bytes that are there, or a stream. */
import type { CapturedFrame, CaptureInterface } from '../capture/capture-reader.ts'
import { CaptureStream, captureFrames } from '../capture/capture-stream.ts'
import { readCapture } from '../capture/read-capture.ts'

export interface ReplaySource {
  /** Groups of frames, as they come. Rejects with CaptureFormatError and CaptureFileError, after the frames before the fault. */
  frames(): AsyncIterable<readonly CapturedFrame[]>
  /** Of the frames given so far. */
  interfaces(): readonly CaptureInterface[]
  /** Bytes of the capture that the frames given so far have used up. */
  position(): number
}

/** Frames of one group of a file. */
const GROUP = 256

/** A file by its path, or a capture in memory. Under a virtual clock its frames are there at once. */
export function captureSource(input: string | Uint8Array): ReplaySource {
  // Opened now: what cannot be read is told before anything begins.
  const reader = readCapture(input)
  return {
    async *frames() {
      let group: CapturedFrame[] = []
      try {
        for (const frame of reader) {
          group.push(frame)
          if (group.length < GROUP) continue
          yield group
          group = []
        }
      } finally {
        if (group.length > 0) yield group
      }
    },
    interfaces: () => reader.interfaces,
    position: () => reader.position
  }
}

/** A pipe, or the body of a request. */
export function streamSource(chunks: AsyncIterable<Uint8Array>): ReplaySource {
  const stream = new CaptureStream()
  return {
    frames: () => captureFrames(chunks, stream),
    interfaces: () => stream.reader?.interfaces ?? [],
    position: () => stream.position
  }
}
