import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpv6 } from '../../src/wire/address.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import {
  checkIpv6,
  checkIpv6Quoted,
  emitIpv6,
  IPV6_DESTINATION,
  IPV6_SOURCE,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6End,
  ipv6Equal,
  ipv6FlowLabel,
  ipv6FragmentId,
  ipv6FragmentOffset,
  ipv6HopLimit,
  ipv6MoreFragments,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6TrafficClass,
  ipv6Word,
  parseIpv6Header,
  setIpv6Address,
  setIpv6HopLimit,
  setIpv6PayloadLength,
  walkIpv6Extensions
} from '../../src/wire/ipv6.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'

const SOURCE = '20010db8 00000000 00000000 00000001'
const DESTINATION = '20010db8 80000000 00000000 00000002'
const PACKET = hex(`6abc1234 0004 11 ff ${SOURCE} ${DESTINATION} dead beef`)
const END = AT + PACKET.length
const REPR = {
  source: '2001:db8::1',
  destination: '2001:db8:8000::2',
  nextHeader: IpProtocol.udp,
  payloadLength: 4,
  hopLimit: 255,
  trafficClass: 0xab,
  flowLabel: 0xc1234
}

test('deconstruct', () => {
  const bytes = placed(PACKET)
  assert.ok(checkIpv6(bytes, AT, END))
  assert.equal(ipv6TrafficClass(bytes, AT), 0xab)
  assert.equal(ipv6FlowLabel(bytes, AT), 0xc1234)
  assert.equal(ipv6PayloadLength(bytes, AT), 4)
  assert.equal(ipv6End(bytes, AT), END)
  assert.equal(ipv6NextHeader(bytes, AT), 17)
  assert.equal(ipv6HopLimit(bytes, AT), 255)
  assert.deepEqual(
    [0, 1, 2, 3].map((word) => ipv6Word(bytes, AT + IPV6_DESTINATION, word)),
    [0x20010db8, 0x80000000 | 0, 0, 2]
  )
})

test('construct', () => {
  const bytes = placed(PACKET)
  setIpv6PayloadLength(bytes, AT, 0x0102)
  setIpv6HopLimit(bytes, AT, 63)
  setIpv6Address(bytes, AT + IPV6_SOURCE, bytes, AT + IPV6_DESTINATION)
  assert.deepEqual(bytes, placed(hex(`6abc1234 0102 11 3f ${DESTINATION} ${DESTINATION} dead beef`)))
})

test('parse', () => assert.deepEqual(parseIpv6Header(placed(PACKET), AT, END), REPR))

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitIpv6(REPR, bytes, at)),
    PACKET.slice(0, 40)
  )
  const { hopLimit: _, trafficClass: __, flowLabel: ___, ...minimal } = REPR
  assert.deepEqual(emitPoisoned((bytes, at) => emitIpv6(minimal, bytes, at)).slice(0, 8), hex('60000000 0004 11 40'))
  assert.throws(() => emitIpv6({ ...REPR, payloadLength: 65536 }, new Uint8Array(40), 0), RangeError)
})

test('check: version and payload length', () => {
  const bytes = placed(PACKET)
  assert.equal(checkIpv6(bytes, AT, END - 1), false)
  assert.equal(checkIpv6Quoted(bytes, AT, END - 1), true)
  assert.equal(checkIpv6Quoted(bytes, AT, AT + 39), false)
  assert.equal(checkIpv6(bytes, AT, END + 9), true, 'padding after the packet')
  bytes[AT] = 0x45
  assert.equal(checkIpv6(bytes, AT, END), false)
})

test('addresses are compared in place: each byte counts', () => {
  const a = placed(parseIpv6('2001:db8::1'))
  for (let i = 0; i < 16; i++) {
    const b = placed(parseIpv6('2001:db8::1'))
    assert.ok(ipv6Equal(a, AT, b, AT))
    b[AT + i] ^= 1
    assert.ok(!ipv6Equal(a, AT, b, AT), `byte ${i}`)
  }
})

const walk = new Int32Array(IPV6_WALK_LENGTH)

/** An IPv6 packet with this first next header and payload, placed at AT; [walked, protocol, offset from the header, fragment or -1]. */
function walked(nextHeader: number, payload: string): [boolean, number, number, number] | false {
  const body = hex(payload)
  const bytes = placed(Uint8Array.of(...hex(`60000000 0000 00 40 ${SOURCE} ${DESTINATION}`), ...body))
  bytes[AT + 6] = nextHeader
  if (!walkIpv6Extensions(bytes, AT, AT + 40 + body.length, walk)) return false
  const fragment = walk[IPV6_WALK_FRAGMENT]
  return [true, walk[IPV6_WALK_PROTOCOL], walk[IPV6_WALK_OFFSET] - AT, fragment < 0 ? -1 : fragment - AT]
}

test('walk: no extension, one of each, all of them', () => {
  assert.deepEqual(walked(17, 'ffff'), [true, 17, 40, -1])
  assert.deepEqual(walked(IpProtocol.hopByHop, '3a00 050200000100 8f'), [true, 58, 48, -1])
  assert.deepEqual(walked(IpProtocol.routing, `0602 ${'00'.repeat(22)} 11`), [true, 6, 64, -1])
  assert.deepEqual(walked(IpProtocol.destinationOptions, '0600 010400000000'), [true, 6, 48, -1])
  assert.deepEqual(walked(IpProtocol.ah, `0604 ${'00'.repeat(22)}`), [true, 6, 64, -1], 'AH counts in units of 4')
  assert.deepEqual(
    walked(
      IpProtocol.hopByHop,
      `3c00 ${'00'.repeat(6)} 2b00 ${'00'.repeat(6)} 2c00 ${'00'.repeat(6)} 3300 0001 00000007 1101 ${'00'.repeat(10)}`
    ),
    [true, 17, 40 + 8 + 8 + 8 + 8 + 12, 64]
  )
})

test('walk: ESP, none and unknown protocols end it', () => {
  for (const protocol of [IpProtocol.esp, IpProtocol.none, 253]) assert.deepEqual(walked(protocol, ''), [true, protocol, 40, -1])
})

test('walk: a later fragment ends it, the first one goes on', () => {
  assert.deepEqual(walked(IpProtocol.fragment, '3c00 0001 00000007 1100 000000000000'), [true, 17, 56, 40])
  assert.deepEqual(walked(IpProtocol.fragment, '3c00 0009 00000007 1100 000000000000'), [true, 60, 48, 40])
})

test('walk: fragment fields', () => {
  const header = hex('1100 05a9 00000007')
  assert.deepEqual([ipv6FragmentOffset(header, 0), ipv6MoreFragments(header, 0), ipv6FragmentId(header, 0)], [1448, true, 7])
})

test('walk: what is refused', () => {
  const empty = (next: string): string => `${next}00 000000000000`
  assert.equal(walked(IpProtocol.destinationOptions, '0600 0000000000'), false, 'seven bytes')
  assert.equal(walked(IpProtocol.routing, '0601 000000000000'), false, 'longer than the packet')
  assert.equal(walked(IpProtocol.ah, '0605 000000000000'), false, 'AH longer than the packet')
  assert.equal(walked(IpProtocol.destinationOptions, empty('00') + empty('06')), false, 'hop-by-hop not first')
  assert.equal(walked(IpProtocol.fragment, empty('2c') + empty('06')), false, 'two fragment headers')
  assert.deepEqual(walked(IpProtocol.destinationOptions, empty('3c').repeat(7) + empty('06')), [true, 6, 40 + 64, -1], 'eight headers')
  assert.equal(walked(IpProtocol.destinationOptions, empty('3c').repeat(8) + empty('06')), false, 'nine headers')
})

test('nothing outside is read at any length, with every extension header', () => {
  const extended = hex(`
    60000000 002c 00 40 ${SOURCE} ${DESTINATION}
    3c00 000000000000 2b00 000000000000 2c00 000000000000 3300 0001 00000007 1101 00000000000000000000`)
  const accepted = assertConfined((bytes, at, end) => {
    if (!checkIpv6Quoted(bytes, at, end)) return null
    const header = [
      checkIpv6(bytes, at, end),
      ipv6End(bytes, at),
      parseIpv6Header(bytes, at, end),
      ipv6Word(bytes, at + IPV6_DESTINATION, 3)
    ]
    if (!walkIpv6Extensions(bytes, at, end, walk)) return header
    assert.ok(walk[IPV6_WALK_OFFSET] <= end)
    const fragment = walk[IPV6_WALK_FRAGMENT]
    return [header, [...walk], fragment < 0 ? null : [ipv6FragmentOffset(bytes, fragment), ipv6FragmentId(bytes, fragment)]]
  }, extended)
  assert.ok(accepted > 300)
})
