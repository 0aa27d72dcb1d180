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
