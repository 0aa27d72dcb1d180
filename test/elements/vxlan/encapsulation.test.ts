// What leaves by the underlay: headers, limits, answers, copies, super-frames.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { VxlanChange } from '../../../src/elements/vxlan/vxlan-options.ts'
import { FrameFlag, GsoTunnel } from '../../../src/engine/frame-pool.ts'
import { formatMac, macAt, parseIpv4 } from '../../../src/wire/address.ts'
import { emitArp, parseArp } from '../../../src/wire/arp.ts'
import { get16, put16 } from '../../../src/wire/big-endian.ts'
import { onesComplementSum, pseudoHeaderSum } from '../../../src/wire/checksum.ts'
import { emitEthernet, parseEthernet } from '../../../src/wire/ethernet.ts'
import { parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { emitIpv6, parseIpv6Header } from '../../../src/wire/ipv6.ts'
import { emitNeighborDiscovery, parseNeighborDiscovery } from '../../../src/wire/neighbor-discovery.ts'
import { parseUdp, udpChecksum, udpSourcePort } from '../../../src/wire/udp.ts'
import { parseVxlan } from '../../../src/wire/vxlan.ts'
import type { ArrivedFrame } from '../../engine/test-elements.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import {
  BROADCAST,
  inner,
  LOCAL_MAC,
  MAC,
  NEXT_HOP,
  OTHER,
  OWN,
  PEER_ADDRESSES,
  PEER_MAC,
  RECORDS,
  REMOTE,
  VNI,
  VtepBench
} from './vtep-bench.ts'

/** Reads an outer frame by the parsers of `wire`, which know nothing of the element. */
function decode({ bytes }: Pick<ArrivedFrame, 'bytes'>) {
  const ethernet = parseEthernet(bytes, 0, bytes.length)!
  const ip = ethernet.type === 0x0800 ? parseIpv4Header(bytes, 14, bytes.length)! : parseIpv6Header(bytes, 14, bytes.length)!
  const udpAt = ethernet.type === 0x0800 ? 34 : 54
  const udp = parseUdp(bytes, udpAt, bytes.length, 14)!
  const vxlan = parseVxlan(udp.payload, 0, udp.payload.length)!
  return { ethernet, ip, udp, vni: vxlan.vni, inner: udp.payload.subarray(8), checksum: udpChecksum(bytes, udpAt) }
}

const SIX = { segments: { [VNI]: { port: 1 } }, peers: { [`${VNI}/${PEER_MAC}`]: { vtep: REMOTE[6], addresses: PEER_ADDRESSES } } }

describe('outer headers', () => {
  test('IPv4: RFC 7348 section 5, byte for byte in every field', () => {
    const bench = new VtepBench()
    const frame = inner()
    const { u } = bench.send('s1', frame)
    const { ethernet, ip, udp, vni, inner: carried, checksum } = decode(u[0])
    assert.deepEqual(ethernet, { destination: NEXT_HOP, source: MAC, type: 0x0800 })
    assert.deepEqual([ip.source, ip.destination, 'ttl' in ip && ip.ttl], [OWN[4], REMOTE[4], 64])
    assert.equal('dontFragment' in ip && ip.dontFragment, false)
    assert.equal(udp.destinationPort, 4789)
    assert.ok(udp.sourcePort >= 49_152)
    assert.equal(checksum, 0)
    assert.equal(vni, VNI)
    assert.deepEqual(carried, frame)
    assert.equal(u[0].bytes.length, frame.length + 50)
  })

  test('IPv6 has a checksum, which is right', () => {
    const { u } = new VtepBench(SIX).send('s1', inner())
    const { ip, vni, inner: carried, checksum } = decode(u[0])
    assert.deepEqual([ip.source, ip.destination, vni], [OWN[6], REMOTE[6], VNI])
    assert.notEqual(checksum, 0)
    assert.deepEqual(carried, inner())
    assert.equal(u[0].bytes.length, inner().length + 70)
  })

  test('options: checksum over IPv4, DF, TTL, port', () => {
    const bench = new VtepBench({ ...RECORDS, udpChecksum: true, dontFragment: true, ttl: 9, port: 8472 })
    const { ip, udp, checksum } = decode(bench.send('s1', inner()).u[0])
    assert.deepEqual(['ttl' in ip && ip.ttl, 'dontFragment' in ip && ip.dontFragment, udp.destinationPort], [9, true, 8472])
    assert.notEqual(checksum, 0)
  })

  test('new options are taken over while records stay', () => {
    const bench = new VtepBench()
    bench.change({ peers: { [`${VNI}/02:42:0a:00:00:09`]: { vtep: OTHER } } })
    bench.setOptions({ ...RECORDS, ttl: 7, mac: '02:cc:00:00:00:77' })
    const { ethernet, ip } = decode(bench.send('s1', inner({ destination: '02:42:0a:00:00:09' })).u[0])
    assert.deepEqual([ethernet.source, 'ttl' in ip && ip.ttl, ip.destination], ['02:cc:00:00:00:77', 7, OTHER])
  })

  test('identification counts on', () => {
    const bench = new VtepBench()
    const ids = [1, 2, 3].map(() => get16(bench.send('s1', inner()).u[0].bytes, 18))
    assert.deepEqual([(ids[1] - ids[0]) & 0xffff, (ids[2] - ids[1]) & 0xffff], [1, 1])
  })

  test('a flow keeps its source port; flows spread over the range', () => {
    const bench = new VtepBench()
    const portOf = (sourcePort: number): number => udpSourcePort(bench.send('s1', inner({ sourcePort })).u[0].bytes, 34)
    const ports = Array.from({ length: 200 }, (_, number) => portOf(2000 + number))
    assert.deepEqual(
      ports.slice(0, 5),
      [0, 1, 2, 3, 4].map((number) => portOf(2000 + number))
    )
    assert.ok(new Set(ports.map((port) => port & 63)).size > 45, 'sockets of a fan')
    assert.ok(ports.every((port) => port >= 49_152))
  })

  test('the congestion bits go along, DSCP does not', () => {
    const bench = new VtepBench()
    for (const [tos, expected] of [
      [0xb9, 1],
      [2, 2],
      [3, 2],
      [0xfc, 0]
    ]) {
      const { ip } = decode(bench.send('s1', inner({ tos })).u[0])
      assert.equal('tos' in ip && ip.tos, expected)
    }
  })

  test('a batch by the short way and frames one by one come out alike', () => {
    const random = seededRandom(11)
    const frames = Array.from({ length: 300 }, (_, number) =>
      random(8) === 0 ? inner({ destination: BROADCAST }) : inner({ sourcePort: 1000 + number, payload: random(1300) })
    )
    const options = { ...RECORDS, segments: { [VNI]: { port: 1, bum: 'flood' as const } } }
    const one = new VtepBench(options)
    const single = frames.flatMap((frame) => one.send('s1', frame).u.map(({ bytes }) => bytes))
    const many = new VtepBench(options)
    for (const frame of frames) many.port('s1').send(frame)
    many.run()
    assert.deepEqual(
      many
        .port('u')
        .take()
        .map((bytes) => Buffer.from(bytes)),
      single.map((bytes) => Buffer.from(bytes))
    )
  })
})

describe('where frames go', () => {
  test('what is not known ends here by name', () => {
    const bench = new VtepBench()
    bench.send('s1', inner({ destination: '02:42:0a:00:00:99' }))
    bench.send('s1', inner({ destination: BROADCAST }))
    bench.send('s1', inner({ destination: '01:00:5e:00:00:fb' }))
    bench.send('s2', inner())
    bench.send('s1', inner().subarray(0, 13))
    assert.deepEqual(bench.drops, { 'vxlan.unknownDestination': 1, 'vxlan.broadcast': 2, 'vxlan.noSegment': 1, 'vxlan.runt': 1 })
  })

  test('a segment that floods: a copy to each VTEP of its peers and remotes, none to the VTEPs of others', () => {
    const bench = new VtepBench({
      segments: { [VNI]: { port: 1, bum: 'flood', remotes: [REMOTE[6]] }, 257: { port: 2, bum: 'flood' } },
      peers: { [`${VNI}/${PEER_MAC}`]: { vtep: REMOTE[4] }, '257/02:42:0a:00:01:02': { vtep: OTHER } }
    })
    for (const destination of [BROADCAST, '01:00:5e:00:00:fb', '02:42:0a:00:00:99']) {
      const { u } = bench.send('s1', inner({ destination }))
      assert.deepEqual(u.map((frame) => decode(frame).ip.destination).sort(), [REMOTE[4], REMOTE[6]])
      for (const frame of u) assert.deepEqual(decode(frame).inner, inner({ destination }))
    }
    assert.deepEqual(bench.counters('vtep').counters['copies'], 3)
  })

  test('a segment that floods and has nobody else', () => {
    const bench = new VtepBench({ segments: { [VNI]: { port: 1, bum: 'flood', remotes: [OWN[4]] } } })
    assert.deepEqual(bench.send('s1', inner({ destination: BROADCAST })).u, [])
    assert.deepEqual(bench.drops, { 'vxlan.noVtep': 1 })
  })

  test('a peer behind ourselves, and one of a family that we have no address of', () => {
    const bench = new VtepBench({ addresses: [OWN[4]], ...RECORDS })
    bench.change({ peers: { [`${VNI}/02:42:0a:00:00:07`]: { vtep: OWN[4] }, [`${VNI}/02:42:0a:00:00:08`]: { vtep: REMOTE[6] } } })
    bench.send('s1', inner({ destination: '02:42:0a:00:00:07' }))
    bench.send('s1', inner({ destination: '02:42:0a:00:00:08' }))
    assert.deepEqual(bench.drops, { 'vxlan.hairpin': 1, 'vxlan.noUnderlay': 1 })
  })

  test('peers come, move and go; the same MAC in two VNIs is two peers', () => {
    const bench = new VtepBench({ segments: { 256: { port: 1 }, 257: { port: 2 } } })
    const to = (port: 's1' | 's2'): string[] =>
      bench.send(port, inner()).u.map((frame) => `${decode(frame).ip.destination} ${decode(frame).vni}`)
    bench.change({ peers: { [`256/${PEER_MAC}`]: { vtep: REMOTE[4] }, [`257/${PEER_MAC}`]: { vtep: OTHER } } })
    assert.deepEqual([to('s1'), to('s2')], [[`${REMOTE[4]} 256`], [`${OTHER} 257`]])
    bench.change({ peers: { [`256/${PEER_MAC}`]: { vtep: OTHER } } })
    assert.deepEqual(to('s1'), [`${OTHER} 256`])
    bench.change({ peers: { [`256/${PEER_MAC}`]: null } })
    assert.deepEqual([to('s1'), to('s2')], [[], [`${OTHER} 257`]])
  })

  test('a change is whole or not at all', () => {
    const bench = new VtepBench()
    const before = bench.command('vtep', 'segments')
    const changes: VxlanChange[] = [
      { peers: { [`${VNI}/02:42:0a:00:00:09`]: { vtep: OTHER }, [`${VNI}/01:00:00:00:00:00`]: { vtep: OTHER } } },
      { segments: { 300: { port: 1 } } },
      { segments: { 16777216: { port: 3 } } },
      { segments: { 301: { port: 0 } } },
      { vteps: { '192.0.2.300': true } },
      { peers: { nonsense: null } }
    ]
    for (const change of changes) {
      assert.throws(() => bench.change(change))
      assert.deepEqual(bench.command('vtep', 'segments'), before)
    }
    // Another element refuses its part of the same change.
    bench.engine.patch({ elements: { second: { type: 'vxlan', options: { addresses: [OTHER], mac: MAC, nextHopMac: NEXT_HOP } } } })
    const good = { segments: { [VNI]: null, 300: { port: 2 } }, vteps: { [OTHER]: true }, peers: { [`${VNI}/${PEER_MAC}`]: null } }
    const bad = { vteps: { x: true } }
    assert.throws(() =>
      bench.engine.patch({
        updates: [
          { element: 'vtep', change: good },
          { element: 'second', change: bad }
        ]
      })
    )
    assert.deepEqual(bench.command('vtep', 'segments'), before)
    assert.equal(bench.send('s1', inner()).u.length, 1)
  })

  test('explain says what would happen', () => {
    const bench = new VtepBench()
    const ask = (destination: string, port = 1) =>
      bench.command('vtep', 'explain', { port, destination }) as { vtep: string; reason: string; mtu: number }
    assert.deepEqual([ask(PEER_MAC).vtep, ask(PEER_MAC).mtu], [REMOTE[4], 1450])
    assert.equal(ask(BROADCAST).reason, 'vxlan.broadcast')
    assert.equal(ask('02:42:0a:00:00:99').reason, 'vxlan.unknownDestination')
    assert.equal(ask(PEER_MAC, 2).reason, 'vxlan.noSegment')
  })
})

describe('neighbors', () => {
  const request = (target: string, destination = BROADCAST, sender = '10.0.0.2'): Uint8Array => {
    const bytes = new Uint8Array(42)
    emitEthernet({ source: LOCAL_MAC, destination, type: 0x0806 }, bytes, 0)
    emitArp({ operation: 1, senderMac: LOCAL_MAC, senderIp: sender, targetMac: '00:00:00:00:00:00', targetIp: target }, bytes, 14)
    return bytes
  }

  test('ARP for a known remote address is answered here, also when it is asked directly', () => {
    const bench = new VtepBench()
    for (const destination of [BROADCAST, PEER_MAC]) {
      const { s1, u } = bench.send('s1', request('10.0.0.3', destination))
      assert.deepEqual([s1.length, u.length], [1, 0])
      assert.deepEqual(parseEthernet(s1[0].bytes, 0, 42), { source: PEER_MAC, destination: LOCAL_MAC, type: 0x0806 })
      const reply = { operation: 2, senderMac: PEER_MAC, senderIp: '10.0.0.3', targetMac: LOCAL_MAC, targetIp: '10.0.0.2' }
      assert.deepEqual(parseArp(s1[0].bytes, 14, 42), reply)
    }
    assert.equal(bench.counters('vtep').counters['answered'], 2)
  })

  test('ARP for others, announcements, and segments without suppression: as any broadcast', () => {
    const bench = new VtepBench()
    bench.send('s1', request('10.0.0.77'))
    bench.send('s1', request('10.0.0.3', BROADCAST, '10.0.0.3'))
    bench.change({ segments: { [VNI]: { port: 1, suppress: false } } })
    bench.send('s1', request('10.0.0.3'))
    assert.deepEqual(bench.drops, { 'vxlan.broadcast': 3 })
  })

  test('an address goes with its peer, but not when another has it by then', () => {
    const bench = new VtepBench()
    bench.change({ peers: { [`${VNI}/02:42:0a:00:00:09`]: { vtep: OTHER, addresses: ['10.0.0.3'] } } })
    bench.change({ peers: { [`${VNI}/${PEER_MAC}`]: null } })
    assert.equal(formatMac(macAt(bench.send('s1', request('10.0.0.3')).s1[0].bytes, 6)), '02:42:0a:00:00:09')
    bench.change({ peers: { [`${VNI}/02:42:0a:00:00:09`]: null } })
    assert.deepEqual(bench.send('s1', request('10.0.0.3')).s1, [])
  })

  test('neighbor solicitations are answered, probes for a known address to all', () => {
    const bench = new VtepBench()
    const solicit = (source: string, linkLayer: string | null): Uint8Array => {
      const length = linkLayer === null ? 24 : 32
      const bytes = new Uint8Array(54 + length)
      emitEthernet({ source: LOCAL_MAC, destination: '33:33:ff:00:00:03', type: 0x86dd }, bytes, 0)
      emitIpv6({ source, destination: 'ff02::1:ff00:3', nextHeader: 58, payloadLength: length, hopLimit: 255 }, bytes, 14)
      emitNeighborDiscovery({ kind: 'neighbor-solicitation', target: PEER_ADDRESSES[1], linkLayer } as never, bytes, 54, 14)
      return bytes
    }
    const answers = [solicit('2001:db8:a::2', LOCAL_MAC), solicit('::', null)].map((frame) => bench.send('s1', frame).s1[0].bytes)
    const parsed = answers.map((bytes) => {
      assert.equal(bytes.length, 86)
      return { ...parseNeighborDiscovery(bytes, 54, 86, 14)!, to: parseIpv6Header(bytes, 14, 86)!.destination }
    })
    for (const [index, to] of ['2001:db8:a::2', 'ff02::1'].entries()) {
      const { kind, target, linkLayer, to: at } = parsed[index] as never as { kind: string; target: string; linkLayer: string; to: string }
      assert.deepEqual([kind, target, linkLayer, at], ['neighbor-advertisement', PEER_ADDRESSES[1], PEER_MAC, to])
    }
    assert.deepEqual([formatMac(macAt(answers[0], 0)), formatMac(macAt(answers[1], 0))], [LOCAL_MAC, '33:33:00:00:00:01'])
  })
})

describe('packets that are too long', () => {
  test('at the limit it passes; with DF beyond it, its sender is told the limit, from the address spoken to', () => {
    const bench = new VtepBench()
    assert.equal(bench.send('s1', inner({ payload: 1450 - 28 })).u[0].bytes.length, 1514)
    const long = inner({ payload: 1450 - 27 })
    const { s1, u } = bench.send('s1', long)
    assert.equal(u.length, 0)
    const [{ bytes }] = s1
    assert.deepEqual(parseEthernet(bytes, 0, bytes.length), { source: PEER_MAC, destination: LOCAL_MAC, type: 0x0800 })
    const ip = parseIpv4Header(bytes, 14, bytes.length)!
    assert.deepEqual([ip.source, ip.destination, ip.protocol], ['10.0.0.3', '10.0.0.2', 1])
    assert.deepEqual([bytes[34], bytes[35], get16(bytes, 40)], [3, 4, 1450])
    assert.equal(onesComplementSum(bytes, 34, bytes.length - 34, 0), 0xffff)
    assert.deepEqual(bytes.subarray(42), long.subarray(14, 14 + bytes.length - 42))
    assert.deepEqual(bench.drops, { 'vxlan.tooBig': 1 })
  })

  test('without DF it is cut, and nothing is lost', () => {
    const bench = new VtepBench()
    const { u, s1 } = bench.send('s1', inner({ payload: 3000, dontFragment: false }))
    assert.equal(s1.length, 0)
    const parts = u.map((frame) => decode(frame).inner)
    assert.ok(parts.length === 3 && parts.every((part) => part.length <= 1464))
    const headers = parts.map((part) => parseIpv4Header(part, 14, part.length)!)
    assert.deepEqual(
      headers.map(({ fragmentOffset, moreFragments }) => [fragmentOffset, moreFragments]),
      [
        [0, true],
        [1424, true],
        [2848, false]
      ]
    )
    assert.equal(bench.counters('vtep').counters['copies'], 2)
  })

  test('IPv6: packet too big', () => {
    const { s1 } = new VtepBench(SIX).send('s1', inner({ from: '2001:db8:a::2', to: '2001:db8:a::3', payload: 1400 }))
    const { bytes } = s1[0]
    const ip = parseIpv6Header(bytes, 14, bytes.length)!
    assert.deepEqual([ip.source, ip.destination, ip.nextHeader], ['2001:db8:a::3', '2001:db8:a::2', 58])
    // 1,500 less the 70 bytes that an underlay of IPv6 takes: less than the segment's 1,450.
    assert.deepEqual([bytes[54], bytes[55], get16(bytes, 60)], [2, 0, 1430])
    assert.equal(onesComplementSum(bytes, 54, bytes.length - 54, pseudoHeaderSum(bytes, 14, 58, bytes.length - 54)), 0xffff)
  })

  test('nobody is told of groups, errors and what is no IP: dropped as oversize', () => {
    const bench = new VtepBench({ ...RECORDS, segments: { [VNI]: { port: 1, bum: 'flood', remotes: [REMOTE[4]] } } })
    const strange = inner({ payload: 1500 })
    put16(strange, 12, 0x88b5)
    const error = inner({ payload: 1500 })
    error[23] = 1
    error[34] = 3
    put16(error, 24, 0)
    put16(error, 24, ~onesComplementSum(error, 14, 20, 0) & 0xffff)
    const frames = [strange, error, inner({ payload: 1500, destination: BROADCAST, to: '10.0.0.255' })]
    for (const frame of frames) assert.deepEqual(bench.send('s1', frame), { u: [], s1: [], s2: [] })
    assert.deepEqual(bench.drops, { 'vxlan.oversize': 3 })
  })

  test('a router on the way says what fits: heeded for that VTEP, forgotten after ten minutes', () => {
    const bench = new VtepBench()
    const sent = bench.send('s1', inner({ payload: 1000 })).u[0].bytes
    const error = new Uint8Array(14 + 28 + 28)
    emitEthernet({ source: NEXT_HOP, destination: MAC, type: 0x0800 }, error, 0)
    error.set([0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 198, 51, 100, 1], 14)
    new DataView(error.buffer).setInt32(30, parseIpv4(OWN[4]))
    put16(error, 24, ~onesComplementSum(error, 14, 20, 0) & 0xffff)
    error.set([3, 4, 0, 0, 0, 0, 1000 >> 8, 1000 & 255], 34)
    error.set(sent.subarray(14, 42), 42)
    bench.send('u', error)
    assert.equal(bench.drops['vxlan.heard'], 1)
    assert.equal((bench.command('vtep', 'explain', { port: 1, destination: PEER_MAC }) as { mtu: number }).mtu, 950)
    assert.equal(get16(bench.send('s1', inner({ payload: 1000 })).s1[0].bytes, 40), 950)
    bench.advance(599)
    assert.equal(bench.send('s1', inner({ payload: 1000 })).u.length, 0)
    bench.advance(2)
    assert.equal(bench.send('s1', inner({ payload: 1000 })).u.length, 1)
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })
})

describe('super-frames and partial checksums', () => {
  const tcp = (payload: number): Uint8Array => {
    const bytes = new Uint8Array(14 + 20 + 20 + payload)
    bytes.set(inner().subarray(0, 34))
    put16(bytes, 16, bytes.length - 14)
    bytes[23] = 6
    put16(bytes, 24, 0)
    put16(bytes, 24, ~onesComplementSum(bytes, 14, 20, 0) & 0xffff)
    bytes[46] = 0x50
    bytes[47] = 0x19 // ACK, PSH, FIN
    put16(bytes, 50, pseudoHeaderSum(bytes, 14, 6, bytes.length - 34))
    return bytes
  }
  const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 1410, hdrLen: 54, csumStart: 34, csumOffset: 16 }

  test('cross whole, marked as tunnelled, with fields that still speak of the inner packet', () => {
    for (const [records, added, tunnel] of [
      [RECORDS, 50, GsoTunnel.ipv4],
      [{ ...SIX, segments: { [VNI]: { port: 1, mtu: 1430 } } }, 70, GsoTunnel.ipv6]
    ] as const) {
      const bytes = tcp(50_000)
      const { u } = new VtepBench(records).send('s1', bytes, { ...fields, gsoSize: 1390 })
      const { flags, gsoType, gsoSize, hdrLen, csumStart } = u[0]
      assert.deepEqual([flags, gsoType, gsoSize, hdrLen, csumStart], [fields.flags, 1 | tunnel, 1390, 54 + added, 34 + added])
      assert.deepEqual(Buffer.from(u[0].bytes.subarray(added)), Buffer.from(bytes))
    }
  })

  test('identifications that its segments get when it is cut are not given again', () => {
    const bench = new VtepBench()
    const identification = (bytes: Uint8Array, offload: object): number => get16(bench.send('s1', bytes, offload).u[0].bytes, 18)
    const first = identification(tcp(14_100), fields)
    const segments = Math.ceil((14_100 - 54) / fields.gsoSize)
    assert.ok(((identification(inner(), {}) - first) & 0xffff) >= segments)
  })

  test('an outer checksum over a partial inner one is right once that is finished', () => {
    const bench = new VtepBench({ ...RECORDS, udpChecksum: true })
    const bytes = tcp(1000)
    const { u } = bench.send('s1', bytes, { flags: FrameFlag.csum, csumStart: 34, csumOffset: 16 })
    const finished = u[0].bytes
    put16(finished, 50 + 50, ~onesComplementSum(finished, 84, finished.length - 84, 0) & 0xffff)
    assert.equal(onesComplementSum(finished, 34, finished.length - 34, pseudoHeaderSum(finished, 14, 17, finished.length - 34)), 0xffff)
  })

  test('segments that are too long for the way: the sender is told', () => {
    const bench = new VtepBench()
    const { u, s1 } = bench.send('s1', tcp(20_000), { ...fields, gsoSize: 1448 })
    assert.deepEqual([u.length, get16(s1[0].bytes, 40)], [0, 1450])
  })

  test('one that is too long for outer headers is halved, as segmentation would', () => {
    const bench = new VtepBench()
    const bytes = tcp(65_480)
    const { u } = bench.send('s1', bytes, fields)
    assert.equal(u.length, 2)
    const halves = u.map((frame) => frame.bytes.subarray(50))
    const payloads = halves.map((half) => half.subarray(54))
    assert.deepEqual(Buffer.concat(payloads), Buffer.from(bytes.subarray(54)))
    assert.equal(payloads[0].length % fields.gsoSize, 0)
    const view = (half: Uint8Array) => new DataView(half.buffer, half.byteOffset)
    assert.deepEqual(
      halves.map((half) => view(half).getUint32(38)),
      [0, payloads[0].length]
    )
    assert.deepEqual(
      halves.map((half) => half[47]),
      [0x10, 0x19]
    )
    for (const half of halves) {
      assert.notEqual(parseIpv4Header(half, 14, half.length), null)
      assert.equal(get16(half, 50), pseudoHeaderSum(half, 14, 6, half.length - 34))
    }
  })

  test('fields that contradict the frame, and too deep an encapsulation', () => {
    const bench = new VtepBench()
    bench.send('s1', tcp(3000), { ...fields, flags: FrameFlag.gso })
    bench.send('s1', tcp(3000), { ...fields, csumStart: 3040 })
    bench.send('s1', tcp(3000), { ...fields, gsoType: 1 | GsoTunnel.ipv4 })
    assert.deepEqual(bench.drops, { 'vxlan.badHeaders': 2, 'vxlan.headroom': 1 })
  })
})
