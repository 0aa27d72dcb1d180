/**
 * What a command says. With `--json` exactly one JSON document reaches the stream, so that it can be piped into a parser;
 * without it, lines for people.
 */
import { type Progress, type ProgressOptions, SILENT_PROGRESS, startProgress } from './progress.ts'
import { hasColours, paint, type Style, type TextStream } from './terminal.ts'

export interface OutputOptions {
  readonly json?: boolean | undefined
  readonly env?: NodeJS.ProcessEnv
}

export class Output {
  readonly json: boolean
  private readonly stream: TextStream
  private readonly colours: boolean

  constructor(stream: TextStream, options: OutputOptions = {}) {
    this.stream = stream
    this.json = options.json ?? false
    this.colours = !this.json && hasColours(stream, options.env ?? process.env)
  }

  /** A line for people; nothing with `--json`. */
  line(text = ''): void {
    if (!this.json) this.stream.write(`${text}\n`)
  }

  /** The result for programs; nothing without `--json`. */
  result(value: unknown): void {
    if (this.json) this.stream.write(`${JSON.stringify(value, null, 2)}\n`)
  }

  progress(options: ProgressOptions): Progress {
    return this.json ? SILENT_PROGRESS : startProgress(this.stream, options)
  }

  style(style: Style, text: string): string {
    return paint(this.colours, style, text)
  }

  /** Columns padded to their widest cell; `right` names the columns (from 0) that hold numbers. */
  table(header: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): void {
    const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
    const layOut = (cells: readonly string[]) =>
      widths
        .map((width, column) => (right.includes(column) ? (cells[column] ?? '').padStart(width) : (cells[column] ?? '').padEnd(width)))
        .join('  ')
        .trimEnd()
    this.line(this.style('bold', layOut(header)))
    for (const row of rows) this.line(layOut(row))
  }
}
