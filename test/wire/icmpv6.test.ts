import assert from 'node:assert/strict'
import { test } from 'node:test'
import { put16 } from '../../src/wire/big-endian.ts'
import { onesComplementSum } from '../../src/wire/checksum.ts'
import {
  checkIcmpv6,
  emitIcmpv6,
  fillIcmpv6Checksum,
  type Icmpv6Repr,
  Icmpv6Type,
  icmpv6Checksum,
  icmpv6Code,
  icmpv6Id,
  icmpv6IsError,
  icmpv6Sequence,
  icmpv6Type,
  icmpv6Word,
  parseIcmpv6,
  verifyIcmpv6Checksum
} from '../../src/wire/icmpv6.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../src/wire/ipv6.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const IP = new Uint8Array(40)
emitIpv6({ source: '2001:db8::1', destination: '2001:db8::2', nextHeader: IpProtocol.icmpv6, payloadLength: 12 }, IP, 0)
const ECHO = hex('8000 0000 1234 0001 6e65 7400')
const TOO_BIG = hex('0200 0000 0000 0500 6000 0000')
// The pseudo-header written out: both addresses, length 12, next header 58.
const PSEUDO = hex('20010db8000000000000000000000001 20010db8000000000000000000000002 0000000c 0000003a')
for (const message of [ECHO, TOO_BIG]) put16(message, 2, ~onesComplementSum(Uint8Array.of(...PSEUDO, ...message), 0, 52, 0))
const ECHO_REPR: Icmpv6Repr = { kind: 'echo-request', id: 0x1234, sequence: 1, data: hex('6e657400') }
const TOO_BIG_REPR: Icmpv6Repr = { kind: 'packet-too-big', code: 0, word: 1280, quoted: hex('60000000') }

test('deconstruct', () => {
  const echo = placed(Uint8Array.of(...IP, ...ECHO))
  const at = AT + 40
  assert.ok(checkIcmpv6(echo, at, at + 12))
  assert.deepEqual([icmpv6Type(echo, at), icmpv6Code(echo, at), icmpv6Id(echo, at), icmpv6Sequence(echo, at)], [128, 0, 0x1234, 1])
  assert.ok(verifyIcmpv6Checksum(echo, at, at + 12, AT))
  assert.equal(icmpv6IsError(echo, at), false)
  const error = placed(TOO_BIG)
  assert.deepEqual([icmpv6Type(error, AT), icmpv6Word(error, AT), icmpv6IsError(error, AT)], [Icmpv6Type.packetTooBig, 1280, true])
})

test('construct: the checksum is filled over whatever the field held', () => {
  const bytes = placed(Uint8Array.of(...IP, ...ECHO))
  bytes.fill(0xa5, AT + 42, AT + 44)
  fillIcmpv6Checksum(bytes, AT + 40, AT + 52, AT)
  assert.deepEqual(bytes, placed(Uint8Array.of(...IP, ...ECHO)))
  assert.equal(icmpv6Checksum(bytes, AT + 40), (ECHO[2] << 8) | ECHO[3])
})

test('parse', () => {
  assert.deepEqual(parseIcmpv6(placed(Uint8Array.of(...IP, ...ECHO)), AT + 40, AT + 52, AT), ECHO_REPR)
  assert.deepEqual(parseIcmpv6(placed(Uint8Array.of(...IP, ...TOO_BIG)), AT + 40, AT + 52, AT), TOO_BIG_REPR)
  const otherAddress = placed(Uint8Array.of(...IP, ...ECHO))
  otherAddress[AT + 39] ^= 1
  assert.equal(parseIcmpv6(otherAddress, AT + 40, AT + 52, AT), null, 'the pseudo-header counts')
})

test('emit', () => {
  for (const [repr, message] of [
    [ECHO_REPR, ECHO],
    [TOO_BIG_REPR, TOO_BIG]
  ] as const) {
    assert.deepEqual(
      emitPoisoned((bytes, at) => emitIcmpv6(repr, bytes, at, at - 40), IP),
      message
    )
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined(
    (bytes, at, end) => {
      if (!checkIcmpv6(bytes, at + 40, end)) return null
      return [parseIcmpv6(bytes, at + 40, end, at), icmpv6Sequence(bytes, at + 40), icmpv6Word(bytes, at + 40)]
    },
    Uint8Array.of(...IP, ...ECHO)
  )
  assert.ok(accepted > 300)
})
