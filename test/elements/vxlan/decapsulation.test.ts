// What comes from the underlay: good frames, bad ones each with its reason, learning.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { HEARD_VTEPS_MAX, NO_VTEP, VTEPS_MAX, VtepTable } from '../../../src/elements/vxlan/vtep-table.ts'
import { VxlanDrop } from '../../../src/elements/vxlan/vxlan-drop.ts'
import { readAddress, readVxlanOptions } from '../../../src/elements/vxlan/vxlan-options.ts'
import { dropReasons } from '../../../src/engine/drop-reason.ts'
import { FrameFlag, GsoTunnel } from '../../../src/engine/frame-pool.ts'
import { emitArp, parseArp } from '../../../src/wire/arp.ts'
import { put16 } from '../../../src/wire/big-endian.ts'
import { fold, onesComplementSum } from '../../../src/wire/checksum.ts'
import { emitEthernet } from '../../../src/wire/ethernet.ts'
import { parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import {
  BROADCAST,
  inner,
  innerBack,
  LOCAL_MAC,
  MAC,
  NEXT_HOP,
  OTHER,
  OWN,
  outer,
  PEER_MAC,
  RECORDS,
  REMOTE,
  VNI,
  VtepBench
} from './vtep-bench.ts'

const LEARNING = { segments: { [VNI]: { port: 1, bum: 'flood' as const, learning: true } } }

/** IPv4's header checksum anew, after a change of the header. */
function withSum(bytes: Uint8Array): Uint8Array {
  put16(bytes, 24, 0)
  put16(bytes, 24, ~onesComplementSum(bytes, 14, 20, 0) & 0xffff)
  return bytes
}

function changed(bytes: Uint8Array, change: (bytes: Uint8Array) => void): Uint8Array {
  change(bytes)
  return bytes
}

/** The fragments that a router with links of 576 bytes makes of an outer frame. */
function cut(frame: Uint8Array): Uint8Array[] {
  const isSix = frame[12] === 0x86
  const headers = isSix ? 54 : 34
  const step = 512
  const fragments: Uint8Array[] = []
  for (let at = headers; at < frame.length; at += step) {
    const part = frame.subarray(at, at + step)
    const more = at + step < frame.length ? 1 : 0
    const bytes = new Uint8Array(headers + (isSix ? 8 : 0) + part.length)
    bytes.set(frame.subarray(0, headers))
    bytes.set(part, bytes.length - part.length)
    if (isSix) {
      put16(bytes, 18, 8 + part.length)
      bytes.set([17, 0, 0, 0, 0, 0, 0, 7], headers)
      put16(bytes, headers + 2, (at - headers) | more)
      bytes[20] = 44
    } else {
      put16(bytes, 16, 20 + part.length)
      put16(bytes, 20, ((at - headers) >> 3) | (more << 13))
      withSum(bytes)
    }
    fragments.push(bytes)
  }
  return fragments
}

describe('good frames', () => {
  test('the inner frame comes out at the segment of its VNI, byte for byte', () => {
    const bench = new VtepBench({ ...RECORDS, segments: { [VNI]: { port: 1 }, 16777215: { port: 2 } } })
    assert.deepEqual(
      bench.send('u', outer(innerBack())).s1.map(({ bytes }) => bytes),
      [innerBack()]
    )
    assert.deepEqual(
      bench.send('u', outer(innerBack(), { vni: 16_777_215 })).s2.map(({ bytes }) => bytes),
      [innerBack()]
    )
    assert.equal(bench.counters('vtep').counters['decapsulated'], 2)
  })

  test('over IPv6, and with a checksum over IPv4; a zero one over IPv6 (RFC 6935)', () => {
    const bench = new VtepBench({ ...RECORDS, vteps: { [REMOTE[6]]: true } })
    const six = outer(innerBack(), { source: REMOTE[6], destination: OWN[6] })
    for (const frame of [six, outer(innerBack(), { checksum: true }), changed(six.slice(), (bytes) => put16(bytes, 60, 0))]) {
      assert.deepEqual(
        bench.send('u', frame).s1.map(({ bytes }) => bytes),
        [innerBack()]
      )
    }
  })

  test('reserved bits are ignored, padding of the underlay is not part of the frame', () => {
    const bench = new VtepBench()
    const bits = changed(outer(innerBack()), (bytes) => bytes.set([0xff, 1, 2, 3], 42))
    assert.deepEqual(bench.send('u', bits).s1[0].bytes, innerBack())
    const padded = new Uint8Array(200)
    padded.set(outer(innerBack()))
    assert.deepEqual(bench.send('u', padded).s1[0].bytes, innerBack())
  })

  test('VXLAN inside VXLAN is payload: taken off once', () => {
    const nested = outer(innerBack())
    put16(nested, 6, 0x0242)
    assert.deepEqual(new VtepBench().send('u', outer(nested)).s1[0].bytes, nested)
  })

  test('congestion on the way goes on with the inner packet, where its ends know of it', () => {
    const bench = new VtepBench()
    const { s1 } = bench.send('u', outer(innerBack({ tos: 2 }), { tos: 3 }))
    assert.equal(parseIpv4Header(s1[0].bytes, 14, s1[0].bytes.length)!.tos, 3)
    assert.deepEqual(bench.send('u', outer(innerBack({ tos: 0 }), { tos: 3 })).s1, [])
    assert.deepEqual(bench.drops, { 'vxlan.congestion': 1 })
  })

  test('a super-frame in a tunnel, a partial inner checksum, a partial outer one', () => {
    const bench = new VtepBench()
    const bytes = outer(innerBack({ payload: 3000 }))
    const tunnel = {
      flags: FrameFlag.gso | FrameFlag.csum,
      gsoType: 5 | GsoTunnel.ipv4,
      gsoSize: 1000,
      hdrLen: 92,
      csumStart: 84,
      csumOffset: 6
    }
    const [whole] = bench.send('u', bytes, tunnel).s1
    assert.deepEqual([whole.flags, whole.gsoType, whole.hdrLen, whole.csumStart], [tunnel.flags, 5, 42, 34])
    const partial = bench.send('u', bytes, { flags: FrameFlag.csum, csumStart: 84, csumOffset: 6 }).s1[0]
    assert.deepEqual([partial.flags, partial.csumStart, partial.csumOffset], [FrameFlag.csum, 34, 6])
    const outside = outer(innerBack(), { checksum: true })
    assert.equal(bench.send('u', outside, { flags: FrameFlag.csum, csumStart: 34, csumOffset: 6 }).s1[0].flags, 0)
  })

  test('an ARP question for the VTEP is answered', () => {
    const question = new Uint8Array(42)
    emitEthernet({ source: NEXT_HOP, destination: BROADCAST, type: 0x0806 }, question, 0)
    const ends = { senderMac: NEXT_HOP, senderIp: '192.0.2.1', targetMac: '00:00:00:00:00:00' }
    emitArp({ operation: 1, ...ends, targetIp: OWN[4] }, question, 14)
    const { u } = new VtepBench().send('u', question)
    assert.deepEqual([parseArp(u[0].bytes, 14, 42)!.senderMac, parseArp(u[0].bytes, 14, 42)!.senderIp], [MAC, OWN[4]])
  })
})

describe('outer packets that a router has cut', () => {
  const whole = innerBack({ payload: 1400 })

  for (const [title, options] of [
    ['IPv4', {}],
    ['IPv4 with a UDP checksum', { checksum: true }],
    ['IPv6', { source: REMOTE[6], destination: OWN[6] }]
  ] as const) {
    test(`${title}: come out whole, in whatever order the fragments come`, () => {
      const bench = new VtepBench({ ...RECORDS, vteps: { [REMOTE[4]]: true, [REMOTE[6]]: true } })
      for (const order of [cut(outer(whole, options)), cut(outer(whole, options)).reverse()]) {
        const last = order.pop()!
        for (const fragment of order) assert.deepEqual(bench.send('u', fragment), { u: [], s1: [], s2: [] })
        const [frame] = bench.send('u', last).s1
        assert.deepEqual([frame.bytes, frame.flags], [whole, 0])
      }
      assert.deepEqual([bench.drops, bench.engine.frames.inUse], [{}, 0])
      assert.equal(bench.counters('vtep').counters['fragmentsJoined'], 2 * (cut(outer(whole, options)).length - 1))
    })
  }

  test('one that is lost: the others end after half a minute', () => {
    const bench = new VtepBench()
    const fragments = cut(outer(whole))
    for (const fragment of fragments.slice(1)) bench.send('u', fragment)
    bench.advance(31)
    assert.deepEqual([bench.drops, bench.engine.frames.inUse], [{ 'fragment.timeout': fragments.length - 1 }, 0])
  })

  test('of any VTEP where a segment learns', () => {
    const bench = new VtepBench({ segments: { [VNI]: { port: 1, learning: true } } })
    const frames = cut(outer(whole, { source: OTHER })).flatMap((fragment) => bench.send('u', fragment).s1)
    assert.deepEqual(
      frames.map(({ bytes }) => bytes),
      [whole]
    )
  })
})

describe('bad frames, each with its reason', () => {
  const cases: readonly (readonly [title: string, reason: keyof typeof VxlanDrop, frame: () => Uint8Array])[] = [
    ['wrong VNI', 'wrongVni', () => outer(innerBack(), { vni: 257 })],
    ['no I flag', 'noVniFlag', () => changed(outer(innerBack()), (bytes) => bytes.set([0xf7], 42))],
    ['a source that is no VTEP', 'unknownVtep', () => outer(innerBack(), { source: OTHER })],
    ['our own address as source', 'ownSource', () => outer(innerBack(), { source: OWN[4] })],
    ['another destination', 'notForUs', () => outer(innerBack(), { destination: OTHER })],
    ['another station', 'notForUs', () => outer(innerBack(), { mac: '02:cc:00:00:00:99' })],
    ['another UDP port', 'notVxlan', () => outer(innerBack(), { port: 4790 })],
    ['a group as inner source', 'groupSource', () => outer(innerBack({ source: '03:42:0a:00:00:03' }))],
    ['no inner source', 'groupSource', () => outer(innerBack({ source: '00:00:00:00:00:00' }))],
    ['an IP checksum that is wrong', 'badChecksum', () => changed(outer(innerBack()), (bytes) => put16(bytes, 24, 1))],
    [
      'a UDP checksum that is wrong',
      'badChecksum',
      () => changed(outer(innerBack(), { checksum: true }), (bytes) => bytes.set([0x77], 100))
    ],
    ['a fragment of a source that is no VTEP', 'unknownVtep', () => cut(outer(innerBack({ payload: 600 }), { source: OTHER }))[1]],
    ['an IP length beyond the frame', 'malformed', () => withSum(changed(outer(innerBack()), (bytes) => put16(bytes, 16, 2000)))],
    ['a UDP length beyond the packet', 'malformed', () => changed(outer(innerBack()), (bytes) => put16(bytes, 38, 2000))],
    ['TCP', 'notVxlan', () => withSum(changed(outer(innerBack()), (bytes) => bytes.set([6], 23)))],
    ['no IP at all', 'notVxlan', () => changed(outer(innerBack()), (bytes) => put16(bytes, 12, 0x88b5))]
  ]
  for (const [title, reason, frame] of cases) {
    test(`${title}: ${reason}`, () => {
      const bench = new VtepBench()
      assert.deepEqual(bench.send('u', frame()), { u: [], s1: [], s2: [] })
      assert.deepEqual(bench.drops, { [`vxlan.${reason}`]: 1 })
      assert.equal(bench.engine.frames.inUse, 0)
    })
  }

  test('a datagram that ends in the VXLAN header or the inner Ethernet header, at every length', () => {
    const bench = new VtepBench()
    const whole = new Uint8Array([8, 0, 0, 0, 0, 1, 0, 0, ...innerBack()])
    for (let length = 0; length < 22; length++) bench.send('u', outer(whole.subarray(0, length), { raw: true }))
    assert.deepEqual(bench.drops, { 'vxlan.truncated': 22 })
    assert.equal(bench.send('u', outer(whole.subarray(0, 22), { raw: true })).s1.length, 1)
  })

  test('a frame that is cut at every length ends by name', () => {
    const bench = new VtepBench()
    const whole = outer(innerBack())
    for (let length = 0; length < whole.length; length++)
      assert.deepEqual(bench.send('u', whole.subarray(0, length)), { u: [], s1: [], s2: [] })
    assert.equal(
      Object.values(bench.drops).reduce((sum, count) => sum + count),
      whole.length
    )
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('offload fields that contradict the frame', () => {
    const bench = new VtepBench()
    const fields = {
      flags: FrameFlag.gso | FrameFlag.csum,
      gsoType: 1 | GsoTunnel.ipv4,
      gsoSize: 1000,
      hdrLen: 92,
      csumStart: 84,
      csumOffset: 16
    }
    // Several datagrams in one; no partial checksum; headers that end before the tunnel's.
    for (const wrong of [{ gsoType: 5 }, { flags: FrameFlag.gso }, { hdrLen: 40 }])
      bench.send('u', outer(innerBack({ payload: 3000 })), { ...fields, ...wrong })
    assert.deepEqual(bench.drops, { 'vxlan.badHeaders': 3 })
  })

  test('a VTEP that is no longer known, a VNI that is gone: also for flows that took the short way', () => {
    const bench = new VtepBench()
    const count = (): number => bench.send('u', outer(innerBack())).s1.length
    assert.deepEqual([count(), count(), count()], [1, 1, 1])
    bench.change({ vteps: { [REMOTE[4]]: null }, peers: { [`${VNI}/${PEER_MAC}`]: null } })
    assert.equal(count(), 0)
    bench.change({ vteps: { [REMOTE[4]]: true } })
    assert.deepEqual([count(), count()], [1, 1])
    bench.change({ segments: { [VNI]: null } })
    assert.equal(count(), 0)
    assert.deepEqual(bench.drops, { 'vxlan.unknownVtep': 1, 'vxlan.wrongVni': 1 })
  })

  test('random changes of a good frame: nothing is lost, nothing comes out that is longer than what came in', () => {
    const random = seededRandom(23)
    const bench = new VtepBench({ ...RECORDS, ...LEARNING, vteps: { [REMOTE[4]]: true } })
    let out = 0
    const steps = 20_000
    for (let step = 0; step < steps; step++) {
      const bytes = outer(innerBack({ payload: random(60) }), { checksum: random(2) === 0 })
      for (let count = random(3); count >= 0; count--) bytes[random(70)] = random(256)
      if (random(2) === 0 && bytes[12] === 8)
        put16(bytes, 24, fold(0xffff - fold(onesComplementSum(bytes, 14, 20, 0) + (0xffff - ((bytes[24] << 8) | bytes[25])))))
      const got = bench.send('u', bytes)
      for (const frame of [...got.s1, ...got.u]) assert.ok(frame.bytes.length <= bytes.length)
      out += got.s1.length + got.u.length
    }
    bench.advance(31) // what became a fragment waits for the others
    const drops = Object.values(bench.drops).reduce((sum, count) => sum + count, 0)
    assert.equal(out + drops, steps)
    assert.equal(bench.engine.frames.inUse, 0)
    assert.ok(out > 500 && Object.keys(bench.drops).length > 8, `${out} came through, ${Object.keys(bench.drops).length} reasons`)
  })

  test('every reason has a sentence', () => {
    for (const number of Object.values(VxlanDrop)) assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
  })
})

describe('learning', () => {
  test('a foreign VTEP is believed and learned from; its address is forgotten with its time', () => {
    const bench = new VtepBench(LEARNING)
    assert.equal(bench.send('u', outer(innerBack(), { source: OTHER })).s1.length, 1)
    assert.equal(bench.send('s1', inner()).u.length, 1)
    assert.deepEqual(bench.command('vtep', 'vteps'), [{ address: OTHER, known: false, innerMtu: 1450 }])
    bench.advance(302)
    assert.equal(bench.send('s1', inner()).u.length, 0)
    assert.deepEqual(bench.command('vtep', 'vteps'), [])
    const { learned, aged } = bench.counters('vtep').counters
    assert.deepEqual([learned, aged], [1, 1])
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })

  test('a station that moves from VTEP to VTEP is found at once', () => {
    const bench = new VtepBench(LEARNING)
    for (const source of [REMOTE[4], OTHER, REMOTE[4]]) {
      bench.send('u', outer(innerBack(), { source }))
      assert.equal((bench.command('vtep', 'explain', { port: 1, destination: PEER_MAC }) as { vtep: string }).vtep, source)
    }
    assert.equal(bench.counters('vtep').counters['moved'], 2)
  })

  test('a peer of the control plane stays where it is, and who claims its MAC is not heard', () => {
    const bench = new VtepBench({ ...RECORDS, ...LEARNING })
    assert.equal(bench.send('u', outer(innerBack(), { source: OTHER })).s1.length, 0)
    assert.deepEqual(bench.drops, { 'vxlan.falseVtep': 1 })
    assert.equal(bench.send('u', outer(innerBack())).s1.length, 1)
  })

  test('a full table delivers and learns no more', () => {
    const bench = new VtepBench({ ...LEARNING, fdbCapacity: 4 })
    for (let number = 0; number < 8; number++)
      assert.equal(bench.send('u', outer(innerBack({ source: `02:cc:00:00:01:0${number}` }))).s1.length, 1)
    const { learned, learnRefused } = bench.counters('vtep').counters
    assert.deepEqual([learned, learnRefused], [4, 4])
  })

  test('what was learned goes when the segment stops learning', () => {
    const bench = new VtepBench(LEARNING)
    bench.send('u', outer(innerBack(), { source: OTHER }))
    bench.change({ segments: { [VNI]: { port: 1 } } })
    assert.deepEqual(bench.send('s1', inner()).u, [])
    assert.deepEqual(bench.send('u', outer(innerBack(), { source: OTHER })).s1, [])
    assert.deepEqual(bench.drops, { 'vxlan.unknownDestination': 1, 'vxlan.unknownVtep': 1 })
  })

  test('what was learned stays when the segment is told anew and goes on learning', () => {
    const bench = new VtepBench(LEARNING)
    bench.send('u', outer(innerBack(), { source: OTHER }))
    bench.change({ segments: { [VNI]: { ...LEARNING.segments[VNI], mtu: 1400 } } })
    assert.equal(bench.send('s1', inner()).u.length, 1)
    bench.change({ segments: { [VNI]: null } })
    bench.change(LEARNING)
    assert.deepEqual(bench.send('s1', inner()).u, [], 'a segment that was closed begins anew')
  })

  test('whoever invents outer sources takes no room from the control plane', () => {
    const vteps = new VtepTable(readVxlanOptions({ addresses: [OWN[4]], mac: MAC, nextHopMac: NEXT_HOP }))
    const invent = (number: number): number => vteps.hear(0, 0, 0xffff, 0xc6120000 + number, 1)
    for (let number = 0; number < VTEPS_MAX; number++) assert.equal(invent(number) !== NO_VTEP, number < HEARD_VTEPS_MAX)
    assert.equal(vteps.room, VTEPS_MAX - HEARD_VTEPS_MAX)
    // One that is named is the control plane's, and one that no longer is, is not.
    const named = vteps.acquire(readAddress('198.18.0.0'))
    assert.notEqual(invent(HEARD_VTEPS_MAX), NO_VTEP)
    assert.equal(invent(HEARD_VTEPS_MAX + 1), NO_VTEP)
    vteps.release(named)
    // Those that have fallen silent make room.
    vteps.sweep(2, 2)
    assert.equal(vteps.room, VTEPS_MAX)
    for (let number = 0; number < HEARD_VTEPS_MAX; number++) assert.notEqual(invent(number), NO_VTEP)
    assert.equal(invent(HEARD_VTEPS_MAX), NO_VTEP)
  })

  test('local MACs stay out of it', () => {
    const bench = new VtepBench(LEARNING)
    bench.send('s1', inner({ destination: BROADCAST, source: LOCAL_MAC }))
    assert.equal(bench.counters('vtep').counters['learned'], 0)
  })
})
