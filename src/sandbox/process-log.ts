import { followProcessLog, type LogPosition, lineStarts } from './log-records.ts'

export { type FollowOptions, followProcessLog, type LogPosition, type LogRecord, logEnd, readProcessLog } from './log-records.ts'

export interface LogLinesOptions {
  /** Only the last N lines of what is there when the reading begins. Default: all. */
  readonly tail?: number
  /** Lines at or after this time, ns since 1970. */
  readonly since?: bigint
  /** Lines at or before this time; the reading ends when a later one comes. */
  readonly before?: bigint
  /** false: the output goes on, and what has no newline yet is no line yet. Default: true. */
  readonly isOver?: boolean
  /** When it is given, waits for more until it settles (FollowOptions.until). */
  readonly until?: Promise<unknown>
  readonly signal?: AbortSignal
}

export interface LogLine {
  /** When its end came, ns since 1970: never less than that of the line before. */
  readonly time: bigint
  readonly stream: 1 | 2
  /** With its newline. Without one: a part of a line longer than 16 KiB, or the output ended there. */
  readonly data: Buffer
}

/** Docker's: a longer line comes in several. */
const MAX_LINE = 16 * 1024
const NEWLINE = 10

/** What a stream has said since its last newline. */
class LineAssembler {
  private parts: Buffer[] = []
  private length = 0

  add(data: Buffer): Buffer[] {
    const lines: Buffer[] = []
    for (let at = 0; at < data.length; ) {
      const room = at + MAX_LINE - this.length
      const newline = data.indexOf(NEWLINE, at)
      const end = Math.min(newline < 0 ? data.length : newline + 1, room)
      this.parts.push(data.subarray(at, end))
      this.length += end - at
      at = end
      if (data[end - 1] === NEWLINE || this.length === MAX_LINE) lines.push(this.take()!)
    }
    return lines
  }

  take(): Buffer | null {
    if (this.length === 0) return null
    const line = Buffer.concat(this.parts, this.length)
    this.parts = []
    this.length = 0
    return line
  }
}

/** The same for both streams, whose lines do not mix. */
class StreamAssembler {
  private readonly streams = { 1: new LineAssembler(), 2: new LineAssembler() }

  add(stream: 1 | 2, data: Buffer): Buffer[] {
    return this.streams[stream].add(data)
  }

  take(stream: 1 | 2): Buffer | null {
    return this.streams[stream].take()
  }
}

/** Lines of a log with all its files, in the order in which they ended, stdout's and stderr's apart. */
export async function* readLogLines(log: string, options: LogLinesOptions = {}): AsyncGenerator<LogLine> {
  const { tail, since = 0n, before, isOver = true, until, signal } = options
  let reading: Reading = { from: tail === 0 ? 'end' : 'start', time: 0n, assembler: new StreamAssembler() }
  const isWanted = ({ time }: LogLine): boolean => time >= since && !(before !== undefined && time > before)

  // What is there already comes first by itself: which lines are its last ones is known only at its end.
  if (tail === undefined) {
    for await (const line of readOn(log, reading, signal)) if (isWanted(line)) yield line
  } else if (tail > 0) {
    const recent = await lastLines(log, tail, isWanted, signal)
    reading = recent.reading
    const last = isOver && until === undefined ? unended(reading).filter(isWanted) : []
    yield* [...recent.lines, ...last].slice(-tail)
  }
  if (until !== undefined) {
    for await (const line of readOn(log, reading, signal, until)) {
      if (before !== undefined && line.time > before) return
      if (isWanted(line)) yield line
    }
  }
  if (isOver && !signal?.aborted) yield* unended(reading).filter(isWanted)
}

/** What the output ended with, without a newline. It is given once. */
function unended({ time, assembler }: Reading): LogLine[] {
  return ([1, 2] as const).flatMap((stream) => {
    const data = assembler.take(stream)
    return data === null ? [] : [{ time, stream, data }]
  })
}

/** How far a log was read. */
interface Reading {
  from: LogPosition | 'start' | 'end'
  /** Of the last record. */
  time: bigint
  readonly assembler: StreamAssembler
}

/** The lines behind `reading`, which moves along; without `until`, those that are there. */
async function* readOn(log: string, reading: Reading, signal?: AbortSignal, until?: Promise<unknown>): AsyncGenerator<LogLine> {
  for await (const record of followProcessLog(log, { from: reading.from, ...(signal && { signal }), ...(until && { until }) })) {
    const { segment, next: offset, time, stream, data } = record
    reading.from = { segment, offset }
    reading.time = time
    for (const line of reading.assembler.add(stream, data)) yield { time, stream, data: line }
  }
}

/** The last lines that are wanted, read from as late a place as has enough of them: logs may be long. */
async function lastLines(
  log: string,
  count: number,
  isWanted: (line: LogLine) => boolean,
  signal?: AbortSignal
): Promise<{ lines: LogLine[]; reading: Reading }> {
  const starts = await lineStarts(log)
  for (let back = 1; ; back *= 4) {
    const from = starts.at(-back) ?? 'start'
    const reading: Reading = { from, time: 0n, assembler: new StreamAssembler() }
    const lines: LogLine[] = []
    for await (const line of readOn(log, reading, signal)) {
      if (!isWanted(line)) continue
      lines.push(line)
      if (lines.length > 2 * count + 1024) lines.splice(0, lines.length - count)
    }
    if (lines.length >= count || from === 'start') return { lines: lines.slice(-count), reading }
  }
}
