import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EtherType } from '../../src/wire/ethernet.ts'
import {
  checkVlan,
  emitVlan,
  parseVlan,
  popVlan,
  pushVlan,
  setVlanId,
  skipVlans,
  vlanDropEligible,
  vlanId,
  vlanPriority,
  vlanTci,
  vlanTpid,
  vlanType
} from '../../src/wire/vlan.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const TAG = hex('8100 b01e 0806')
const REPR = { tpid: EtherType.vlan, priority: 5, dropEligible: true, id: 30, type: EtherType.arp }
const MACS = '02cc 0000 0001 02cc 0000 0002'

test('deconstruct', () => {
  const bytes = placed(TAG)
  assert.ok(checkVlan(bytes, AT, AT + 6))
  assert.equal(vlanTpid(bytes, AT), 0x8100)
  assert.equal(vlanTci(bytes, AT), 0xb01e)
  assert.equal(vlanPriority(bytes, AT), 5)
  assert.equal(vlanDropEligible(bytes, AT), true)
  assert.equal(vlanId(bytes, AT), 30)
  assert.equal(vlanType(bytes, AT), EtherType.arp)
})

test('construct: the id changes, priority and D stay', () => {
  const bytes = placed(TAG)
  setVlanId(bytes, AT, 0xfff)
  assert.deepEqual(bytes, placed(hex('8100 bfff 0806')))
})

test('parse', () => {
  assert.deepEqual(parseVlan(placed(TAG), AT, AT + 6), REPR)
  assert.equal(parseVlan(placed(hex('88a8 0001 8100')), AT, AT + 6)?.tpid, EtherType.serviceVlan)
  assert.equal(parseVlan(placed(hex('0800 b01e 0806')), AT, AT + 6), null)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitVlan(REPR, bytes, at)),
    TAG
  )
})

test('push moves the MACs into the headroom, pop takes the tag out again, the payload stays', () => {
  const untagged = hex(`${MACS} 0806 0102 0304`)
  const bytes = placed(untagged)
  const start = pushVlan(bytes, AT, EtherType.vlan, 0xb01e)
  assert.equal(start, AT - 4)
  assert.deepEqual(bytes.slice(start, AT + 18), hex(`${MACS} 8100 b01e 0806 0102 0304`))
  assert.deepEqual(bytes.slice(0, start), new Uint8Array(start).fill(0xa5))
  const back = popVlan(bytes, start)
  assert.equal(back, AT)
  assert.deepEqual(bytes.slice(AT, AT + 18), untagged)
})

test('what follows the tags', () => {
  const skip = (frame: string): number => {
    const bytes = hex(frame)
    const at = skipVlans(placed(bytes), AT, AT + bytes.length)
    return at < 0 ? at : at - AT
  }
  assert.equal(skip(`${MACS} 0806 0102`), 14)
  assert.equal(skip(`${MACS} 8100 b01e 0806`), 18)
  assert.equal(skip(`${MACS} 88a8 0001 8100 b01e 0806 01`), 22)
  // A tag that is cut off is a type like any other.
  assert.equal(skip(`${MACS} 8100 b01e 08`), 14)
  assert.equal(skip(`${MACS} 81`), -1)
  assert.ok(assertConfined(skipVlans, hex(`${MACS} 88a8 0001 8100 b01e 0806`)) > 300)
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined(
    (bytes, at, end) => (checkVlan(bytes, at, end) ? [parseVlan(bytes, at, end), vlanTci(bytes, at)] : null),
    TAG
  )
  assert.ok(accepted > 300)
})
