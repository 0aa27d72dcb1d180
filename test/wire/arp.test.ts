import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ARP_SENDER_MAC,
  ARP_TARGET_MAC,
  ArpOperation,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  checkArp,
  emitArp,
  parseArp,
  setArpOperation,
  setArpSender,
  setArpTarget
} from '../../src/wire/arp.ts'
import { macHi, macLo } from '../../src/wire/ethernet.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const PACKET = hex('0001 0800 06 04 0002 02cc00000001 c0000201 02cc00000002 c0000202')
const REPR = {
  operation: ArpOperation.reply,
  senderMac: '02:cc:00:00:00:01',
  senderIp: '192.0.2.1',
  targetMac: '02:cc:00:00:00:02',
  targetIp: '192.0.2.2'
}

test('deconstruct', () => {
  const bytes = placed(PACKET)
  assert.ok(checkArp(bytes, AT, AT + 28))
  assert.ok(checkArp(bytes, AT, AT + 46), 'with padding')
  assert.equal(arpOperation(bytes, AT), ArpOperation.reply)
  assert.equal(arpSenderIp(bytes, AT), 0xc0000201 | 0)
  assert.equal(arpTargetIp(bytes, AT), 0xc0000202 | 0)
  assert.deepEqual([macHi(bytes, AT + ARP_SENDER_MAC), macLo(bytes, AT + ARP_SENDER_MAC)], [0x02cc, 1])
  assert.deepEqual([macHi(bytes, AT + ARP_TARGET_MAC), macLo(bytes, AT + ARP_TARGET_MAC)], [0x02cc, 2])
})

test('construct', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => {
      setArpOperation(bytes, at, ArpOperation.reply)
      setArpSender(bytes, at, 0x02cc, 1, 0xc0000201)
      setArpTarget(bytes, at, 0x02cc, 2, 0xc0000202 | 0)
      return 28
    }),
    PACKET
  )
})

test('parse', () => assert.deepEqual(parseArp(placed(PACKET), AT, AT + 28), REPR))

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitArp(REPR, bytes, at)),
    PACKET
  )
})

test('another hardware, protocol or length is refused', () => {
  for (const [offset, value] of [
    [1, 6],
    [2, 0x86],
    [3, 1],
    [4, 8],
    [5, 16]
  ]) {
    const bytes = placed(PACKET)
    bytes[AT + offset] = value
    assert.equal(checkArp(bytes, AT, AT + 28), false, `byte ${offset}`)
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined((bytes, at, end) => (checkArp(bytes, at, end) ? parseArp(bytes, at, end) : null), PACKET)
  assert.ok(accepted > 300)
})
