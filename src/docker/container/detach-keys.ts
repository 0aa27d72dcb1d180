import { ApiError } from '../../api/api-error.ts'

/** ctrl-p ctrl-q. */
const DEFAULT_KEYS = Buffer.from([0x10, 0x11])
const CONTROL_OTHERS: Readonly<Record<string, number>> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 }

/** The bytes of 'ctrl-p,ctrl-q' or 'a,b'; null or empty text: Docker's default. Throws ApiError 400. */
export function parseDetachKeys(text: string | null): Buffer {
  if (text === null || text === '') return DEFAULT_KEYS
  return Buffer.from(
    text.split(',').map((key) => {
      if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0)
      const control = /^ctrl-(.)$/i.exec(key)?.[1]
      const code = control === undefined ? undefined : (CONTROL_OTHERS[control] ?? letterCode(control))
      if (code === undefined) throw ApiError.badRequest(`Invalid detach keys (${text}) provided`)
      return code
    })
  )
}

function letterCode(letter: string): number | undefined {
  const code = letter.toLowerCase().charCodeAt(0) - 96
  return code >= 1 && code <= 26 ? code : undefined
}

/** Finds the detach keys in what is typed. Keys that begin the sequence are held back until it is clear what they are. */
export class DetachFilter {
  private readonly keys: Buffer
  /** How many of the keys were typed last. */
  private matched = 0

  constructor(keys: Buffer) {
    this.keys = keys
  }

  /** What goes on to the process, and whether the sequence is complete; the rest is dropped then. */
  take(typed: Uint8Array): { data: Buffer; isDetached: boolean } {
    const out: number[] = []
    for (const byte of typed) {
      if (byte === this.keys[this.matched]) {
        this.matched++
        if (this.matched === this.keys.length) return { data: Buffer.from(out), isDetached: true }
        continue
      }
      out.push(...this.keys.subarray(0, this.matched))
      this.matched = byte === this.keys[0] ? 1 : 0
      if (this.matched === 0) out.push(byte)
    }
    return { data: Buffer.from(out), isDetached: false }
  }
}
