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
    for await (const { next } of recordsOf(handle, file, 0)) if ((end = next) >= size) break
  } finally {
    await handle.close()
  }
  return end
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
    const chunk = Buffer.allocUnsafe(CHUNK)
    const { bytesRead } = await handle.read(chunk, 0, CHUNK, at)
    let used = 0
    while (used + HEADER <= bytesRead) {
      const length = chunk.readUInt32LE(used + 8)
      const stream = chunk.readUInt32LE(used + 12)
      if ((stream !== 1 && stream !== 2) || length > MAX_DATA) throw new RangeError(`${file}: no log record at ${at + used}`)
      const end = used + HEADER + length
      if (end > bytesRead) break
      yield { time: chunk.readBigUInt64LE(used), stream, data: chunk.subarray(used + HEADER, end), next: at + end }
      used = end
    }
    if (used === 0 || bytesRead < CHUNK) return
    at += used
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
