import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkVxlan, emitVxlan, parseVxlan, setVxlan, vxlanHasVni, vxlanVni } from '../../src/wire/vxlan.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const HEADER = hex('08000000 fedcba00')

test('deconstruct: reserved bits are ignored', () => {
  for (const text of ['08000000 fedcba00', 'ffffffff fedcbaff']) {
    const bytes = placed(hex(text))
    assert.ok(checkVxlan(bytes, AT, AT + 8))
    assert.ok(vxlanHasVni(bytes, AT))
    assert.equal(vxlanVni(bytes, AT), 0xfedcba)
  }
  assert.equal(vxlanHasVni(placed(hex('f7ffffff fedcbaff')), AT), false)
})

test('construct', () => {
  const emitted = emitPoisoned((bytes, at) => {
    setVxlan(bytes, at, 0xfedcba)
    return 8
  })
  assert.deepEqual(emitted, HEADER)
})

test('parse', () => {
  assert.deepEqual(parseVxlan(placed(HEADER), AT, AT + 8), { vni: 0xfedcba })
  assert.equal(parseVxlan(placed(hex('00000000 fedcba00')), AT, AT + 8), null)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitVxlan({ vni: 0xfedcba }, bytes, at)),
    HEADER
  )
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined(
    (bytes, at, end) => (checkVxlan(bytes, at, end) ? [vxlanHasVni(bytes, at), vxlanVni(bytes, at), parseVxlan(bytes, at, end)] : null),
    HEADER
  )
  assert.ok(accepted > 1000)
})
