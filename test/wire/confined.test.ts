import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get32 } from '../../src/wire/big-endian.ts'
import { assertConfined } from './confined.ts'

// The judge itself: a reader that leaks must be caught, else the truncation tests prove nothing.
const PACKET = Uint8Array.of(1, 2, 3, 4, 5, 6)

test('a reader that looks one byte past the end is caught', () => {
  assert.throws(() => assertConfined((bytes, at, end) => (at + 3 <= end ? get32(bytes, at) : null), PACKET), /depends on bytes outside/)
})

test('a reader that looks before the start is caught', () => {
  assert.throws(() => assertConfined((bytes, at) => bytes[at - 1], PACKET), /depends on bytes outside/)
})

test('a reader that trusts a length field is caught by mutation', () => {
  const trusting = (bytes: Uint8Array, at: number, end: number): unknown => (at + 6 <= end ? bytes[at + bytes[at]] : null)
  assert.throws(() => assertConfined(trusting, PACKET), /depends on bytes outside/)
})

test('a careful reader passes, and its acceptances are counted', () => {
  assert.equal(
    assertConfined((bytes, at, end) => (at + 4 <= end ? get32(bytes, at) : null), PACKET, 0),
    3
  )
})
