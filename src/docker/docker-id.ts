import type { Random } from '../engine/random.ts'

/** Digits of the short form. */
export const SHORT_ID = 12

/** 64 hexadecimal digits. Like Docker's, the short form is never all digits: it could be taken for a number. */
export function newDockerId(random: Random): string {
  for (;;) {
    let id = ''
    for (let word = 0; word < 8; word++) id += (random.int32() >>> 0).toString(16).padStart(8, '0')
    if (!/^\d+$/.test(id.slice(0, SHORT_ID))) return id
  }
}

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID)
}
