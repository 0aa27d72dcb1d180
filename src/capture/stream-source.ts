import type { CaptureBytes } from './capture-source.ts'

const NOTHING = new Uint8Array(0)

/** The bytes of a capture that comes piece by piece: what has been read is let go of, what has not come yet is not there. */
export class StreamSource implements CaptureBytes {
  private window: Uint8Array = NOTHING
  private windowAt = 0

  get length(): number {
    return this.windowAt + this.window.length
  }

  /** Adds what comes next and forgets everything before `from`. Views that were given out stay valid. */
  append(chunk: Uint8Array, from: number): void {
    const rest = this.window.subarray(Math.min(from - this.windowAt, this.window.length))
    this.windowAt = Math.min(from, this.length)
    if (rest.length === 0) {
      this.window = chunk
      return
    }
    const window = new Uint8Array(rest.length + chunk.length)
    window.set(rest)
    window.set(chunk, rest.length)
    this.window = window
  }

  /** See CaptureBytes; `offset` is not before what was forgotten. */
  slice(offset: number, length: number): Uint8Array {
    return this.window.subarray(offset - this.windowAt, offset - this.windowAt + length)
  }

  close(): void {
    this.window = NOTHING
  }
}
