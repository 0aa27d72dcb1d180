import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkIcmp,
  emitIcmp,
  fillIcmpChecksum,
  type IcmpRepr,
  IcmpType,
  IcmpUnreachable,
  icmpChecksum,
  icmpCode,
  icmpId,
  icmpIsError,
  icmpIsQuery,
  icmpMtu,
  icmpSequence,
  icmpType,
  parseIcmp,
  verifyIcmpChecksum
} from '../../src/wire/icmp.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

// Checksums: ~(0800 + 1234 + 0001 + 6e65 + 7400) and ~(0304 + 0578 + 4500 + 0014), carries brought round.
const ECHO = hex('0800 0365 1234 0001 6e65 7400')
const TOO_BIG = hex('0304 b26f 0000 0578 4500 0014')
const ECHO_REPR: IcmpRepr = { kind: 'echo-request', id: 0x1234, sequence: 1, data: hex('6e657400') }
const TOO_BIG_REPR: IcmpRepr = { kind: 'unreachable', code: IcmpUnreachable.fragmentationNeeded, word: 1400, quoted: hex('45000014') }

test('deconstruct', () => {
  const echo = placed(ECHO)
  assert.ok(checkIcmp(echo, AT, AT + 12))
  assert.deepEqual([icmpType(echo, AT), icmpCode(echo, AT), icmpId(echo, AT), icmpSequence(echo, AT)], [IcmpType.echoRequest, 0, 0x1234, 1])
  assert.ok(verifyIcmpChecksum(echo, AT, AT + 12))
  const error = placed(TOO_BIG)
  assert.deepEqual([icmpType(error, AT), icmpCode(error, AT), icmpMtu(error, AT)], [3, 4, 1400])
  assert.equal(icmpChecksum(error, AT), 0xb26f)
})

test('construct: the checksum is filled over whatever the field held', () => {
  const bytes = placed(ECHO)
  bytes.fill(0xa5, AT + 2, AT + 4)
  fillIcmpChecksum(bytes, AT, AT + 12)
  assert.deepEqual(bytes, placed(ECHO))
})

test('parse', () => {
  assert.deepEqual(parseIcmp(placed(ECHO), AT, AT + 12), ECHO_REPR)
  assert.deepEqual(parseIcmp(placed(TOO_BIG), AT, AT + 12), TOO_BIG_REPR)
  const wrong = placed(ECHO)
  wrong[AT + 9] ^= 1
  assert.equal(parseIcmp(wrong, AT, AT + 12), null)
})

test('emit', () => {
  for (const [repr, packet] of [
    [ECHO_REPR, ECHO],
    [TOO_BIG_REPR, TOO_BIG]
  ] as const) {
    assert.deepEqual(
      emitPoisoned((bytes, at) => emitIcmp(repr, bytes, at)),
      packet
    )
  }
})

test('every repr survives emit and parse', () => {
  const reprs: IcmpRepr[] = [
    { kind: 'echo-reply', id: 65535, sequence: 65535, data: new Uint8Array(0) },
    { kind: 'redirect', code: 1, word: 0xc0000201 | 0, quoted: hex('4500') },
    { kind: 'time-exceeded', code: 0, word: 0, quoted: hex('4500 00') },
    { kind: 'parameter-problem', code: 0, word: 20 << 24, quoted: hex('4500') }
  ]
  for (const repr of reprs) {
    const packet = emitPoisoned((bytes, at) => emitIcmp(repr, bytes, at))
    assert.deepEqual(parseIcmp(packet, 0, packet.length), repr)
  }
})

test('queries carry an identifier, errors quote a packet, by type', () => {
  const types = Array.from({ length: 256 }, (_, type) => type)
  assert.deepEqual(
    types.filter((type) => icmpIsQuery(Uint8Array.of(type), 0)),
    [0, 8, 13, 14]
  )
  assert.deepEqual(
    types.filter((type) => icmpIsError(Uint8Array.of(type), 0)),
    [3, 4, 5, 11, 12]
  )
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined((bytes, at, end) => {
    if (!checkIcmp(bytes, at, end)) return null
    return [
      parseIcmp(bytes, at, end),
      icmpId(bytes, at),
      icmpMtu(bytes, at),
      icmpIsError(bytes, at),
      icmpIsQuery(bytes, at),
      icmpCode(bytes, at)
    ]
  }, ECHO)
  assert.ok(accepted > 1000)
})
