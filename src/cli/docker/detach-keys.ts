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
      const held = [...this.keys.slice(0, this.matched), byte]
      // As much of the end as may still be the beginning of the keys is held back.
      this.matched = Math.min(held.length, this.keys.length)
      while (!held.slice(held.length - this.matched).every((key, at) => key === this.keys[at])) this.matched--
      if (this.matched === this.keys.length)
        return { send: Buffer.from([...send, ...held.slice(0, held.length - this.matched)]), isDetached: true }
      send.push(...held.slice(0, held.length - this.matched))
    }
    return { send: Buffer.from(send), isDetached: false }
  }
}
