/** Lines for whoever watches the daemon: `time=2026-11-20T20:04:43.392Z level=info msg="network made" name=front`. */

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Errors are shown by their message, and in debug lines by their stack. */
export type LogFields = Readonly<Record<string, unknown>>

export class Logger {
  /** Lines of a lower level are left out. May be changed at any time. */
  level: LogLevel
  private readonly write: (line: string) => void
  private readonly now: () => Date

  constructor(level: LogLevel, write: (line: string) => void, now: () => Date = () => new Date()) {
    this.level = level
    this.write = write
    this.now = now
  }

  /** Nothing is written: for tests and embedding. */
  static silent(): Logger {
    return new Logger('error', () => {})
  }

  /** Asked before fields that are dear to make. */
  has(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.level)
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields)
  }

  private log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.has(level)) return
    let line = `time=${this.now().toISOString()} level=${level} msg=${quote(message)}`
    for (const [name, value] of Object.entries(fields)) line += ` ${name}=${quote(textOf(value, level))}`
    this.write(`${line}\n`)
  }
}

function textOf(value: unknown, level: LogLevel): string {
  if (value instanceof Error) return level === 'debug' || level === 'error' ? (value.stack ?? value.message) : value.message
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

/** Quoted where it would not be one word; a line break never begins a second line. */
function quote(text: string): string {
  return /^[^\s"=\\]+$/.test(text) ? text : JSON.stringify(text)
}
