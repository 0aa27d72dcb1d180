/** What is wrong with a lab file, and where: lines and columns count from 1. */
export class LabFileError extends Error {
  readonly code = 'ERR_LAB_FILE'
  readonly file: string
  readonly line: number
  readonly column: number
  /** The sentence without the place. */
  readonly problem: string

  constructor(file: string, line: number, column: number, problem: string, options: { cause?: unknown } = {}) {
    super(`${file}:${line}:${column}: ${problem}`, options)
    this.name = 'LabFileError'
    this.file = file
    this.line = line
    this.column = column
    this.problem = problem
  }
}
