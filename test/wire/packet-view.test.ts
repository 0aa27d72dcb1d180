import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIpv4, formatIpv6 } from '../../src/wire/address.ts'
import { get32 } from '../../src/wire/big-endian.ts'
import { EtherType } from '../../src/wire/ethernet.ts'
import { IPV4_FRAGMENT, IPV4_TOTAL_LENGTH, IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../src/wire/ipv6.ts'
import { ABSENT, PacketView } from '../../src/wire/packet-view.ts'
import { emitVlan } from '../../src/wire/vlan.ts'
import { assertConfined } from './confined.ts'
import { AT, placed } from './poisoned.ts'
import { realFrames } from './real-frames.ts'

const IP = 14

/** Everything that the view tells, offsets from the frame's first byte. */
function told(view: PacketView, at: number): Record<string, unknown> {
  const { family, etherType, vlan, protocol, isFragment, hasTransport } = view
  const offset = (value: number): number => (value === ABSENT ? ABSENT : value - at)
  const ports = view.sourcePort === ABSENT ? null : [view.sourcePort, view.destinationPort]
  const places = [view.networkAt, view.transportAt, view.end, view.fragmentAt].map(offset)
  return { family, etherType, vlan, protocol, isFragment, hasTransport, ports, places, addresses: addresses(view) }
}

function addresses(view: PacketView): string[] | null {
  if (view.family === 0) return null
  const text = (at: number): string => (view.family === 4 ? formatIpv4(get32(view.bytes, at)) : formatIpv6(view.bytes, at))
  return [text(view.sourceAt), text(view.destinationAt)]
}

/** What a fresh view tells of a frame in a poisoned buffer. */
function look(frame: Uint8Array, isCut = false): Record<string, unknown> {
  const view = new PacketView()
  const answer = view.readFrame(placed(frame), AT, AT + frame.length, isCut)
  return { answer, ...told(view, AT) }
}

/** An IPv6 packet from 2001:db8::1 to ::2, with these bytes behind its header, in an Ethernet frame. */
function ipv6Frame(nextHeader: number, rest: number[], padding = 0): Uint8Array {
  const frame = new Uint8Array(IP + 40 + rest.length + padding)
  frame.set([0x86, 0xdd], 12)
  emitIpv6({ source: '2001:db8::1', destination: '2001:db8::2', nextHeader, payloadLength: rest.length }, frame, IP)
  frame.set(rest, IP + 40)
  return frame
}

function tagged(frame: Uint8Array, ...ids: number[]): Uint8Array {
  const tags = ids.map((id) => ({ tpid: EtherType.vlan, priority: 0, dropEligible: false, id, type: 0 }))
  const out = new Uint8Array(frame.length + 4 * tags.length)
  out.set(frame.subarray(0, 12))
  for (const [i, tag] of tags.entries()) emitVlan(tag, out, 12 + 4 * i)
  out.set(frame.subarray(12), 12 + 4 * tags.length)
  return out
}

const UDP = [0x04, 0x00, 0x00, 0x09, 0x00, 0x08, 0x00, 0x00]
const fragmentHeader = (next: number, offset: number, more: 0 | 1): number[] => [next, 0, offset >> 8, (offset & 0xf8) | more, 0, 0, 0, 7]

test('TCP over IPv4: addresses, ports, and where things are', () => {
  assert.deepEqual(look(realFrames.tcpSyn), {
    answer: true,
    family: 4,
    etherType: EtherType.ipv4,
    vlan: ABSENT,
    protocol: IpProtocol.tcp,
    isFragment: false,
    hasTransport: true,
    ports: [40001, 80],
    places: [14, 34, 74, ABSENT],
    addresses: ['192.0.2.50', '198.51.100.10']
  })
})

test('the protocol behind extension headers', () => {
  const { family, protocol, places, ports, answer } = look(realFrames.multicastReport)
  assert.deepEqual({ answer, family, protocol, ports }, { answer: true, family: 6, protocol: IpProtocol.icmpv6, ports: null })
  assert.deepEqual(places, [14, 62, realFrames.multicastReport.length, ABSENT])
  const options = look(ipv6Frame(IpProtocol.destinationOptions, [IpProtocol.udp, 0, 1, 4, 0, 0, 0, 0, ...UDP]))
  assert.deepEqual([options.protocol, options.ports], [IpProtocol.udp, [1024, 9]])
})

test('tags are passed by, and the outer one is told', () => {
  for (const ids of [[7], [100, 7], [3, 2, 1]]) {
    const { answer, etherType, vlan, places, ports } = look(tagged(realFrames.udp, ...ids))
    assert.deepEqual({ answer, etherType, vlan, ports }, { answer: true, etherType: EtherType.ipv4, vlan: ids[0], ports: [40002, 7777] })
    assert.equal((places as number[])[0], 14 + 4 * ids.length)
  }
})

test('padding is not the packet', () => {
  const padded = new Uint8Array(60)
  padded.set(realFrames.udp)
  assert.deepEqual(look(padded).places, [14, 34, 48, ABSENT])
  assert.deepEqual(look(ipv6Frame(IpProtocol.udp, UDP, 10)).places, [14, 54, 62, ABSENT])
})

test('fragments: a first one has ports, a later one has none', () => {
  const fragment = (word: number): Record<string, unknown> => {
    const frame = realFrames.udp.slice()
    frame[IP + IPV4_FRAGMENT] = word >> 8
    frame[IP + IPV4_FRAGMENT + 1] = word & 0xff
    return look(frame)
  }
  const seen = [0x4000, 0x2000, 0x2001, 0x0001].map(fragment)
  assert.deepEqual(
    seen.map(({ isFragment, hasTransport }) => [isFragment, hasTransport]),
    [
      [false, true],
      [true, true],
      [true, false],
      [true, false]
    ]
  )
  assert.deepEqual(
    seen.map(({ ports }) => ports !== null),
    [true, true, false, false]
  )
})

test('fragments of IPv6: a fragment header alone makes none', () => {
  const seen = [[0, 0] as const, [0, 1] as const, [8, 1] as const, [8, 0] as const].map(([offset, more]) =>
    look(ipv6Frame(IpProtocol.fragment, [...fragmentHeader(IpProtocol.udp, offset, more), ...UDP]))
  )
  assert.deepEqual(
    seen.map(({ isFragment, hasTransport, ports, places }) => [isFragment, hasTransport, ports !== null, (places as number[])[3]]),
    [
      [false, true, true, 54],
      [true, true, true, 54],
      [true, false, false, 54],
      [true, false, false, 54]
    ]
  )
})

test('what is no IP: the type is told, and nothing else', () => {
  const nothing = { answer: false, family: 0, vlan: ABSENT, protocol: ABSENT, isFragment: false, hasTransport: false, ports: null }
  assert.deepEqual(look(realFrames.arpRequest), {
    ...nothing,
    etherType: EtherType.arp,
    places: [14, ABSENT, realFrames.arpRequest.length, ABSENT],
    addresses: null
  })
  assert.deepEqual(look(realFrames.udp.slice(0, 13)), {
    ...nothing,
    etherType: ABSENT,
    places: [ABSENT, ABSENT, 13, ABSENT],
    addresses: null
  })
})

test('broken extension headers: the addresses are told, the protocol is not', () => {
  const { answer, family, protocol, places, addresses: told } = look(ipv6Frame(IpProtocol.routing, [IpProtocol.udp, 9, 0, 0, 0, 0, 0, 0]))
  assert.deepEqual({ answer, family, protocol }, { answer: false, family: 6, protocol: ABSENT })
  assert.deepEqual(places, [14, ABSENT, 62, ABSENT])
  assert.deepEqual(told, ['2001:db8::1', '2001:db8::2'])
})

test('a packet that is cut: only for who says so', () => {
  const cut = realFrames.tcpSyn.slice(0, 40)
  assert.equal(look(cut).answer, false)
  const { answer, ports, places } = look(cut, true)
  assert.deepEqual({ answer, ports, places }, { answer: true, ports: [40001, 80], places: [14, 34, 40, ABSENT] })
  assert.equal(look(realFrames.tcpSyn.slice(0, 36), true).ports, null)
  // Some senders quote with the length that a super-frame had: 0.
  const endless = realFrames.tcpSyn.slice()
  endless[IP + IPV4_TOTAL_LENGTH] = endless[IP + IPV4_TOTAL_LENGTH + 1] = 0
  assert.deepEqual([look(endless).answer, look(endless, true).places], [false, [14, 34, 74, ABSENT]])
})

test('what an ICMP error quotes', () => {
  const view = new PacketView()
  const frame = realFrames.portUnreachable
  assert.ok(view.readFrame(placed(frame), AT, AT + frame.length))
  assert.deepEqual([view.protocol, view.sourcePort, view.destinationPort], [IpProtocol.icmp, ABSENT, ABSENT])
  assert.ok(view.readQuoted())
  assert.deepEqual(addresses(view), ['192.0.2.50', '192.0.2.60'])
  assert.deepEqual([view.protocol, view.sourcePort, view.destinationPort], [IpProtocol.udp, 51442, 9])
  // It is no error itself.
  assert.equal(view.readQuoted(), false)
  assert.equal(view.protocol, IpProtocol.udp)
  assert.ok(view.readFrame(realFrames.echoRequest, 0, realFrames.echoRequest.length))
  assert.equal(view.readQuoted(), false)
})

test('a view read anew keeps nothing of the frame before', () => {
  const view = new PacketView()
  const frames = [...Object.values(realFrames), tagged(realFrames.udp, 5), ipv6Frame(IpProtocol.routing, [17, 9, 0, 0, 0, 0, 0, 0])]
  for (const before of frames) {
    for (const frame of frames) {
      view.readFrame(before, 0, before.length)
      const answer = view.readFrame(placed(frame), AT, AT + frame.length)
      assert.deepEqual({ answer, ...told(view, AT) }, look(frame))
    }
  }
})

test('nothing outside the frame is read', () => {
  const chain = ipv6Frame(IpProtocol.hopByHop, [
    ...[IpProtocol.fragment, 0, 1, 4, 0, 0, 0, 0],
    ...fragmentHeader(IpProtocol.destinationOptions, 0, 1),
    ...[IpProtocol.udp, 0, 1, 4, 0, 0, 0, 0],
    ...UDP
  ])
  const view = new PacketView()
  for (const frame of [realFrames.portUnreachable, realFrames.tcpSyn, tagged(realFrames.udp, 1, 2), chain, realFrames.multicastReport]) {
    for (const isCut of [false, true]) {
      const accepted = assertConfined((bytes, at, end) => {
        const answer = view.readFrame(bytes, at, end, isCut)
        const first = { answer, ...told(view, at) }
        assert.ok(view.end <= end && view.transportAt <= view.end)
        return answer ? { first, quoted: view.readQuoted() && told(view, at) } : view.family === 6 ? first : null
      }, frame)
      assert.ok(accepted > 100)
    }
  }
})
