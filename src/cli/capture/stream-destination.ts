import type { CapturePiece } from '../../capture/capture-cutter.ts'
import type { TextStream } from '../terminal.ts'
import type { CaptureDestination } from './capture-session.ts'
import { writeAll } from './write-all.ts'

/** A capture on standard output, each piece as it comes: `netloom capture -w - | wireshark -k -i -`. */
export class StreamDestination implements CaptureDestination {
  readonly room = Number.POSITIVE_INFINITY
  private readonly stream: TextStream

  constructor(stream: TextStream) {
    this.stream = stream
  }

  write({ bytes }: CapturePiece): void | Promise<void> {
    return writeAll(this.stream, bytes)
  }

  close(): void {}
}
