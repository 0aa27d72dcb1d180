/** Packets that go on: routes, TTL, MTU, fragments, what must not be forwarded; the fast path does what the slow one does. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag, type FrameHandle, GsoTunnel } from '../../../src/engine/frame-pool.ts'
import { parseIpv6 } from '../../../src/wire/address.ts'
import { get16, put16 } from '../../../src/wire/big-endian.ts'
import { onesComplementSum, pseudoHeaderSum } from '../../../src/wire/checksum.ts'
import { parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { BROADCAST, ECHO, frame, INTERFACES, ROUTER_MACS, ROUTES, RouterLab, station, udp, words } from './router-lab.ts'

const A7 = '192.0.2.7'
const B9 = '198.51.100.9'
const OUTSIDE = '203.0.113.77'
const FAR = '198.18.0.1'
/** As it leaves for b. */
const TO_B = `${ROUTER_MACS[1]} > ${station(1, 9)}`
const TO_UP = `${ROUTER_MACS[2]} > ${station(2, 254)}`
const TO_A = `${ROUTER_MACS[0]} > ${station(0, 7)}`
const TO_ROUTER = { from: station(0, 7), to: ROUTER_MACS[0] }

function met(options: ConstructorParameters<typeof RouterLab>[0] = {}): RouterLab {
  const lab = new RouterLab(options)
  lab.meet()
  return lab
}

describe('IPv4', () => {
  test('goes to a station of a connected network, one TTL less, from the MAC of the interface', () => {
    const lab = met()
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [`${TO_B}: ${A7} > ${B9} ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('goes by the longest prefix, to its next hop', () => {
    const lab = met({
      routes: { ...ROUTES, '198.18.0.0/15': { via: B9, interface: 1 }, '198.18.0.1/32': { via: '203.0.113.254', interface: 2 } }
    })
    lab.send(0, 7, A7, FAR, udp())
    lab.send(0, 7, A7, '198.18.0.2', udp())
    assert.deepEqual(lab.take(2), [`${TO_UP}: ${A7} > ${FAR} ttl 63 udp 4000 > 5000 20`])
    assert.deepEqual(lab.take(1), [`${TO_B}: ${A7} > 198.18.0.2 ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('is handed back to the network it came from where the route leads there', () => {
    const lab = met()
    lab.arp(0, 1, station(0, 8), '192.0.2.8', '192.0.2.1')
    lab.take(0)
    lab.send(0, 7, A7, '192.0.2.8', udp())
    assert.deepEqual(lab.take(0), [`${ROUTER_MACS[0]} > ${station(0, 8)}: ${A7} > 192.0.2.8 ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('loses its padding', () => {
    const lab = met()
    const bytes = new Uint8Array(60)
    bytes.set(frame(A7, B9, udp(5000, 4), { from: station(0, 7), to: ROUTER_MACS[0] }))
    for (let i = 0; i < 2; i++) lab.put(0, bytes)
    assert.deepEqual(
      lab.bytes(1).map(({ length }) => length),
      [46, 46]
    )
    lab.ends()
  })
  test('TTL 1 and 0 end here, and the sender is told, from the address of its own network', () => {
    const lab = met()
    lab.send(0, 7, A7, B9, udp(), { ttl: 1 })
    lab.send(0, 7, A7, B9, udp(), { ttl: 0 })
    assert.deepEqual(lab.take(0), Array(2).fill(`${TO_A}: 192.0.2.1 > ${A7} ttl 64 time-exceeded 0 quoting 48`))
    assert.deepEqual(lab.take(1), [])
    assert.deepEqual(lab.drops, { 'router.ttlExpired': 2 })
    lab.ends()
  })
  test('noDecrement: the TTL stays on the way out and in; 1 is refused on the way out only', () => {
    const lab = met({ interfaces: { ...INTERFACES, 2: { ...INTERFACES[2], noDecrement: true } } })
    for (const ttl of [2, 1]) lab.send(0, 7, A7, OUTSIDE.replace('77', '254'), udp(), { ttl })
    assert.deepEqual(lab.take(2), [`${TO_UP}: ${A7} > 203.0.113.254 ttl 2 udp 4000 > 5000 20`])
    assert.deepEqual(lab.take(0), [`${TO_A}: 192.0.2.1 > ${A7} ttl 64 time-exceeded 0 quoting 48`])
    for (const ttl of [2, 1]) lab.send(2, 254, '203.0.113.254', A7, udp(), { ttl })
    assert.deepEqual(
      lab.take(0),
      [2, 1].map((ttl) => `${TO_A}: 203.0.113.254 > ${A7} ttl ${ttl} udp 4000 > 5000 20`)
    )
    lab.ends()
  })
  test('no route: network unreachable', () => {
    const lab = met({ routes: {} })
    lab.send(0, 7, A7, FAR, udp())
    assert.deepEqual(lab.take(0), [`${TO_A}: 192.0.2.1 > ${A7} ttl 64 unreachable 0 quoting 48`])
    assert.deepEqual(lab.drops, { 'router.noRoute': 1 })
    lab.ends()
  })
  test('a route by an interface that is not there waits for it', () => {
    const lab = met({ routes: { '198.18.0.0/15': { via: '100.64.0.9', interface: 7 } } })
    lab.send(0, 7, A7, FAR, udp())
    assert.deepEqual(lab.drops, { 'router.noRoute': 1 })
    lab.update({ interfaces: { 7: { name: 'late', mac: '02:cc:00:00:00:07', addresses: ['100.64.0.1/24'], mtu: 1500, answers: true } } })
    lab.send(0, 7, A7, FAR, udp())
    assert.equal(lab.counters['forwarded'], 1)
    assert.deepEqual(lab.neighbors.slice(-1), ['100.64.0.9 incomplete'])
    lab.ends()
  })
  test('longer than the MTU: cut where it may be, else refused with the MTU', () => {
    const lab = met()
    lab.send(0, 7, A7, FAR, udp(5000, 1472))
    assert.deepEqual(lab.take(2), [`${TO_UP}: ${A7} > ${FAR} ttl 63 fragment 0+ 1376`, `${TO_UP}: ${A7} > ${FAR} ttl 63 fragment 1376 104`])
    lab.send(0, 7, A7, FAR, udp(5000, 1472), { dontFragment: true })
    assert.deepEqual(lab.take(2), [])
    assert.deepEqual(lab.take(0), [`${TO_A}: 192.0.2.1 > ${A7} ttl 64 unreachable 4 (1400) quoting 548`])
    assert.deepEqual(lab.drops, { 'router.tooBig': 1 })
    assert.equal(lab.counters['fragments'], 1)
    lab.ends()
  })
  test('fragments keep the mark of their packet', () => {
    const lab = met()
    const marks: number[] = []
    const probe = lab.net.probe('probe2')
    const push = probe.push.bind(probe)
    probe.push = () => {
      const { rx } = probe.context.ports[0]!
      for (let i = 0; i < rx.size; i++) marks.push(probe.context.frames.mark[rx.at(i)])
      push()
    }
    const bytes = frame(A7, FAR, udp(5000, 1472), { from: station(0, 7), to: ROUTER_MACS[0] })
    lab.put(0, bytes, (handle) => {
      lab.net.engine.frames.mark[handle] = 4711
    })
    assert.deepEqual(marks, [4711, 4711])
    lab.ends()
  })
  test('a super-frame is measured by its segments', () => {
    const lab = met()
    const segment = { tcp: { payload: new Uint8Array(20_000), flags: 0x10 } } as const
    const bytes = frame(A7, FAR, segment, { from: station(0, 7), to: ROUTER_MACS[0] }, { dontFragment: true })
    const asSuper = (gsoSize: number) => (handle: FrameHandle) => {
      const { frames } = lab.net.engine
      frames.flags[handle] = FrameFlag.gso | FrameFlag.csum
      frames.gsoType[handle] = 1
      frames.gsoSize[handle] = gsoSize
      frames.hdrLen[handle] = 54
      frames.csumStart[handle] = 34
      frames.csumOffset[handle] = 16
    }
    lab.put(0, bytes, asSuper(1360))
    assert.deepEqual(
      lab.bytes(2).map(({ length }) => length),
      [20_054]
    )
    lab.put(0, bytes, asSuper(1361))
    assert.deepEqual(lab.take(0), [`${TO_A}: 192.0.2.1 > ${A7} ttl 64 unreachable 4 (1400) quoting 548`])
    lab.ends()
  })
  test('without DF each segment of a super-frame is cut, also of one in a tunnel', () => {
    // A segment's packet has 1,408 bytes, its last one 308; outside stand 50 more.
    const payload = new Uint8Array(3 * 1368 + 268).map((_, i) => i)
    const packet = frame(A7, FAR, { tcp: { payload, flags: 0x10 } }, { from: station(0, 7), to: ROUTER_MACS[0] })
    put16(packet, 50, pseudoHeaderSum(packet, 14, 6, packet.length - 34))
    const vxlan = new Uint8Array([8, 0, 0, 0, 0, 1, 0, 0, ...packet])
    const tunnelled = frame(A7, FAR, { udp: { sourcePort: 50_000, destinationPort: 4789, payload: vxlan } }, TO_ROUTER)
    for (const [bytes, outer] of [
      [packet, 0],
      [tunnelled, 50]
    ] as const) {
      const lab = met()
      lab.put(0, bytes, (handle) => {
        const { frames } = lab.net.engine
        frames.flags[handle] = FrameFlag.gso | FrameFlag.csum
        frames.gsoType[handle] = outer === 0 ? 1 : 1 | GsoTunnel.ipv4
        frames.gsoSize[handle] = 1368
        frames.hdrLen[handle] = outer + 54
        frames.csumStart[handle] = outer + 34
        frames.csumOffset[handle] = 16
      })
      const fragment = (id: number): string[] => [`id+${id} fragment 0+ 1376`, `id+${id} fragment 1376 ${12 + outer}`]
      const first = get16(bytes, 18)
      const out = lab.bytes(2)
      const shown = out.map((piece) => {
        const ip = parseIpv4Header(piece, 14, piece.length)!
        const id = ip.id - first
        return ip.moreFragments || ip.fragmentOffset > 0
          ? `id+${id} fragment ${ip.fragmentOffset}${ip.moreFragments ? '+' : ''} ${ip.payloadLength}`
          : `id+${id} whole ${ip.payloadLength}`
      })
      assert.deepEqual(shown, [...fragment(0), ...fragment(1), ...fragment(2), `id+3 whole ${288 + outer}`])
      // Put together again, with the last one's sum finished, they are what the sender meant.
      const segments: Buffer[] = [0, 2, 4].map((i) => Buffer.concat([out[i]!, out[i + 1]!.subarray(34)]))
      const carried = segments.map((whole) => Buffer.from(whole.subarray(outer + 54)))
      assert.ok(Buffer.concat([...carried, Buffer.from(out[6]!.subarray(outer + 54))]).equals(Buffer.from(payload)))
      for (const whole of segments) {
        const inner = whole.subarray(outer)
        assert.equal(onesComplementSum(inner, 34, inner.length - 34, pseudoHeaderSum(inner, 14, 6, inner.length - 34)), 0xffff)
        if (outer > 0) assert.deepEqual([get16(whole, 38), get16(inner, 16)], [whole.length - 34, inner.length - 14])
      }
      assert.equal(lab.counters['fragments'], 6)
      assert.deepEqual(lab.drops, {})
      lab.ends()
    }
  })
  test('one whose headers are not as its fields say is dropped, not cut', () => {
    const lab = met()
    lab.put(0, frame(A7, FAR, udp(5000, 1472), TO_ROUTER), (handle) => {
      const { frames } = lab.net.engine
      frames.flags[handle] = FrameFlag.gso | FrameFlag.csum
      frames.gsoType[handle] = 1 | GsoTunnel.ipv4
      frames.gsoSize[handle] = 1400
      frames.csumStart[handle] = 1510
    })
    assert.deepEqual(lab.take(2), [])
    assert.deepEqual(lab.drops, { 'router.noFragments': 1 })
    lab.ends()
  })
  test('a super-frame in a tunnel is measured by the outer packets that it becomes', () => {
    const inner = frame(A7, FAR, { tcp: { payload: new Uint8Array(20_000), flags: 0x10 } }, TO_ROUTER)
    const vxlan = new Uint8Array([8, 0, 0, 0, 0, 1, 0, 0, ...inner])
    const outer = { udp: { sourcePort: 50_000, destinationPort: 4789, payload: vxlan } }
    for (const [source, destination, headers] of [
      [A7, FAR, 50],
      ['2001:db8:a::7', '2001:db8:ffff::1', 70]
    ] as const) {
      const lab = met()
      const bytes = frame(source, destination, outer, TO_ROUTER, headers === 50 ? { dontFragment: true } : {})
      const asSuper = (gsoSize: number) => (handle: FrameHandle) => {
        const { frames } = lab.net.engine
        frames.flags[handle] = FrameFlag.gso | FrameFlag.csum
        frames.gsoType[handle] = 1 | (headers === 50 ? GsoTunnel.ipv4 : GsoTunnel.ipv6)
        frames.gsoSize[handle] = gsoSize
        frames.hdrLen[handle] = headers + 54
        frames.csumStart[handle] = headers + 34
        frames.csumOffset[handle] = 16
      }
      lab.put(0, bytes, asSuper(1400 - headers - 40))
      assert.equal(lab.bytes(2).length, 1)
      lab.put(0, bytes, asSuper(1400 - headers - 39))
      assert.match(lab.take(0)[0]!, /(unreachable 4|packet-too-big 0) \(1400\)/)
      assert.deepEqual(lab.drops, { 'router.tooBig': 1 })
      lab.ends()
    }
  })
  test('what was reassembled is cut again as it came; a longest fragment with DF above the MTU is refused', () => {
    const lab = met()
    const mark = (dontFragment: boolean): [Uint8Array, (handle: FrameHandle) => void] => [
      frame(A7, FAR, udp(5000, 2000), { from: station(0, 7), to: ROUTER_MACS[0] }, { dontFragment }),
      (handle) => {
        lab.net.engine.frames.flags[handle] = FrameFlag.reassembled
        lab.net.engine.frames.gsoSize[handle] = dontFragment ? 1420 : 820
      }
    ]
    lab.put(0, ...mark(false))
    assert.deepEqual(
      lab.take(2).map((text) => text.split(' ttl 63 ')[1]),
      ['fragment 0+ 800', 'fragment 800+ 800', 'fragment 1600 408']
    )
    lab.put(0, ...mark(true))
    assert.deepEqual(lab.take(0), [`${TO_A}: 192.0.2.1 > ${A7} ttl 64 unreachable 4 (1400) quoting 548`])
    lab.ends()
  })
  test('later fragments go on as they are', () => {
    const lab = met()
    lab.send(0, 7, A7, B9, { raw: new Uint8Array(64), protocol: 17 }, { fragmentOffset: 800 })
    assert.deepEqual(lab.take(1), [`${TO_B}: ${A7} > ${B9} ttl 63 fragment 800 64`])
    lab.ends()
  })
})

describe('what is not forwarded', () => {
  const refused = (name: string, reason: string, send: (lab: RouterLab) => void): void => {
    test(name, () => {
      const lab = met()
      send(lab)
      assert.deepEqual(lab.drops, { [`router.${reason}`]: 1 })
      for (const port of [0, 1, 2]) assert.deepEqual(lab.take(port), [], 'nobody is told')
      lab.ends()
    })
  }
  const raw = (change: (bytes: Uint8Array) => void) => (lab: RouterLab) => {
    const bytes = frame(A7, B9, udp(), { from: station(0, 7), to: ROUTER_MACS[0] })
    change(bytes)
    lab.put(0, bytes)
  }
  refused('a directed broadcast', 'broadcast', (lab) => lab.send(0, 7, A7, '198.51.100.255', udp()))
  refused('the limited broadcast', 'broadcast', (lab) => lab.send(0, 7, '0.0.0.0', '255.255.255.255', udp()))
  refused('a group', 'group', (lab) => lab.send(0, 7, A7, '224.0.0.251', udp()))
  refused('a packet to one in a frame to all', 'linkBroadcast', (lab) =>
    lab.put(0, frame(A7, B9, udp(), { from: station(0, 7), to: BROADCAST }))
  )
  refused('a frame for another station', 'notForUs', (lab) => lab.put(0, frame(A7, B9, udp(), { from: station(0, 7), to: station(0, 8) })))
  refused("a frame with the interface's own MAC as its source", 'ownSource', (lab) =>
    lab.put(0, frame(A7, B9, udp(), { from: ROUTER_MACS[0], to: ROUTER_MACS[0] }))
  )
  for (const source of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.5', '255.255.255.255', '192.0.2.1', '198.51.100.1', '192.0.2.255']) {
    refused(`a source of ${source}`, 'martianSource', (lab) => lab.send(0, 7, source, B9, udp()))
  }
  refused('a land attack: our own address to ourselves', 'martianSource', (lab) => lab.send(0, 7, '192.0.2.1', '192.0.2.1', udp()))
  for (const destination of ['0.0.0.0', '0.1.2.3', '127.0.0.1']) {
    refused(`a destination of ${destination}`, 'martianDestination', (lab) => lab.send(0, 7, A7, destination, udp()))
  }
  refused(
    'a wrong header checksum',
    'badChecksum',
    raw((bytes) => (bytes[24] ^= 1))
  )
  refused(
    'a total length beyond the frame',
    'malformed',
    raw((bytes) => (bytes[16] = 9))
  )
  refused(
    'a header of four words',
    'malformed',
    raw((bytes) => (bytes[14] = 0x44))
  )
  refused(
    'an unknown EtherType',
    'unknownType',
    raw((bytes) => (bytes[12] = 0x88))
  )
  refused('less than an Ethernet header', 'runt', (lab) => lab.put(0, new Uint8Array(13)))
  const options = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
  refused('a loose source route', 'sourceRoute', (lab) => lab.send(0, 7, A7, B9, udp(), { options: options(131, 7, 4, 203, 0, 113, 9, 0) }))
})

describe('IPv4 options', () => {
  // As ip_options_compile; the pointer counts from the header's first byte, 20 is the first option's.
  for (const [option, pointer] of [
    [[7, 9, 4, 0], 20],
    [[1, 7, 0, 0], 21],
    [[7, 7, 3, 0, 0, 0, 0, 0], 22],
    [[7, 7, 6, 0, 0, 0, 0, 0], 22],
    [[68, 8, 4, 0, 0, 0, 0, 0], 22],
    [[68, 8, 5, 1, 0, 0, 0, 0], 22],
    [[68, 8, 5, 2, 0, 0, 0, 0], 23],
    [[68, 8, 9, 0xf0, 0, 0, 0, 0], 23]
  ]) {
    test(`${option}: the sender hears of byte ${pointer}`, () => {
      const lab = met()
      lab.send(0, 7, A7, B9, udp(), { options: Uint8Array.from(option as number[]) })
      const [bytes] = lab.bytes(0)
      assert.deepEqual([...bytes.subarray(34, 36), ...bytes.subarray(38, 42)], [12, 0, pointer, 0, 0, 0])
      assert.deepEqual(lab.bytes(1), [])
      assert.deepEqual(lab.drops, { 'router.badOption': 1 })
      lab.ends()
    })
  }
  test('record route gets the address of the way out, until it is full', () => {
    const lab = met()
    const recorded = (pointer: number): Uint8Array => {
      lab.send(0, 7, A7, B9, ECHO, { options: Uint8Array.from([7, 7, pointer, 0, 0, 0, 0, 0]) })
      const [bytes] = lab.bytes(1)
      assert.ok(parseIpv4Header(bytes, 14, bytes.length))
      return bytes.slice(34, 42)
    }
    assert.deepEqual([...recorded(4)], [7, 7, 8, 198, 51, 100, 1, 0])
    assert.deepEqual([...recorded(8)], [7, 7, 8, 0, 0, 0, 0, 0])
    lab.ends()
  })
  test('timestamps: alone, with address, only ours, and the count of those that found no room', () => {
    const lab = met()
    const stamped = (...option: number[]): number[] => {
      lab.send(0, 7, A7, B9, ECHO, { options: Uint8Array.from(option) })
      return [...lab.bytes(1)[0].subarray(34, 34 + option.length)]
    }
    lab.run(3)
    // The virtual clock begins at midnight.
    const ms = [0, 0, 0x0b, 0xb8]
    assert.deepEqual(stamped(68, 8, 5, 0, 0, 0, 0, 0), [68, 8, 9, 0, ...ms])
    assert.deepEqual(stamped(68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0), [68, 12, 13, 1, 198, 51, 100, 1, ...ms])
    assert.deepEqual(stamped(68, 12, 5, 3, 192, 0, 2, 1, 0, 0, 0, 0), [68, 12, 13, 3, 192, 0, 2, 1, ...ms])
    assert.deepEqual(stamped(68, 12, 5, 3, 192, 0, 2, 99, 0, 0, 0, 0), [68, 12, 5, 3, 192, 0, 2, 99, 0, 0, 0, 0])
    assert.deepEqual(stamped(68, 8, 9, 0x10, 0, 0, 0, 0), [68, 8, 9, 0x20, 0, 0, 0, 0])
    lab.ends()
  })
})

describe('IPv6', () => {
  const A = '2001:db8:a::7'
  const B = '2001:db8:b::7'
  test('goes on, one hop less; no hop left: time exceeded', () => {
    const lab = met()
    lab.send(0, 7, A, B, udp())
    assert.deepEqual(lab.take(1), [`${TO_B}: ${A} > ${B} hops 63 udp 4000 > 5000 20`])
    lab.send(0, 7, A, B, udp(), { hopLimit: 1 })
    assert.deepEqual(lab.take(0), [`${TO_A}: 2001:db8:a::1 > ${A} hops 64 time-exceeded 0 quoting 68`])
    lab.ends()
  })
  test('too long: packet too big, with the MTU and what fits in 1280 bytes', () => {
    const lab = met()
    lab.send(0, 7, A, '2001:db8:ff::1', udp(5000, 1420))
    assert.deepEqual(lab.take(0), [`${TO_A}: 2001:db8:a::1 > ${A} hops 64 packet-too-big 0 (1400) quoting 1232`])
    lab.ends()
  })
  test('an interface with less than 1280 bytes carries that much all the same', () => {
    const lab = met({ interfaces: { ...INTERFACES, 2: { ...INTERFACES[2], mtu: 576 } } })
    lab.send(0, 7, A, '2001:db8:ff::1', udp(5000, 1232))
    assert.equal(lab.take(2).length, 1)
    lab.send(0, 7, A, '2001:db8:ff::1', udp(5000, 1233))
    assert.match(lab.take(0)[0], /packet-too-big 0 \(1280\)/)
    lab.ends()
  })
  test('a packet that came in fragments is cut again', () => {
    const lab = met()
    // As the Reassembler leaves it: with a fragment header of offset 0.
    const raw = new Uint8Array(2008)
    raw.set([17, 0, 0, 0, 1, 2, 3, 4])
    const bytes = frame(A, '2001:db8:ff::1', { raw, protocol: 44 }, { from: station(0, 7), to: ROUTER_MACS[0] })
    for (const longest of [1300, 1401]) {
      lab.put(0, bytes, (handle) => {
        lab.net.engine.frames.flags[handle] = FrameFlag.reassembled
        lab.net.engine.frames.gsoSize[handle] = longest
      })
    }
    assert.deepEqual(
      lab.bytes(2).map((part) => part.length - 14),
      [1296, 800]
    )
    assert.match(lab.take(0)[0], /packet-too-big 0 \(1400\)/)
    lab.ends()
  })
  test('no route: unreachable', () => {
    const lab = met({ routes: {} })
    lab.send(0, 7, A, '2001:db8:ff::1', udp())
    assert.deepEqual(lab.take(0), [`${TO_A}: 2001:db8:a::1 > ${A} hops 64 unreachable 0 quoting 68`])
    lab.ends()
  })
  test('link-local sources and destinations stay on their link; the sender hears of its scope', () => {
    const lab = met()
    lab.nd(0, station(0, 7), 'fe80::7', 'ff02::1:ff00:1', {
      kind: 'neighbor-solicitation',
      target: '2001:db8:a::1',
      flags: 0,
      linkLayer: station(0, 7)
    })
    lab.take(0)
    lab.send(0, 7, 'fe80::7', B, udp())
    assert.deepEqual(lab.take(0), [`${TO_A}: fe80::cc:ff:fe00:a > fe80::7 hops 64 unreachable 2 quoting 68`])
    lab.send(0, 7, A, 'fe80::9', udp())
    assert.deepEqual(lab.drops, { 'router.linkLocal': 2 })
    lab.ends()
  })
  test('groups, loopback and nobody', () => {
    const lab = met()
    lab.send(0, 7, A, 'ff0e::1', udp())
    lab.send(0, 7, A, '::1', udp())
    lab.send(0, 7, '::1', B, udp())
    lab.send(0, 7, '::', B, udp())
    lab.send(0, 7, '2001:db8:b::1', B, udp())
    assert.deepEqual(lab.drops, { 'router.group': 1, 'router.martianDestination': 1, 'router.martianSource': 3 })
    lab.ends()
  })
})

describe('the fast path', () => {
  /** Sends `bytes` by way of each path and returns what came out where; a start that is no multiple of four goes the slow way. */
  function both(
    change: (bytes: Uint8Array) => void,
    options: ConstructorParameters<typeof RouterLab>[0] = {},
    from = A7,
    to = B9
  ): [string[], string[]] {
    const [aligned, shifted] = [0, 2].map((shift) => {
      const lab = met(options)
      // The way is in the cache from here on.
      lab.send(0, 7, from, to, udp())
      lab.send(0, 7, A7, FAR, udp())
      for (const port of [0, 1, 2]) lab.take(port)
      const bytes = frame(from, to, udp(), { from: station(0, 7), to: ROUTER_MACS[0] })
      change(bytes)
      lab.put(0, bytes, (handle) => {
        const { frames } = lab.net.engine
        const start = frames.start[handle]
        frames.bytes(handle).copyWithin(start + shift, start, start + bytes.length)
        frames.start[handle] = start + shift
      })
      const out = [0, 1, 2].flatMap((port) => lab.bytes(port).map((sent) => `${port} ${words(sent)} ${Buffer.from(sent).toString('hex')}`))
      const result = [...out, ...Object.keys(lab.drops), `forwarded ${lab.counters['forwarded']}`]
      lab.ends()
      return result
    })
    return [aligned, shifted]
  }
  const same = (name: string, change: (bytes: Uint8Array) => void, options?: ConstructorParameters<typeof RouterLab>[0]): void => {
    test(name, () => {
      const [fast, slow] = both(change, options)
      // Identification of errors comes from each router's own count, which both share.
      assert.deepEqual(fast, slow)
    })
  }
  const sum = (bytes: Uint8Array): void => {
    bytes.set([0, 0], 24)
    let total = 0
    for (let i = 14; i < 34; i += 2) total += (bytes[i] << 8) | bytes[i + 1]
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
    bytes.set([(~total >>> 8) & 0xff, ~total & 0xff], 24)
  }
  same('a plain packet', () => {})
  for (const [name, at, value] of [
    ['TTL 1', 22, 1],
    ['TTL 0', 22, 0],
    ['TTL 255', 22, 255],
    ['TOS', 15, 0xff],
    ['source 0/8', 26, 0],
    ['source 127/8', 26, 127],
    ['source group', 26, 230],
    ['source 240/4', 26, 250],
    ['DF', 20, 0x40],
    ['later fragment', 21, 9],
    ['another version', 14, 0x65],
    ['short total length', 17, 19],
    ['long total length', 17, 200],
    ['another destination', 33, 77],
    ['group MAC', 0, 3],
    ['another MAC', 5, 0xee],
    ['EtherType', 13, 6]
  ] as const) {
    same(name, (bytes) => {
      bytes[at] = value
      sum(bytes)
    })
  }
  same('our own address as source', (bytes) => {
    bytes.set([192, 0, 2, 1], 26)
    sum(bytes)
  })
  same('a wrong checksum', (bytes) => (bytes[25] ^= 0x10))
  same('no decrement on the way in', () => {}, { interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], noDecrement: true } } })
  same('no decrement on the way out', () => {}, { interfaces: { ...INTERFACES, 1: { ...INTERFACES[1], noDecrement: true } } })
  for (let id = 0; id < 0x10000; id += 0x1111) {
    same(`checksums of every kind: identification ${id.toString(16)}`, (bytes) => {
      bytes.set([id >> 8, id & 255], 18)
      sum(bytes)
    })
  }
  test('the carry around the end of the checksum is right for every value', () => {
    const lab = met()
    for (let low = 0; low < 256; low++) {
      for (const high of [0, 0xfe, 0xff]) {
        const bytes = frame(A7, B9, udp(), { from: station(0, 7), to: ROUTER_MACS[0] })
        // The identification that makes the checksum what is wanted.
        bytes.set([0, 0], 18)
        sum(bytes)
        const field = (bytes[24] << 8) | bytes[25]
        let id = (field + 0xffff - ((high << 8) | low)) % 0xffff
        if (id === 0 && ((high << 8) | low) !== field) id = 0xffff
        bytes.set([id >> 8, id & 255], 18)
        sum(bytes)
        lab.put(0, bytes)
        const [out] = lab.bytes(1)
        assert.ok(parseIpv4Header(out, 14, out.length), `checksum ${bytes[24]} ${bytes[25]}`)
      }
    }
    lab.ends()
  })
  const A6 = '2001:db8:a::7'
  const B6 = '2001:db8:b::7'
  const same6 = (name: string, change: (bytes: Uint8Array) => void, options?: ConstructorParameters<typeof RouterLab>[0]): void => {
    test(`IPv6: ${name}`, () => {
      const [fast, slow] = both(change, options, A6, B6)
      assert.deepEqual(fast, slow)
    })
  }
  same6('a plain packet', () => {})
  for (const [name, at, value] of [
    ['no hop left', 21, 1],
    ['hop limit 0', 21, 0],
    ['hop limit 255', 21, 255],
    ['traffic class', 15, 0xf0],
    ['another version', 14, 0x40],
    ['TCP', 20, 6],
    ['ICMPv6', 20, 58],
    ['extension headers that are none', 20, 0],
    ['a fragment header', 20, 44],
    ['short payload length', 19, 3],
    ['long payload length', 18, 9],
    ['another destination', 53, 77],
    ['another network', 42, 77],
    ['source group', 22, 0xff],
    ['group MAC', 0, 0x33],
    ['another MAC', 5, 0xee]
  ] as const) {
    same6(name, (bytes) => {
      bytes[at] = value
    })
  }
  for (const source of ['fe80::1', 'febf::1', '::', '::1', '2001:db8:a::1', '2001:db8:b::1', '2001:db8::ffff']) {
    same6(`a source of ${source}`, (bytes) => bytes.set(parseIpv6(source), 22))
  }
  same6('no decrement on the way out', () => {}, { interfaces: { ...INTERFACES, 1: { ...INTERFACES[1], noDecrement: true } } })
  same6('no decrement on the way in', () => {}, { interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], noDecrement: true } } })
  test('is what these tests compare with: the way is in the cache', () => {
    for (const [from, to] of [
      [A7, B9],
      [A6, B6]
    ]) {
      const lab = met()
      lab.send(0, 7, from, to, udp())
      assert.equal(lab.command<{ cached: number }>('stats').cached, 1)
      lab.ends()
    }
  })
  test('ends with every change of what it rests on', () => {
    const lab = met()
    const go = (): string[] => {
      for (let i = 0; i < 2; i++) lab.send(0, 7, A7, FAR, udp())
      return [...lab.take(1), ...lab.take(2)].map((text) => text.slice(0, 37))
    }
    assert.deepEqual(go(), [TO_UP, TO_UP])
    lab.update({ routes: { '198.18.0.0/15': { via: B9, interface: 1 } } })
    assert.deepEqual(go(), [TO_B, TO_B])
    lab.update({ routes: { '198.18.0.0/15': null } })
    assert.deepEqual(go(), [TO_UP, TO_UP])
    lab.run(2)
    const moved = '02:cc:00:00:0c:99'
    lab.arp(2, 1, moved, '203.0.113.254', '203.0.113.1')
    lab.take(2)
    assert.deepEqual(go(), Array(2).fill(`${ROUTER_MACS[2]} > ${moved}`))
    lab.update({ interfaces: { 2: null } })
    assert.deepEqual(go(), [])
    lab.ends()
  })
})
