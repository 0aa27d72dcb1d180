import assert from 'node:assert/strict'

/** Where `emitPoisoned` and `placed` put things: odd, so that nothing may count on alignment. */
export const AT = 37
const POISON = 0xa5

/** A larger buffer full of 0xa5 with `packet` at AT. */
export function placed(packet: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(AT + packet.length + AT).fill(POISON)
  buffer.set(packet, AT)
  return buffer
}

/**
 * Runs an emit function, which returns a length, at AT in a poisoned buffer; `before` is put right before AT (an IP header, say).
 * Fails when a byte outside [AT, AT + length) changed, so a forgotten or a stray byte shows. @returns the emitted bytes.
 */
export function emitPoisoned(emit: (bytes: Uint8Array, at: number) => number, before: Uint8Array = new Uint8Array(0)): Uint8Array {
  const at = AT + before.length
  const buffer = new Uint8Array(4096).fill(POISON)
  buffer.set(before, AT)
  const expected = buffer.slice()
  const length = emit(buffer, at)
  expected.set(buffer.subarray(at, at + length), at)
  assert.deepEqual(buffer, expected, 'bytes outside what was emitted changed')
  return buffer.slice(at, at + length)
}
