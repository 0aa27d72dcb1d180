import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get16 } from '../../src/wire/big-endian.ts'
import {
  checkIpv4,
  checkIpv4Quoted,
  decrementIpv4Ttl,
  emitIpv4,
  fillIpv4Checksum,
  IPV4_CHECKSUM,
  IPV4_DONT_FRAGMENT,
  IPV4_MORE_FRAGMENTS,
  IpProtocol,
  Ipv4Option,
  ipv4Checksum,
  ipv4Destination,
  ipv4DontFragment,
  ipv4End,
  ipv4FindOption,
  ipv4FragmentOffset,
  ipv4HasTransportHeader,
  ipv4HeaderLength,
  ipv4Id,
  ipv4IsFragment,
  ipv4MoreFragments,
  ipv4Payload,
  ipv4Protocol,
  ipv4Source,
  ipv4Tos,
  ipv4TotalLength,
  ipv4Ttl,
  parseIpv4Header,
  setIpv4Destination,
  setIpv4Fragment,
  setIpv4Id,
  setIpv4Source,
  setIpv4TotalLength,
  verifyIpv4Checksum
} from '../../src/wire/ipv4.ts'
import { assertConfined } from './confined.ts'
import { hex } from './hex.ts'
import { AT, emitPoisoned, placed } from './poisoned.ts'
import { seededRandom } from './seeded-random.ts'

// Router alert, then two NOPs and padding.
const OPTIONS = hex('9404 0000 0101 0000')
const PACKET = hex('4710 0020 0102 60a0 1a11 0000 c000 0201 c633 6402 9404 0000 0101 0000 dead beef')
fillByDefinition(PACKET)
const END = AT + PACKET.length
const REPR = {
  source: '192.0.2.1',
  destination: '198.51.100.2',
  protocol: IpProtocol.udp,
  payloadLength: 4,
  ttl: 26,
  tos: 0x10,
  id: 0x0102,
  dontFragment: true,
  moreFragments: true,
  fragmentOffset: 1280,
  options: OPTIONS
}

function fillByDefinition(packet: Uint8Array): void {
  let sum = 0
  for (let i = 0; i < 28; i += 2) sum += packet[i] * 256 + packet[i + 1]
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536)
  packet[10] = (0xffff - sum) >> 8
  packet[11] = (0xffff - sum) & 255
}

test('deconstruct', () => {
  const bytes = placed(PACKET)
  assert.ok(checkIpv4(bytes, AT, END))
  assert.ok(verifyIpv4Checksum(bytes, AT))
  assert.equal(ipv4HeaderLength(bytes, AT), 28)
  assert.equal(ipv4Payload(bytes, AT), AT + 28)
  assert.equal(ipv4Tos(bytes, AT), 0x10)
  assert.equal(ipv4TotalLength(bytes, AT), 32)
  assert.equal(ipv4End(bytes, AT), END)
  assert.equal(ipv4Id(bytes, AT), 0x0102)
  assert.equal(ipv4DontFragment(bytes, AT), true)
  assert.equal(ipv4MoreFragments(bytes, AT), true)
  assert.equal(ipv4FragmentOffset(bytes, AT), 1280)
  assert.equal(ipv4IsFragment(bytes, AT), true)
  assert.equal(ipv4HasTransportHeader(bytes, AT), false)
  assert.equal(ipv4Ttl(bytes, AT), 26)
  assert.equal(ipv4Protocol(bytes, AT), 17)
  assert.equal(ipv4Source(bytes, AT), 0xc0000201 | 0)
  assert.equal(ipv4Destination(bytes, AT), 0xc6336402 | 0)
})

test('construct: each setter changes its field and keeps the checksum right', () => {
  const bytes = placed(PACKET)
  setIpv4Source(bytes, AT, 0xcb007105)
  assert.equal(ipv4Source(bytes, AT), 0xcb007105 | 0)
  assert.ok(verifyIpv4Checksum(bytes, AT))
  setIpv4Destination(bytes, AT, 0x0a2c0002)
  assert.equal(ipv4Destination(bytes, AT), 0x0a2c0002)
  assert.ok(verifyIpv4Checksum(bytes, AT))
  setIpv4Id(bytes, AT, 0xfffe)
  assert.equal(ipv4Id(bytes, AT), 0xfffe)
  assert.ok(verifyIpv4Checksum(bytes, AT))
  setIpv4TotalLength(bytes, AT, 29)
  assert.equal(ipv4TotalLength(bytes, AT), 29)
  assert.ok(verifyIpv4Checksum(bytes, AT))
  setIpv4Fragment(bytes, AT, IPV4_MORE_FRAGMENTS, 65528)
  assert.deepEqual([ipv4DontFragment(bytes, AT), ipv4MoreFragments(bytes, AT), ipv4FragmentOffset(bytes, AT)], [false, true, 65528])
  setIpv4Fragment(bytes, AT, IPV4_DONT_FRAGMENT, 0)
  assert.deepEqual([ipv4DontFragment(bytes, AT), ipv4IsFragment(bytes, AT), ipv4HasTransportHeader(bytes, AT)], [true, false, true])
  assert.ok(verifyIpv4Checksum(bytes, AT))
  assert.equal(decrementIpv4Ttl(bytes, AT), 25)
  assert.equal(ipv4Protocol(bytes, AT), 17)
  assert.ok(verifyIpv4Checksum(bytes, AT))
})

test('parse', () => {
  assert.deepEqual(parseIpv4Header(placed(PACKET), AT, END), REPR)
  const wrong = placed(PACKET)
  wrong[AT + IPV4_CHECKSUM] ^= 1
  assert.equal(parseIpv4Header(wrong, AT, END), null)
})

test('emit', () => {
  assert.deepEqual(
    emitPoisoned((bytes, at) => emitIpv4(REPR, bytes, at)),
    PACKET.slice(0, 28)
  )
  const minimal = { source: '192.0.2.1', destination: '198.51.100.2', protocol: IpProtocol.tcp, payloadLength: 0 }
  const header = emitPoisoned((bytes, at) => emitIpv4(minimal, bytes, at))
  assert.deepEqual(header.with(10, 0).with(11, 0), hex('4500 0014 0000 0000 4006 0000 c000 0201 c633 6402'))
})

test('emit refuses what does not fit', () => {
  const bytes = new Uint8Array(100)
  assert.throws(() => emitIpv4({ ...REPR, options: new Uint8Array(3) }, bytes, 0), RangeError)
  assert.throws(() => emitIpv4({ ...REPR, options: new Uint8Array(44) }, bytes, 0), RangeError)
  assert.throws(() => emitIpv4({ ...REPR, payloadLength: 65508 }, bytes, 0), RangeError)
})

test('check: version, header length and total length', () => {
  const cases: [offset: number, value: number, ok: boolean, why: string][] = [
    [0, 0x67, false, 'version 6'],
    [0, 0x44, false, 'IHL 4'],
    [0, 0x45, true, 'IHL 5'],
    [0, 0x48, true, 'IHL 8: exactly the total length'],
    [0, 0x49, false, 'IHL 9: beyond the total length'],
    [3, 0x1b, false, 'total length below the header'],
    [3, 0x1c, true, 'no payload'],
    [3, 0x21, false, 'total length beyond the end']
  ]
  for (const [offset, value, ok, why] of cases) {
    const bytes = placed(PACKET)
    bytes[AT + offset] = value
    assert.equal(checkIpv4(bytes, AT, END), ok, why)
  }
  assert.ok(checkIpv4(placed(PACKET), AT, END + 14), 'padding after the packet')
})

test('a quoted packet may end early, its header may not', () => {
  const bytes = placed(PACKET)
  assert.equal(checkIpv4Quoted(bytes, AT, AT + 28), true)
  assert.equal(checkIpv4(bytes, AT, AT + 28), false)
  assert.equal(checkIpv4Quoted(bytes, AT, AT + 27), false)
})

test('options are found, and malformed ones end the search', () => {
  const withOptions = (text: string): Uint8Array => {
    const header = hex(`4000 0014 0000 0000 4006 0000 c000 0201 c633 6402 ${text}`)
    header[0] |= header.length >> 2
    return placed(header)
  }
  assert.equal(ipv4FindOption(placed(PACKET), AT, Ipv4Option.routerAlert), AT + 20)
  assert.equal(ipv4FindOption(placed(PACKET), AT, Ipv4Option.noOperation), AT + 24)
  assert.equal(ipv4FindOption(withOptions('0101 0194 0400 0000'), AT, Ipv4Option.routerAlert), AT + 23)
  assert.equal(ipv4FindOption(withOptions('0094 0400 0000 0000'), AT, Ipv4Option.routerAlert), -1, 'after the end of options')
  assert.equal(ipv4FindOption(withOptions('8301 9404'), AT, Ipv4Option.routerAlert), -1, 'length 1')
  assert.equal(ipv4FindOption(withOptions('8300 9404'), AT, Ipv4Option.routerAlert), -1, 'length 0 does not hang')
  assert.equal(ipv4FindOption(withOptions('0101 0194'), AT, Ipv4Option.routerAlert), -1, 'no length byte')
  assert.equal(ipv4FindOption(withOptions('9405 0000'), AT, Ipv4Option.routerAlert), -1, 'longer than the header')
  assert.equal(ipv4FindOption(withOptions(''), AT, Ipv4Option.routerAlert), -1)
})

test('10,000 random rewrites leave the checksum that a recomputation gives', () => {
  const random = seededRandom(20)
  const header = emitPoisoned((bytes, at) => emitIpv4(REPR, bytes, at))
  for (let i = 0; i < 10_000; i++) {
    setIpv4Source(header, 0, random(2 ** 32))
    setIpv4Destination(header, 0, random(2 ** 32))
    setIpv4Id(header, 0, random(65536))
    if (ipv4Ttl(header, 0) > 0) decrementIpv4Ttl(header, 0)
    const updated = ipv4Checksum(header, 0)
    fillIpv4Checksum(header, 0)
    assert.equal(updated, get16(header, IPV4_CHECKSUM))
  }
})

test('nothing outside is read at any length', () => {
  const accepted = assertConfined((bytes, at, end) => {
    const quoted = checkIpv4Quoted(bytes, at, end)
    const header = quoted
      ? [ipv4Checksum(bytes, at), verifyIpv4Checksum(bytes, at), ipv4FindOption(bytes, at, 1), ipv4Payload(bytes, at)]
      : null
    if (!checkIpv4(bytes, at, end)) return header
    assert.ok(quoted && ipv4End(bytes, at) <= end && ipv4Payload(bytes, at) <= ipv4End(bytes, at))
    return [
      header,
      parseIpv4Header(bytes, at, end),
      ipv4IsFragment(bytes, at),
      ipv4Protocol(bytes, at),
      ipv4Ttl(bytes, at),
      ipv4Destination(bytes, at)
    ]
  }, PACKET)
  assert.ok(accepted > 300)
})
