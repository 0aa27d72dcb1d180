/**
 * Shows how far a long step has come: a bar that redraws itself on a terminal, a line at each quarter elsewhere, so that a log
 * stays readable.
 */
import type { TextStream } from './terminal.ts'

export interface ProgressOptions {
  readonly label: string
  /** `update` counts up to this; above 0. */
  readonly total: number
  /** Shows an amount: '64 MiB'. Default: the number. */
  readonly format?: (amount: number) => string
}

export interface Progress {
  /** `done` in the unit of `total`; `note` stands behind it: '6.1 Gbit/s'. */
  update(done: number, note?: string): void
  /** Ends the line. Not for steps that failed: use `abandon`. */
  finish(note?: string): void
  /** Ends the line where it stands. */
  abandon(): void
}

const BAR_WIDTH = 28
/** A redraw costs a system call and nobody sees more. */
const REDRAW_MS = 50
const QUARTERS = 4

export function startProgress(stream: TextStream, options: ProgressOptions): Progress {
  return stream.isTTY === true ? new ProgressBar(stream, options) : new ProgressLines(stream, options)
}

/** For `--json`: nothing is shown. */
export const SILENT_PROGRESS: Progress = { update() {}, finish() {}, abandon() {} }

function describe(options: ProgressOptions, done: number, note?: string): string {
  const format = options.format ?? String
  return `${format(done)} of ${format(options.total)}${note ? `, ${note}` : ''}`
}

class ProgressBar implements Progress {
  private readonly stream: TextStream
  private readonly options: ProgressOptions
  private drawnAt = Number.NEGATIVE_INFINITY
  private line = ''

  constructor(stream: TextStream, options: ProgressOptions) {
    this.stream = stream
    this.options = options
  }

  update(done: number, note?: string): void {
    const now = performance.now()
    if (now - this.drawnAt < REDRAW_MS) return
    this.drawnAt = now
    this.draw(done, note)
  }

  finish(note?: string): void {
    this.draw(this.options.total, note)
    this.stream.write('\n')
  }

  abandon(): void {
    if (this.line !== '') this.stream.write('\n')
  }

  private draw(done: number, note?: string): void {
    const share = Math.min(1, Math.max(0, done / this.options.total))
    const filled = Math.round(share * BAR_WIDTH)
    const bar = '#'.repeat(filled) + '.'.repeat(BAR_WIDTH - filled)
    const percent = `${Math.floor(share * 100)}`.padStart(3)
    const text = `${this.options.label}  [${bar}] ${percent}%  ${describe(this.options, done, note)}`
    // A terminal that nobody gave a size (a serial line, `script` without one) says 0.
    const columns = this.stream.columns || 80
    // One column is left free: a full line would wrap, and the carriage return would come back to its second half.
    const line = text.slice(0, Math.max(1, columns - 1))
    this.stream.write(`\r${line.padEnd(this.line.length)}`)
    this.line = line
  }
}

class ProgressLines implements Progress {
  private readonly stream: TextStream
  private readonly options: ProgressOptions
  private quarter = 0

  constructor(stream: TextStream, options: ProgressOptions) {
    this.stream = stream
    this.options = options
  }

  update(done: number, note?: string): void {
    const quarter = Math.floor((done / this.options.total) * QUARTERS)
    // The last quarter is told by `finish`.
    if (quarter <= this.quarter || quarter >= QUARTERS) return
    this.quarter = quarter
    this.stream.write(`${this.options.label}: ${describe(this.options, done, note)}\n`)
  }

  finish(note?: string): void {
    this.stream.write(`${this.options.label}: ${describe(this.options, this.options.total, note)}\n`)
  }

  abandon(): void {}
}
