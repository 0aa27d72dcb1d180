import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkEthernet,
  ETHERNET_DESTINATION,
  ETHERNET_SOURCE,
  EtherType,
  emitEthernet,
  etherType,
  isBroadcast,
  isGroup,
  isReserved,
  macHi,
  macLo,
  parseEthernet,
  setEtherType,
  setMac
} from '../../src/wire/ethernet.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const HEADER = hex('02cc 0000 0001 02cc 8000 0002 0800')
const REPR = { destination: '02:cc:00:00:00:01', source: '02:cc:80:00:00:02', type: EtherType.ipv4 }

test('deconstruct', () => {
  const bytes = placed(HEADER)
  assert.ok(checkEthernet(bytes, AT, AT + 14))
  assert.equal(macHi(bytes, AT + ETHERNET_DESTINATION), 0x02cc)
  assert.equal(macLo(bytes, AT + ETHERNET_DESTINATION), 1)
  assert.equal(macHi(bytes, AT + ETHERNET_SOURCE), 0x02cc)
  assert.equal(macLo(bytes, AT + ETHERNET_SOURCE), 0x80000002 | 0)
  assert.equal(etherType(bytes, AT), 0x0800)
})

test('construct', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => {
      setMac(bytes, at + ETHERNET_DESTINATION, 0x02cc, 1)
      setMac(bytes, at + ETHERNET_SOURCE, 0x02cc, 0x80000002)
      setEtherType(bytes, at, EtherType.ipv4)
      return 14
    }),
    HEADER
  )
})

test('parse', () => assert.deepEqual(parseEthernet(placed(HEADER), AT, AT + 14), REPR))

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitEthernet(REPR, bytes, at)),
    HEADER
  )
  assert.throws(() => emitEthernet({ ...REPR, source: 'web' }, new Uint8Array(14), 0), { name: 'AddressError', value: 'web' })
})

test('kinds of destination', () => {
  for (const [mac, group, broadcast, reserved] of [
    ['ffffffffffff', true, true, false],
    ['fffffffffffe', true, false, false],
    ['feffffffffff', false, false, false],
    ['01005e0000fb', true, false, false],
    ['33330000 0001', true, false, false],
    ['0180c2000000', true, false, true],
    ['0180c200000f', true, false, true],
    ['0180c2000010', true, false, false],
    ['0180c3000000', true, false, false],
    ['0080c2000000', false, false, false],
    ['02cc00000001', false, false, false]
  ] as [string, boolean, boolean, boolean][]) {
    const bytes = placed(hex(mac))
    assert.deepEqual([isGroup(bytes, AT), isBroadcast(bytes, AT), isReserved(bytes, AT)], [group, broadcast, reserved], mac)
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined(
    (bytes, at, end) =>
      checkEthernet(bytes, at, end)
        ? [
            parseEthernet(bytes, at, end),
            macHi(bytes, at),
            macLo(bytes, at + ETHERNET_SOURCE),
            isGroup(bytes, at),
            isBroadcast(bytes, at),
            isReserved(bytes, at + ETHERNET_SOURCE)
          ]
        : null,
    HEADER
  )
  assert.ok(accepted > 1000)
})
