import { open } from 'node:fs/promises'

/** One read of a process's output, as the shim recorded it (native/shim/log_file.h). */
export interface LogRecord {
  /** CLOCK_REALTIME, ns since 1970. */
  readonly time: bigint
  /** 1: stdout or a terminal; 2: stderr. */
  readonly stream: 1 | 2
  readonly data: Buffer
  /** Offset of the record behind this one: where a later read goes on. */
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
  /** When it is given, waits for more at the end, until this resolves and everything written before was read. */
  readonly until?: Promise<unknown>
  /** Ends the reading at once, without an error. */
  readonly signal?: AbortSignal
}

export interface LogLinesOptions {
  /** The last N lines of what is there when it begins. Default: all. */
  readonly tail?: number
  /** Lines at or after this time, ns since 1970. */
  readonly since?: bigint
  /** Lines at or before this time; ends when a later one comes. */
  readonly before?: bigint
  /** As FollowOptions.until. */
  readonly until?: Promise<unknown>
  readonly signal?: AbortSignal
}

export interface LogLine {
  /** When its first byte came, ns since 1970. */
  readonly time: bigint
  readonly stream: 1 | 2
  /** With its newline. Without one: the end of a line longer than 16 KiB comes in another, or the output ended there. */
  readonly data: Buffer
}

/** Records of all files of a log, across rotations, none lost, none twice. */
export async function* followProcessLog(path: string, options: FollowOptions = {}): AsyncGenerator<LogRecord> {
  if (options.until) throw new Error('not there yet')
  yield* readProcessLog(path)
}

/** Lines of a log, stdout's and stderr's apart, in the order in which they were finished. */
export async function* readLogLines(path: string, options: LogLinesOptions = {}): AsyncGenerator<LogLine> {
  if (options.until) throw new Error('not there yet')
  for await (const { time, stream, data } of readProcessLog(path)) yield { time, stream, data }
}

/** Where a log ends now; { segment: 0, offset: 0 } when there is none yet. */
export async function logEnd(path: string): Promise<LogPosition> {
  throw new Error(`not there yet: ${path}`)
}

const HEADER = 16

/**
 * The records of a log from a record's offset on, up to the last one that is complete; the file may be growing. Throws
 * SystemCallError (ENOENT) and RangeError for an offset that is no record's or a file that is no log.
 */
export async function* readProcessLog(file: string, from = 0): AsyncGenerator<LogRecord> {
  const handle = await open(file)
  try {
    const header = Buffer.alloc(HEADER)
    for (let at = from; ; ) {
      if ((await handle.read(header, 0, HEADER, at)).bytesRead < HEADER) return
      const length = header.readUInt32LE(8)
      const stream = header.readUInt32LE(12)
      if ((stream !== 1 && stream !== 2) || length > 32 * 1024) throw new RangeError(`${file}: no log record at ${at}`)
      const data = Buffer.alloc(length)
      if ((await handle.read(data, 0, length, at + HEADER)).bytesRead < length) return
      at += HEADER + length
      yield { time: header.readBigUInt64LE(0), stream, data, next: at }
    }
  } finally {
    await handle.close()
  }
}
