import assert from 'node:assert/strict'
import { AT } from './poisoned.ts'
import { seededRandom } from './seeded-random.ts'

/** Reads everything that a protocol can read from [at, end); `null` when its check refuses. */
export type Reader = (bytes: Uint8Array, at: number, end: number) => unknown

/** Buffers with the same bytes in [AT, AT + packet.length) and other ones around; one ends right there. */
function surroundings(packet: Uint8Array): Uint8Array[] {
  const random = seededRandom(packet.length + 1)
  const end = AT + packet.length
  const fills: ((buffer: Uint8Array) => unknown)[] = [
    (buffer) => buffer.fill(0),
    (buffer) => buffer.fill(0xff),
    (buffer) => buffer.fill(0xa5),
    (buffer) => buffer.set(Uint8Array.from(buffer, () => random(256))),
    (buffer) => buffer.set(Uint8Array.from(buffer, () => random(256)))
  ]
  return [...fills.map((fill) => ({ fill, size: end + 300 })), { fill: fills[0], size: end }].map(({ fill, size }) => {
    const buffer = new Uint8Array(size)
    fill(buffer)
    buffer.set(packet, AT)
    return buffer
  })
}

function assertSame(read: Reader, packet: Uint8Array, what: string): boolean {
  const [first, ...others] = surroundings(packet)
  const expected = read(first, AT, AT + packet.length)
  for (const other of others) {
    assert.deepEqual(read(other, AT, AT + packet.length), expected, `${what}: the result depends on bytes outside`)
  }
  return expected !== null
}

/**
 * Proves that what `read` returns depends on no byte outside [at, end): it must return the same whatever surrounds the
 * packet. Tried on the packet cut off at every length, and on `mutations` seeded changes of it (one to four bytes set at
 * random, then cut off at random or left whole), so that lying length fields are met too.
 * @returns how many of the tries passed the protocol's check, for the caller to see that some did
 */
export function assertConfined(read: Reader, packet: Uint8Array, mutations = 3000): number {
  let accepted = 0
  for (let length = 0; length <= packet.length; length++) {
    if (assertSame(read, packet.slice(0, length), `cut off at ${length}`)) accepted++
  }
  const random = seededRandom(791)
  for (let i = 0; i < mutations; i++) {
    const mutated = packet.slice(0, random(2) === 0 ? packet.length : random(packet.length + 1))
    if (mutated.length === 0) continue
    for (let changes = 1 + random(4); changes > 0; changes--) mutated[random(mutated.length)] = random(256)
    if (assertSame(read, mutated, `mutation ${i}`)) accepted++
  }
  return accepted
}
