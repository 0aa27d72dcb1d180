import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesField, encodeShimMessage, MAX_MESSAGE, ShimMessage } from '../../src/sandbox/shim-message.ts'

test('a message is a number and fields with their lengths', () => {
  const bytes = encodeShimMessage(0x01020304, ['ok', 'a=b'])
  assert.equal(bytes.toString('hex'), `04030201${'02000000'}${'6f6b'}${'03000000'}${'613d62'}`)
})

test('what was written is read: repeated keys, raw bytes, an equals sign in a value, an empty value', () => {
  const raw = Uint8Array.from({ length: 256 }, (_, i) => i)
  const message = new ShimMessage(encodeShimMessage(7, ['part', 'x=1', 'x=2', 'long=3', bytesField('data', raw), 'eq=a=b', 'none=']), [3])
  assert.equal(message.number, 7)
  assert.equal(message.word, 'part')
  assert.deepEqual(message.fds, [3])
  assert.deepEqual(message.all('x'), ['1', '2'])
  assert.equal(message.integer('long'), 3)
  assert.deepEqual(new Uint8Array(message.bytes('data')!), raw)
  assert.equal(message.text('eq'), 'a=b')
  assert.equal(message.text('none'), '')
  assert.equal(message.text('lon'), null)
  assert.equal(message.integer('absent'), null)
})

test('truncated at any length, a message is an error or has fewer fields, never bytes from outside', () => {
  const whole = encodeShimMessage(7, ['ok', 'key=value'])
  const around = Buffer.concat([Buffer.alloc(16, 0xa5), whole, Buffer.alloc(16, 0xa5)])
  for (let length = 0; length < whole.length; length++) {
    const part = around.subarray(16, 16 + length)
    try {
      const message = new ShimMessage(part, [])
      assert.equal(message.text('key'), null)
      assert.ok(['', 'ok'].includes(message.word))
    } catch (error) {
      assert.ok(error instanceof RangeError)
    }
  }
})

test('a request that the shim would not take is refused before it is sent', () => {
  encodeShimMessage(1, ['x'.repeat(MAX_MESSAGE - 8)])
  assert.throws(() => encodeShimMessage(1, ['x'.repeat(MAX_MESSAGE - 7)]), { code: 'E2BIG' })
})
