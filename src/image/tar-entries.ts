/**
 * The entries of a tar archive, one after the other, as they come in. Formats and header checks are those of the `tar` package;
 * here they become one asynchronous sequence in which every oddity is an error.
 */
import { Parser, type ReadEntry } from 'tar'
import { ImageError } from './image-error.ts'

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'device'

export interface TarEntry {
  readonly type: TarEntryType
  /** As the archive has it: may be absolute and hold '..'. */
  readonly path: string
  /** Target of a link, as the archive has it. */
  readonly linkPath: string
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Extended attributes. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>
  /** The contents; read before the next entry is asked for, or passed over. */
  readonly body: AsyncIterable<Uint8Array>
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'directory',
  SymbolicLink: 'symlink',
  Link: 'hardlink',
  FIFO: 'fifo',
  CharacterDevice: 'device',
  BlockDevice: 'device'
}
const BLOCK = 512
/** Of one extended header: a path has 4 KiB at most, an extended attribute 64 KiB. */
const MAX_META_BYTES = 1024 * 1024

/** Reads `source` to its end, also what follows the archive. Errors: ImageError 'failed' with Docker's words where it has them. */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new TarReader()
  const feeding = reader.feed(source)
  try {
    for (let entry = await reader.next(); entry !== null; entry = await reader.next()) {
      yield toTarEntry(entry.entry, entry.meta, reader)
      if (!entry.entry.emittedEnd) {
        const ended = new Promise((resolve) => entry.entry.once('end', resolve))
        entry.entry.resume()
        await Promise.race([ended, reader.failed])
      }
    }
  } finally {
    reader.stop()
    await feeding
  }
}

/** Couples the parser's events with a reader that asks. */
class TarReader {
  private readonly parser = new Parser({ maxMetaEntrySize: MAX_META_BYTES })
  private readonly ready: { entry: ReadEntry; meta: string }[] = []
  private meta = ''
  private state: 'reading' | 'complete' | Error = 'reading'
  private isStopped = false
  private isPastEnd = false
  private current: ReadEntry | undefined
  private wake: () => void = () => {}
  private fail: () => void = () => {}
  /** Resolves when there will be no more bytes for the entry being read. */
  readonly failed = new Promise<void>((resolve) => {
    this.fail = resolve
  })

  constructor() {
    this.parser.on('meta', (text: string) => {
      this.meta += text
    })
    this.parser.on('entry', (entry: ReadEntry) => {
      this.ready.push({ entry, meta: this.meta })
      this.meta = ''
      this.wake()
    })
    this.parser.on('ignoredEntry', (entry: ReadEntry) => {
      this.end(invalid(entry.meta ? 'an extended header is too long' : `entries of type ${entry.type} are not supported (${entry.path})`))
    })
    this.parser.on('eof', () => {
      this.isPastEnd = true
    })
    this.parser.on('warn', (code: string, message: string | Error) => {
      // An archive without entries is one all the same: many layers are empty.
      if (!(code === 'TAR_BAD_ARCHIVE' && this.isPastEnd)) this.end(complaint(code, message))
    })
    this.parser.on('end', () => this.end('complete'))
  }

  /** Never rejects: what goes wrong is told by `next`. */
  async feed(source: AsyncIterable<Uint8Array>): Promise<void> {
    let length = 0
    try {
      for await (const chunk of source) {
        if (this.isStopped) return
        length += chunk.length
        // After the end of the archive the rest is only read, since it belongs to the layer's hash.
        if (this.isPastEnd || this.state !== 'reading') continue
        if (!this.parser.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))) await this.drained()
      }
      if (!this.isPastEnd && length % BLOCK !== 0) return this.end(truncated())
      if (length === 0) this.end('complete')
      if (this.state === 'reading') this.parser.end()
    } catch (error) {
      this.end(error as Error)
    }
  }

  /** The next entry; null after the last. Throws what went wrong. */
  async next(): Promise<{ entry: ReadEntry; meta: string } | null> {
    for (;;) {
      if (this.state instanceof Error) throw this.state
      const entry = this.ready.shift()
      this.current = entry?.entry
      if (entry !== undefined) return entry
      if (this.state === 'complete') return null
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  get problem(): Error | undefined {
    return this.state instanceof Error ? this.state : undefined
  }

  stop(): void {
    this.isStopped = true
    this.wakeFeeder()
  }

  private wakeFeeder: () => void = () => {}

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeFeeder = resolve
      if (this.isStopped || this.state !== 'reading') resolve()
      else this.parser.once('drain', resolve)
    })
  }

  private end(state: 'complete' | Error): void {
    if (this.state !== 'reading') return
    this.state = state
    if (state !== 'complete') {
      // Who reads its contents gets to their end, and sees that they are too short.
      this.current?.end()
      this.fail()
      this.wakeFeeder()
    }
    this.wake()
  }
}

function toTarEntry(entry: ReadEntry, meta: string, reader: TarReader): TarEntry {
  const type = TYPES[entry.type]
  if (type === undefined || /(^|\n)\d+ GNU\.sparse\./.test(meta)) {
    throw invalid(`${entry.path}: ${type === undefined ? `entries of type ${entry.type}` : 'sparse files'} are not supported`)
  }
  const mtime = entry.mtime?.getTime() ?? 0
  return {
    type,
    path: entry.path,
    linkPath: entry.linkpath ?? '',
    mode: (entry.mode ?? 0) & 0o7777,
    uid: owner(entry.uid),
    gid: owner(entry.gid),
    size: entry.size,
    mtime: Number.isFinite(mtime) ? mtime / 1000 : 0,
    xattrs: xattrsOf(meta),
    body: contents(entry, reader)
  }
}

async function* contents(entry: ReadEntry, reader: TarReader): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const chunk of entry as AsyncIterable<Uint8Array>) {
    length += chunk.length
    yield chunk
  }
  if (length !== entry.size) throw reader.problem ?? truncated()
}

function owner(id: number | undefined): number {
  if (id === undefined) return 0
  if (!Number.isInteger(id) || id < 0 || id > 0xffff_fffe) throw invalid(`${id} is no user or group`)
  return id
}

/** `LENGTH SCHILY.xattr.NAME=VALUE\n`. A value that is no UTF-8 has been damaged on the way here, and is left out. */
function xattrsOf(meta: string): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>()
  for (const [, name, value] of meta.matchAll(/(?:^|\n)\d+ SCHILY\.xattr\.([^=\n]+)=(.*?)(?=\n\d+ \w[\w.]*=|\n?$)/gs)) {
    if (!value!.includes('\ufffd')) xattrs.set(name!, Buffer.from(value!))
  }
  return xattrs
}

function complaint(code: string, message: string | Error): Error {
  const text = typeof message === 'string' ? message : message.message
  if (text.startsWith('Truncated input')) return truncated()
  if (code === 'TAR_BAD_ARCHIVE' || text.startsWith('checksum failure')) return invalid('archive/tar: invalid tar header')
  return invalid(text)
}

function truncated(): ImageError {
  return invalid('unexpected EOF')
}

function invalid(problem: string): ImageError {
  return new ImageError('failed', `Error processing tar file(exit status 1): ${problem}`)
}
