import type { CaptureFileError } from './capture-error.ts'
import type { CaptureOutput, CaptureOutputOptions } from './capture-output.ts'
import type { CaptureCounts } from './capture-recorder.ts'
import { CaptureWriter } from './capture-writer.ts'
import type { AddressNames, InterfaceInfo } from './pcapng-writer.ts'

export interface CaptureFileOptions extends Omit<CaptureOutputOptions, 'onPiece'> {
  path: string
}

/**
 * A capture file with a writer thread of its own, for who has only one: see CaptureWriter.
 *
 *     const capture = await CaptureFile.open({ path: 'run.pcapng', snapLength: 256 })
 *     const port = capture.addInterface({ name: 'demo-net/web' })
 *     // engine thread: new CaptureRingProducer(capture.ring, capture.snapLength)
 *     await capture.close()   // once the engine has let go of the ring
 */
export class CaptureFile {
  private readonly writer: CaptureWriter
  private readonly output: CaptureOutput

  /** Replaces the file at `path`. Rejects with CaptureFileError when it cannot be written. */
  static async open(options: CaptureFileOptions): Promise<CaptureFile> {
    const writer = new CaptureWriter()
    try {
      return new CaptureFile(writer, await writer.open(options))
    } catch (error) {
      await writer.close()
      throw error
    }
  }

  private constructor(writer: CaptureWriter, output: CaptureOutput) {
    this.writer = writer
    this.output = output
  }

  get path(): string {
    return this.output.path
  }

  get snapLength(): number {
    return this.output.snapLength
  }

  get ring(): SharedArrayBuffer {
    return this.output.ring
  }

  /** The failure that ended the writing, if one did. */
  get error(): CaptureFileError | undefined {
    return this.output.error
  }

  get recorded(): number {
    return this.output.recorded
  }

  get dropped(): number {
    return this.output.dropped
  }

  addInterface(info: InterfaceInfo): number {
    return this.output.addInterface(info)
  }

  addComment(text: string): number {
    return this.output.addComment(text)
  }

  addNames(entries: AddressNames[]): void {
    this.output.addNames(entries)
  }

  /** As CaptureOutput.close; the thread ends too. */
  async close(): Promise<CaptureCounts> {
    const counts = await this.output.close()
    await this.writer.close()
    return counts
  }
}
