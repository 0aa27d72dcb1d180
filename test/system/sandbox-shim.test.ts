import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { loadNative } from '../../src/io/load-native.ts'
import { findShim } from '../../src/sandbox/shim-binary.ts'
import { encodeShimMessage, MAX_MESSAGE, ShimMessage } from '../../src/sandbox/shim-message.ts'
import { noSandbox } from './sandbox-set-up.ts'

describe('the shim, spoken to directly', { skip: noSandbox }, () => {
  let socket: number
  let ended: Promise<unknown[]>
  beforeEach(() => {
    const [ours, theirs] = loadNative().socketpairSeqpacket()
    socket = ours
    ended = once(spawn(findShim(), ['--owner-bound'], { stdio: ['ignore', 'inherit', 'inherit', theirs] }), 'exit')
    loadNative().closeFd(theirs)
  })
  afterEach(async () => {
    loadNative().closeFd(socket)
    assert.deepEqual(await ended, [0, null], 'it ends in good order')
  })

  function exchange(bytes: Uint8Array): ShimMessage {
    loadNative().sendWithFds(socket, bytes, [])
    const { data, fds } = loadNative().receiveWithFds(socket, MAX_MESSAGE, 10_000)
    return new ShimMessage(data, fds)
  }

  test('malformed messages are answered with an error and change nothing', () => {
    const whole = encodeShimMessage(9, ['hello', 'key=value'])
    for (let length = 1; length < whole.length; length++) {
      const answer = exchange(whole.subarray(0, length))
      // Cut between two fields it is a whole request, of which only the second may be missed.
      assert.equal(answer.word, length === 13 ? 'ok' : 'error', `${length} bytes`)
    }
    const lengthTooBig = Buffer.from(whole)
    lengthTooBig.writeUInt32LE(0xffff_fff0, 4)
    assert.equal(exchange(lengthTooBig).text('errno'), '74') // EBADMSG
    assert.equal(exchange(Buffer.alloc(MAX_MESSAGE + 1)).text('errno'), '90') // EMSGSIZE
    assert.equal(exchange(whole).integer('ready'), 0)
  })

  test('requests out of order are refused', () => {
    assert.match(exchange(encodeShimMessage(1, ['dance'])).text('text')!, /no verb 'dance'/)
    for (const verb of ['tap', 'netlink', 'sysctl', 'file', 'spawn']) {
      const answer = exchange(encodeShimMessage(2, [verb]))
      assert.equal(answer.number, 2)
      assert.match(answer.text('text')!, /not set up yet/, verb)
    }
    assert.equal(exchange(encodeShimMessage(3, ['signal', 'id=1', 'signal=9'])).text('errno'), '3') // ESRCH
    assert.match(exchange(encodeShimMessage(4, ['signal', 'id=x'])).text('text')!, /id 'x' is not an integer/)
    assert.equal(exchange(encodeShimMessage(5, ['setup', 'hostname=a'])).word, 'ok')
    assert.match(exchange(encodeShimMessage(6, ['setup', 'hostname=b'])).text('text')!, /set up already/)
    assert.match(exchange(encodeShimMessage(7, ['spawn', 'arg=true', 'stdin=fd'])).text('text')!, /fewer descriptors/)
    assert.match(exchange(encodeShimMessage(8, ['spawn', 'arg=true', 'stdin=odd'])).text('text')!, /stream 'odd'/)
    assert.equal(exchange(encodeShimMessage(9, ['netlink', `request=${'x'.repeat(32)}`])).word, 'error')
    assert.equal(exchange(encodeShimMessage(10, ['file', 'name=passwd', 'content=x'])).text('errno'), '2') // ENOENT
  })
})

test('the shim’s command line', { skip: noSandbox }, () => {
  const usage = spawnSync(findShim(), ['--help'], { encoding: 'utf8' })
  assert.equal(usage.status, 2)
  assert.match(usage.stderr, /^usage: netloom-shim/)
  const without = spawnSync(findShim(), ['--owner-bound'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', 'ignore'] })
  assert.equal(without.status, 1)
  assert.match(without.stderr, /control fd 3/)
})
