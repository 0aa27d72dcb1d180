/** The keys that leave a container to itself: typed one after the other, they are not sent. Docker's default: Ctrl-P Ctrl-Q. */
import { usageError } from '../cli-error.ts'

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q'

const CONTROL: Readonly<Record<string, number>> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 }

/** 'ctrl-p,ctrl-q', 'a,b': the bytes. CliError for a key that there is not. */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    if ([...key].length === 1) return key.charCodeAt(0)
    const letter = /^ctrl-(.)$/.exec(key)?.[1]
    const code = letter === undefined ? undefined : /[a-z]/.test(letter) ? letter.charCodeAt(0) - 96 : CONTROL[letter]
    if (code === undefined) throw usageError(`invalid detach keys (${text}) provided`)
    return code
  })
}

/** Passes typed bytes on until the keys have been typed. */
export class DetachKeys {
  private readonly keys: readonly number[]
  private matched = 0

  constructor(keys: readonly number[]) {
    this.keys = keys
  }

  /** What is to be sent of `typed`, and whether it ends here. Keys that may be the beginning are held back. */
  take(typed: Uint8Array): { send: Buffer; isDetached: boolean } {
    const send: number[] = []
    for (const byte of typed) {
      if (byte === this.keys[this.matched]) {
        if (++this.matched === this.keys.length) return { send: Buffer.from(send), isDetached: true }
        continue
      }
      send.push(...this.keys.slice(0, this.matched))
      this.matched = byte === this.keys[0] ? 1 : 0
      if (this.matched === 0) send.push(byte)
    }
    return { send: Buffer.from(send), isDetached: false }
  }
}
