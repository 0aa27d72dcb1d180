/**
 * A text stream that commands write to, and what is known of the terminal behind it. Tests give a stream of their own.
 */
export interface TextStream {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

const CODES = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' } as const

export type Style = keyof typeof CODES

/** Colours are for people: on a terminal, unless NO_COLOR is set (no-color.org: to anything but the empty string) or it is a dumb one. */
export function hasColours(stream: TextStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

/** Wraps text in the escape sequences of `style`, when `on`. */
export function paint(on: boolean, style: Style, text: string): string {
  return on ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text
}
