import { type FileHandle, open, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { CapturePiece } from '../../capture/capture-cutter.ts'
import { CaptureFileError } from '../../capture/capture-error.ts'
import type { CaptureDestination } from './capture-session.ts'

export interface CaptureFilesOptions {
  readonly path: string
  /** Infinite: one file, called as `path` says. Else they are numbered: run-00001.pcapng. */
  readonly rotateBytes: number
  /** Files that are kept, the newest. */
  readonly rotateFiles: number
}

/**
 * A capture in a file, or in many: a new one begins, with all that describes the capture, before a frame that would make the last one
 * longer than it may be. What the disk did not take whole is taken back, so that every file ends with a block.
 */
export class CaptureFiles implements CaptureDestination {
  private readonly options: CaptureFilesOptions
  /** What every file begins with. */
  private readonly heads: Uint8Array[] = []
  /** Those that are there, oldest first. */
  private readonly paths: string[] = []
  private file: FileHandle | undefined
  private length = 0
  private hasFrames = false
  private number = 0

  private constructor(options: CaptureFilesOptions) {
    this.options = options
  }

  /** Opens the first file, so that one that cannot be is told before anything is captured. Rejects with CaptureFileError. */
  static async open(options: CaptureFilesOptions): Promise<CaptureFiles> {
    const files = new CaptureFiles(options)
    await files.begin()
    return files
  }

  /** The file that is written. */
  get path(): string {
    return this.paths.at(-1)!
  }

  get room(): number {
    return this.options.rotateBytes - this.length
  }

  async write({ kind, bytes }: CapturePiece): Promise<void> {
    if (kind === 'head' && Number.isFinite(this.options.rotateBytes)) this.heads.push(Uint8Array.from(bytes))
    if (kind === 'frames' && this.hasFrames && bytes.length > this.room) {
      await this.close()
      await this.begin()
      for (const head of this.heads) await this.append(head)
    }
    await this.append(bytes)
    this.hasFrames ||= kind === 'frames'
  }

  async close(): Promise<void> {
    const { file } = this
    this.file = undefined
    await file?.close()
  }

  private async begin(): Promise<void> {
    const { path: name, rotateBytes, rotateFiles } = this.options
    const { dir, name: stem, ext } = path.parse(name)
    this.number++
    const current = Number.isFinite(rotateBytes) ? path.join(dir, `${stem}-${String(this.number).padStart(5, '0')}${ext}`) : name
    try {
      this.file = await open(current, 'w')
    } catch (error) {
      throw CaptureFileError.from('write', current, error)
    }
    this.paths.push(current)
    this.length = 0
    this.hasFrames = false
    // The oldest may have been moved away by its owner: that is not our business.
    while (this.paths.length > rotateFiles) await unlink(this.paths.shift()!).catch(() => {})
  }

  private async append(bytes: Uint8Array): Promise<void> {
    const file = this.file!
    try {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
      this.length += bytes.length
    } catch (error) {
      // Of a FIFO there is nothing to take back.
      await file.truncate(this.length).catch(() => {})
      throw CaptureFileError.from('write', this.path, error)
    }
  }
}
