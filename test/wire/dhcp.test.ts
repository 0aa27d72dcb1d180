import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DhcpMessage, DhcpOption, type DhcpRepr, emitDhcp, parseDhcp } from '../../src/wire/dhcp.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const HEADER = '02 01 06 00 39f0a1b2 0003 8000 00000000 c0000264 c0000201 00000000 02cc00000009 00000000000000000000'
const FIXED = hex(`${HEADER}${'00'.repeat(192)}63825363`)
const OPTIONS = hex('35 01 05 36 04 c0000201 33 04 00000e10 01 04 ffffff00 03 08 c0000201 c0000202 ff')
/** Padded to the 300 bytes of BOOTP. */
const PACKET = new Uint8Array(300)
PACKET.set(FIXED)
PACKET.set(OPTIONS, FIXED.length)

const REPR: DhcpRepr = {
  operation: 2,
  transaction: 0x39f0a1b2,
  seconds: 3,
  broadcast: true,
  client: '0.0.0.0',
  yours: '192.0.2.100',
  nextServer: '192.0.2.1',
  relay: '0.0.0.0',
  mac: '02:cc:00:00:00:09',
  options: new Map([
    [DhcpOption.messageType, Uint8Array.of(DhcpMessage.ack)],
    [DhcpOption.serverIdentifier, hex('c0000201')],
    [DhcpOption.leaseTime, hex('00000e10')],
    [DhcpOption.subnetMask, hex('ffffff00')],
    [DhcpOption.routers, hex('c0000201 c0000202')]
  ])
}

/** PACKET with these options in place of its own, and changes at some offsets. */
function packet(options: Uint8Array, changes: Readonly<Record<number, Uint8Array>> = {}): Uint8Array {
  const bytes = Uint8Array.of(...FIXED, ...options)
  for (const [at, data] of Object.entries(changes)) bytes.set(data, Number(at))
  return bytes
}
const parse = (bytes: Uint8Array): DhcpRepr | null => parseDhcp(placed(bytes), AT, AT + bytes.length)

test('parse', () => {
  assert.equal(FIXED.length, 240)
  assert.deepEqual(parse(PACKET), REPR)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitDhcp(REPR, bytes, at)),
    PACKET
  )
  const long = { ...REPR, options: new Map([[DhcpOption.hostName, new Uint8Array(200).fill(0x61)]]) }
  const emitted = emitPoisoned((bytes, at) => emitDhcp(long, bytes, at))
  assert.equal(emitted.length, 240 + 202 + 1)
  assert.deepEqual(parse(emitted), long)
  assert.throws(
    () => emitDhcp({ ...REPR, options: new Map([[12, new Uint8Array(256)]]) }, new Uint8Array(1000), 0),
    /option 12 of 256 bytes/
  )
})

test('options: padding between them, pieces of one kind, none behind the end', () => {
  const given = parse(packet(hex('00 00 35 01 02 00 0c 02 6162 0c 01 63 ff 33 04 00000e10')))!.options
  assert.deepEqual(
    given,
    new Map([
      [DhcpOption.messageType, Uint8Array.of(2)],
      [DhcpOption.hostName, hex('616263')]
    ])
  )
  assert.deepEqual(parse(packet(hex('35 01 02')))!.options.size, 1, 'an end that is missing is no fault')
})

test('options in the fields of boot file and server name count when option 52 says so', () => {
  const fields = { 44: hex('36 04 c0000201 ff'), 108: hex('33 04 00000e10 ff') }
  const kinds = (overload: string): number[] => [...parse(packet(hex(`34 01 ${overload} ff`), fields))!.options.keys()]
  assert.deepEqual(kinds('00'), [52])
  assert.deepEqual(kinds('01'), [52, 51])
  assert.deepEqual(kinds('02'), [52, 54])
  assert.deepEqual(kinds('03'), [52, 51, 54])
})

test('what is none', () => {
  assert.equal(parse(packet(hex('35 02 05'))), null, 'an option runs over the end')
  assert.equal(parse(packet(hex('35'))), null, 'an option without a length')
  assert.equal(parse(packet(OPTIONS, { 236: hex('00') })), null, 'plain BOOTP')
  assert.equal(parse(packet(OPTIONS, { 1: hex('06') })), null, 'another link layer')
  assert.equal(parse(FIXED.subarray(0, 239)), null)
})

test('nothing outside is read', () => {
  assert.ok(assertConfined(parseDhcp, PACKET) > 100)
  assert.ok(assertConfined(parseDhcp, packet(hex('34 01 03 ff'), { 44: hex('36 04 c0000201'), 108: hex('33 04 00000e10') })) > 100)
})
