import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import path from 'node:path'

/** One read of a process's output, as the shim recorded it (native/shim/log_file.h). */
export interface LogRecord {
  /** CLOCK_REALTIME, ns since 1970. */
  readonly time: bigint
  /** 1: stdout or a terminal; 2: stderr. */
  readonly stream: 1 | 2
  readonly data: Buffer
  /** Offset of the record behind this one: where a later read of the same file goes on. */
  readonly next: number
}

/** A place in a log with all its files. */
export interface LogPosition {
  /** Which file: 0 is PATH itself, N is PATH.N. */
  readonly segment: number
  readonly offset: number
}

export interface FollowOptions {
  /** Where to begin. Default 'start', of what is left after rotation. */
  readonly from?: LogPosition | 'start' | 'end'
  /** When it is given, waits for more at the end, until this settles and everything written before was read. */
  readonly until?: Promise<unknown>
  /** Ends the reading at once, without an error. */
  readonly signal?: AbortSignal
}

export interface FollowedRecord extends LogRecord {
  /** Which file it is in. */
  readonly segment: number
}

const HEADER = 16
const MAX_DATA = 32 * 1024
/** Read at once: a multiple of what any record needs. */
const CHUNK = 256 * 1024
const NEWLINE = 10

/**
 * The records of one file of a log from a record's offset on, up to the last one that is complete; the file may be growing.
 * Throws SystemCallError (ENOENT) and RangeError for an offset that is no record's or a file that is no log.
 */
export async function* readProcessLog(file: string, from = 0): AsyncGenerator<LogRecord> {
  const handle = await open(file)
  try {
    yield* recordsOf(handle, file, from)
  } finally {
    await handle.close()
  }
}

/**
 * The records of all files of a log, oldest first, across rotations that happen meanwhile: none lost, none twice, but for files
 * that are removed before they are begun. A log that does not exist is an empty one. Throws as readProcessLog.
 */
export async function* followProcessLog(log: string, options: FollowOptions = {}): AsyncGenerator<FollowedRecord> {
  const { from = 'start', until, signal } = options
  const watcher = until === undefined ? null : new LogWatcher(log, until, signal)
  let handle: FileHandle | null = null
  try {
    let at = from === 'end' ? await logEnd(log) : from === 'start' ? null : from
    while (signal?.aborted !== true) {
      // Asked before anything is read: what was written before the answer is then read below.
      const ended = watcher === null || watcher.ended
      watcher?.rearm()
      at ??= await firstPosition(log, 0)
      handle ??= at && (await openOrNull(segmentFile(log, at.segment)))
      const file = at && segmentFile(log, at.segment)
      // The writer leaves a file for good before it makes the next: only what is read after the next was seen is all.
      const next: LogPosition | null = at && (await firstPosition(log, at.segment + 1))
      if (handle && at) {
        for await (const record of recordsOf(handle, file!, at.offset)) {
          yield { ...record, segment: at.segment }
          at = { segment: at.segment, offset: record.next }
          if (signal?.aborted) return
        }
      }
      if (next !== null) {
        await handle?.close()
        handle = null
        at = next
        continue
      }
      if (ended) return
      await watcher.wait()
    }
  } finally {
    watcher?.close()
    await handle?.close()
  }
}

/** Where a log ends now; { segment: 0, offset: 0 } when there is none yet. */
export async function logEnd(log: string): Promise<LogPosition> {
  const segment = (await segmentsOf(log)).at(-1) ?? 0
  const size = await stat(segmentFile(log, segment)).then(
    (found) => found.size,
    () => 0
  )
  return { segment, offset: size === 0 ? 0 : await wholeRecords(segmentFile(log, segment), size) }
}

/** A record may be half written at the moment: the end is where it begins. */
async function wholeRecords(file: string, size: number): Promise<number> {
  let end = 0
  const handle = await open(file)
  try {
    for (let at = 0; at < size; at = end) {
      const chunk = await readChunk(handle, at)
      forEachRecord(chunk, file, at, (_stream, _data, next) => {
        end = next
      })
      if (end === at) break
    }
  } finally {
    await handle.close()
  }
  return end
}

/**
 * Places at which neither stream is in the middle of a line, oldest first, one for CHUNK bytes or more: reading lines may begin
 * there. They are found without making lines, at the speed of the disk.
 */
export async function lineStarts(log: string): Promise<LogPosition[]> {
  const starts: LogPosition[] = []
  const isOpen = { 1: false, 2: false }
  for (const segment of await segmentsOf(log)) {
    const file = segmentFile(log, segment)
    const handle = await openOrNull(file)
    if (handle === null) continue
    let last = 0
    try {
      for (let at = 0, end = 0; ; at = end) {
        const chunk = await readChunk(handle, at)
        forEachRecord(chunk, file, at, (stream, data, next) => {
          end = next
          isOpen[stream] = data[data.length - 1] !== NEWLINE
          if (isOpen[1] || isOpen[2] || next - last < CHUNK) return
          starts.push({ segment, offset: next })
          last = next
        })
        if (end === at) break
      }
    } finally {
      await handle.close()
    }
  }
  return starts
}

function segmentFile(log: string, segment: number): string {
  return segment === 0 ? log : `${log}.${segment}`
}

/** Numbers of a log's files, ascending. */
async function segmentsOf(log: string): Promise<number[]> {
  const base = path.basename(log)
  const names = await readdir(path.dirname(log)).catch(() => [] as string[])
  const numbers = names.flatMap((name) => {
    if (name === base) return [0]
    const suffix = name.startsWith(`${base}.`) ? name.slice(base.length + 1) : ''
    return /^[1-9]\d*$/.test(suffix) ? [Number(suffix)] : []
  })
  return numbers.sort((a, b) => a - b)
}

/** The beginning of the first file whose number is at least `least`. */
async function firstPosition(log: string, least: number): Promise<LogPosition | null> {
  const segment = (await segmentsOf(log)).find((number) => number >= least)
  return segment === undefined ? null : { segment, offset: 0 }
}

async function openOrNull(file: string): Promise<FileHandle | null> {
  try {
    return await open(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null // rotated away
    throw error
  }
}

async function* recordsOf(handle: FileHandle, file: string, from: number): AsyncGenerator<LogRecord> {
  for (let at = from; ; ) {
    const chunk = await readChunk(handle, at)
    const records: LogRecord[] = []
    forEachRecord(chunk, file, at, (stream, data, next, time) => records.push({ time: time(), stream, data, next }))
    yield* records
    if (records.length === 0 || chunk.length < CHUNK) return
    at = records.at(-1)!.next
  }
}

async function readChunk(handle: FileHandle, at: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, at)
  return buffer.subarray(0, bytesRead)
}

type RecordVisitor = (stream: 1 | 2, data: Buffer, next: number, time: () => bigint) => void

/** The complete records of a chunk that begins with one, at offset `at` of its file. RangeError when it does not. */
function forEachRecord(chunk: Buffer, file: string, at: number, visit: RecordVisitor): void {
  for (let used = 0; used + HEADER <= chunk.length; ) {
    const begin = used
    const length = chunk.readUInt32LE(begin + 8)
    const stream = chunk.readUInt32LE(begin + 12)
    if ((stream !== 1 && stream !== 2) || length > MAX_DATA) throw new RangeError(`${file}: no log record at ${at + begin}`)
    used += HEADER + length
    if (used > chunk.length) return
    visit(stream, chunk.subarray(begin + HEADER, used), at + used, () => chunk.readBigUInt64LE(begin))
  }
}

/** Tells when a log may have grown, or will not any more. */
class LogWatcher {
  ended = false
  private readonly watcher: FSWatcher
  private changed = false
  private wake: () => void = () => {}

  constructor(log: string, until: Promise<unknown>, signal: AbortSignal | undefined) {
    const base = path.basename(log)
    const notify = (): void => {
      this.changed = true
      this.wake()
    }
    // The directory, not the file: rotation makes another one.
    this.watcher = watch(path.dirname(log), (_, name) => {
      if (name === null || name === base || name.startsWith(`${base}.`)) notify()
    })
    this.watcher.on('error', notify)
    const end = (): void => {
      this.ended = true
      notify()
    }
    until.then(end, end)
    signal?.addEventListener('abort', notify, { once: true })
  }

  rearm(): void {
    this.changed = this.ended
  }

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
      if (this.changed) resolve()
    })
  }

  close(): void {
    this.watcher.close()
  }
}
