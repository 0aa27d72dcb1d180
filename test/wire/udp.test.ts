import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emitIpv4, IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../src/wire/ipv6.ts'
import {
  checkUdp,
  emitUdp,
  fillUdpChecksum,
  parseUdp,
  setUdpChecksum,
  setUdpDestinationPort,
  setUdpLength,
  setUdpSourcePort,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  verifyUdpChecksum
} from '../../src/wire/udp.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const IP = new Uint8Array(20)
emitIpv4({ source: '192.0.2.1', destination: '198.51.100.2', protocol: IpProtocol.udp, payloadLength: 13 }, IP, 0)
const IPV6 = new Uint8Array(40)
emitIpv6({ source: '2001:db8::1', destination: '2001:db8::2', nextHeader: IpProtocol.udp, payloadLength: 13 }, IPV6, 0)
// 9c42 + 0035 + 000d + 000d + 0011 + c000 + 0201 + c633 + 6402 + 6e65 + 746c + 6f00, complemented.
const DATAGRAM = hex('9c42 0035 000d 2553 6e65 746c 6f')
const REPR = { sourcePort: 40002, destinationPort: 53, payload: hex('6e65746c6f') }
const BOTH = Uint8Array.of(...IP, ...DATAGRAM)

test('deconstruct', () => {
  const bytes = placed(DATAGRAM)
  assert.ok(checkUdp(bytes, AT, AT + 13))
  assert.ok(checkUdp(bytes, AT, AT + 20), 'more bytes than the length field says')
  assert.deepEqual([udpSourcePort(bytes, AT), udpDestinationPort(bytes, AT), udpLength(bytes, AT)], [40002, 53, 13])
  assert.equal(udpChecksum(bytes, AT), 0x2553)
})

test('construct', () => {
  const emitted = emitPoisoned((bytes, at) => {
    setUdpSourcePort(bytes, at, 40002)
    setUdpDestinationPort(bytes, at, 53)
    setUdpLength(bytes, at, 13)
    bytes.set(REPR.payload, at + 8)
    fillUdpChecksum(bytes, at, at - 20)
    return 13
  }, IP)
  assert.deepEqual(emitted, DATAGRAM)
})

test('parse', () => {
  assert.deepEqual(parseUdp(placed(BOTH), AT + 20, AT + 33, AT), REPR)
  const wrong = placed(BOTH)
  wrong[AT + 30] ^= 0x10
  assert.equal(parseUdp(wrong, AT + 20, AT + 33, AT), null)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitUdp(REPR, bytes, at, at - 20), IP),
    DATAGRAM
  )
  assert.throws(() => emitUdp({ ...REPR, payload: new Uint8Array(65528) }, new Uint8Array(8), 0, -1), RangeError)
})

test('a checksum of 0 is "none" over IPv4 and an error over IPv6', () => {
  const none = emitPoisoned((bytes, at) => emitUdp(REPR, bytes, at, -1))
  assert.equal(udpChecksum(none, 0), 0)
  const over4 = placed(Uint8Array.of(...IP, ...none))
  assert.equal(verifyUdpChecksum(over4, AT + 20, AT), true)
  const over6 = placed(Uint8Array.of(...IPV6, ...none))
  assert.equal(verifyUdpChecksum(over6, AT + 40, AT), false)
})

test('a checksum that comes out as 0 is sent as 0xffff, over both', () => {
  for (const ip of [IP, IPV6]) {
    const datagram = emitPoisoned((bytes, at) => emitUdp(REPR, bytes, at, at - ip.length), ip)
    const packet = Uint8Array.of(...ip, ...datagram)
    // The checksum as the source port's neighbor: adding it to the sum of everything else makes 0xffff.
    const missing = udpChecksum(packet, ip.length)
    const port = udpSourcePort(packet, ip.length) + missing
    setUdpSourcePort(packet, ip.length, port > 0xffff ? port - 0xffff : port)
    setUdpChecksum(packet, ip.length, 0x5a5a)
    fillUdpChecksum(packet, ip.length, 0)
    assert.equal(udpChecksum(packet, ip.length), 0xffff)
    assert.ok(verifyUdpChecksum(packet, ip.length, 0))
  }
})

test('check: the length field', () => {
  for (const [length, ok] of [
    [0, false],
    [7, false],
    [8, true],
    [13, true],
    [14, false],
    [65535, false]
  ] as const) {
    const bytes = placed(DATAGRAM)
    setUdpLength(bytes, AT, length)
    assert.equal(checkUdp(bytes, AT, AT + 13), ok, String(length))
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined((bytes, at, end) => {
    if (at + 20 > end || bytes[at] >> 4 !== 4 || !checkUdp(bytes, at + 20, end)) return null
    const datagram = bytes.slice(at + 20, at + 20 + udpLength(bytes, at + 20))
    return [parseUdp(bytes, at + 20, end, at), verifyUdpChecksum(bytes, at + 20, at), udpDestinationPort(bytes, at + 20), datagram]
  }, BOTH)
  assert.ok(accepted > 300)
})
