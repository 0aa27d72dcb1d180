/**
 * Lists as Docker's client prints them: a table, a template for each row, or JSON.
 *
 * A row is an object with the names that templates know; a header has what stands above each of them.
 */
import { Template } from '../template/template.ts'
import { goJson } from '../template/template-functions.ts'
import type { TextStream } from '../terminal.ts'

export interface ListFormat {
  /** `--format`: 'table', 'table TEMPLATE', 'json', 'TEMPLATE'; undefined: the table. */
  readonly format: string | undefined
  /** The table's template, cells between tabs. */
  readonly table: string
  /** Name -> heading. */
  readonly headers: Readonly<Record<string, string>>
  /** With `-q`, in place of the table. */
  readonly quiet?: string | undefined
}

/** Of a cell with its gap, as Docker's tables have it. */
const MIN_WIDTH = 10
const GAP = 3

/** TemplateError for a template that cannot be read or carried out. */
export function printList(rows: readonly object[], options: ListFormat, stdout: TextStream): void {
  const { format = 'table', headers } = options
  if (format === 'json') {
    for (const row of rows) stdout.write(`${escapeHtml(goJson(sorted(row)))}\n`)
    return
  }
  const isTable = /^table(\s|$)/.test(format)
  if (isTable && options.quiet !== undefined) return printRows(rows, options.quiet, stdout)
  if (!isTable) return printRows(rows, withTabs(format), stdout)
  const custom = withTabs(format.slice('table'.length).trim())
  const template = new Template(custom === '' ? options.table : custom)
  const heading = { ...headers, Label: (key: unknown) => String(key).split(/[-_.]/).join(' ') }
  const lines = [template.execute(heading), ...rows.map((row) => template.execute(row))]
  stdout.write(layOut(lines.map((line) => line.split('\t'))))
}

function printRows(rows: readonly object[], format: string, stdout: TextStream): void {
  const template = new Template(format)
  for (const row of rows) stdout.write(`${template.execute(sorted(row))}\n`)
}

/** Columns at least ten wide with a gap of three; the last one as it is. */
export function layOut(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const cells of lines) {
    for (const [at, cell] of cells.slice(0, -1).entries()) widths[at] = Math.max(widths[at] ?? MIN_WIDTH, [...cell].length + GAP)
  }
  return lines
    .map(
      (cells) =>
        `${cells.map((cell, at) => (at === cells.length - 1 ? cell : cell + ' '.repeat(widths[at]! - [...cell].length))).join('')}\n`
    )
    .join('')
}

/** A shell's '\t' in quotes is two characters; both are meant as a tab. */
function withTabs(format: string): string {
  return format.replace(/\\t/g, '\t').replace(/\\n/g, '\n')
}

/** As Go's encoding/json writes a whole row; a member alone (`{{json .Ports}}`) it leaves as it is. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
}

/** `json` shows the members in the order of their names. */
function sorted(row: object): object {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))
}
