import { type FollowedRecord, followProcessLog, type LogPosition } from './log-records.ts'

export { type FollowOptions, followProcessLog, type LogPosition, type LogRecord, logEnd, readProcessLog } from './log-records.ts'

export interface LogLinesOptions {
  /** Only the last N lines of what is there when the reading begins. Default: all. */
  readonly tail?: number
  /** Lines at or after this time, ns since 1970. */
  readonly since?: bigint
  /** Lines at or before this time; the reading ends when a later one comes. */
  readonly before?: bigint
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

/** Lines of a log with all its files, in the order in which they ended, stdout's and stderr's apart. */
export async function* readLogLines(log: string, options: LogLinesOptions = {}): AsyncGenerator<LogLine> {
  const { tail, since = 0n, before, until, signal } = options
  const assemblers = { 1: new LineAssembler(), 2: new LineAssembler() }
  const assemble = (record: FollowedRecord): LogLine[] =>
    assemblers[record.stream].add(record.data).map((data) => ({ time: record.time, stream: record.stream, data }))
  const tooLate = (line: LogLine): boolean => before !== undefined && line.time > before
  let from: LogPosition | 'start' | 'end' = tail === 0 ? 'end' : 'start'
  let time = 0n

  // What is there already comes first by itself: which lines are its last ones is known only at its end.
  const recent: LogLine[] = []
  if (tail !== 0) {
    for await (const record of followProcessLog(log, { ...(signal && { signal }) })) {
      from = { segment: record.segment, offset: record.next }
      time = record.time
      for (const line of assemble(record)) {
        if (line.time < since || tooLate(line)) continue
        if (tail === undefined) yield line
        else recent.push(line)
      }
      if (tail !== undefined && recent.length > 2 * tail + 1024) recent.splice(0, recent.length - tail)
    }
  }
  yield* recent.slice(Math.max(0, recent.length - (tail ?? 0)))
  if (until !== undefined) {
    for await (const record of followProcessLog(log, { from, until, ...(signal && { signal }) })) {
      time = record.time
      for (const line of assemble(record)) {
        if (tooLate(line)) return
        if (line.time >= since) yield line
      }
    }
  }
  for (const stream of [1, 2] as const) {
    const data = signal?.aborted ? null : assemblers[stream].take()
    if (data !== null && time >= since && !(before !== undefined && time > before)) yield { time, stream, data }
  }
}
