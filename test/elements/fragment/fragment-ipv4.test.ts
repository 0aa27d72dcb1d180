import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { pseudoHeaderSum } from '../../../src/wire/checksum.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { hasGoodUdpChecksum, ipv4Frame, pattern, readPacket, udpPacket } from './fragment-frames.ts'
import { ReassemblyBench } from './reassembly-bench.ts'

test('RFC 791 3.2: parts of a multiple of 8, more fragments on all but the last, everything else kept', () => {
  const payload = pattern(3000)
  const bench = new ReassemblyBench({ mtu: 1500 })
  const parts = bench.send(ipv4Frame({ id: 0x1234, ttl: 9, tos: 0xb8 }, payload)).map(readPacket)
  assert.deepEqual(
    parts.map(({ fragmentOffset, moreFragments, payloadLength }) => [fragmentOffset, payloadLength, moreFragments]),
    [
      [0, 1480, true],
      [1480, 1480, true],
      [2960, 40, false]
    ]
  )
  assert.deepEqual(Buffer.concat(parts.map((part) => part.payload)), Buffer.from(payload))
  for (const { id, ttl, tos, source, protocol, dontFragment } of parts) {
    assert.deepEqual([id, ttl, tos, source, protocol, dontFragment], [0x1234, 9, 0xb8, '192.0.2.1', IpProtocol.udp, false])
  }
})

test('fragments keep Ethernet header, ingress, packet id and time; the packet is gone', () => {
  const bench = new ReassemblyBench({ mtu: 576 })
  const whole = udpPacket(1400)
  const parts = bench.sendWith({}, whole)
  assert.equal(parts.length, 3)
  for (const part of parts) {
    assert.deepEqual(part.bytes.subarray(0, 14), whole.subarray(0, 14))
    assert.equal(part.packetId, parts[0].packetId)
    assert.equal(part.ingress, parts[0].ingress)
    assert.equal(part.flags, 0)
  }
  assert.ok(parts[0].packetId > 0)
  assert.equal(bench.engine.frames.inUse, 0)
})

test('a packet that fits leaves as it is', () => {
  const whole = udpPacket(1472)
  assert.deepEqual(new ReassemblyBench({ mtu: 1500 }).send(whole), [whole])
  assert.equal(new ReassemblyBench({ mtu: 1499 }).send(whole).length, 2)
})

test('padding after the packet is not sent on', () => {
  const padded = new Uint8Array(1600)
  padded.set(udpPacket(1400))
  const parts = new ReassemblyBench({ mtu: 1000 }).send(padded).map(readPacket)
  assert.equal(
    parts.reduce((sum, { payloadLength }) => sum + payloadLength, 0),
    1408
  )
})

test('a fragment is cut further: offsets go on from its own, the last part keeps its more-fragments bit', () => {
  for (const moreFragments of [true, false]) {
    const bench = new ReassemblyBench({ mtu: 68 })
    const sent = ipv4Frame({ fragmentOffset: 800, moreFragments }, pattern(104))
    const { frames } = bench.engine
    const frame = frames.allocate(sent.length)
    frames.bytes(frame).set(sent, frames.start[frame])
    const parts = bench.cut(frame, 68)
    assert.deepEqual(
      parts.map(readPacket).map((part) => [part.fragmentOffset, part.payloadLength, part.moreFragments]),
      [
        [800, 48, true],
        [848, 48, true],
        [896, 8, moreFragments]
      ]
    )
    assert.equal(frames.inUse, 0)
  }
})

test('options: copied ones in every fragment, the others become no operation in later ones', () => {
  // Record route (7, not copied) of 7 bytes, router alert (148, copied) of 4, end of list.
  const options = Uint8Array.of(7, 7, 4, 1, 2, 3, 4, 148, 4, 0, 0, 0)
  const parts = new ReassemblyBench({ mtu: 100 }).send(ipv4Frame({ options }, pattern(200))).map(readPacket)
  assert.ok(parts.length > 2)
  assert.deepEqual([...parts[0].options], [...options])
  for (const part of parts.slice(1)) assert.deepEqual([...part.options], [1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0])
})

test('malformed options are carried along and read nowhere outside', () => {
  for (const options of [
    [7, 60, 4, 0],
    [7, 0, 0, 0],
    [1, 1, 1, 7],
    [148, 1, 0, 0]
  ]) {
    const parts = new ReassemblyBench({ mtu: 100 }).send(ipv4Frame({ options: Uint8Array.from(options) }, pattern(200))).map(readPacket)
    for (const part of parts) assert.equal(part.options.length, 4)
    assert.equal(parts.length, 3)
  }
})

test('a partial checksum is finished before the packet is cut', () => {
  const whole = udpPacket(2000)
  const partial = whole.slice()
  const sum = pseudoHeaderSum(partial, 14, IpProtocol.udp, 2008)
  partial[34 + 6] = sum >> 8
  partial[34 + 7] = sum & 0xff
  const bench = new ReassemblyBench({ mtu: 1500 })
  const fields = { flags: FrameFlag.csum, csumStart: 34, csumOffset: 6 }
  const parts = bench.sendWith(fields, partial)
  const joined = new ReassemblyBench().send(...parts.map(({ bytes }) => bytes))
  assert.equal(parts[0].flags, 0)
  assert.deepEqual(joined, [whole])
  assert.ok(hasGoodUdpChecksum(joined[0]))
})

test('a partial checksum field outside the packet: refused', () => {
  const bench = new ReassemblyBench({ mtu: 1500 })
  assert.deepEqual(bench.sendWith({ flags: FrameFlag.csum, csumStart: 2020, csumOffset: 40 }, udpPacket(2000)), [])
  assert.deepEqual(bench.drops, { 'test.uncut': 1 })
})

test('what cannot be cut stays with the caller', () => {
  const refuse = (mtu: number, bytes: Uint8Array, flags = 0): void => {
    const bench = new ReassemblyBench({ mtu })
    assert.deepEqual(bench.sendWith({ flags }, bytes), [])
    assert.equal(bench.element.pieces, 0)
    assert.equal(bench.engine.frames.inUse, 0)
  }
  refuse(27, udpPacket(100)) // no room for 8 bytes
  refuse(67, ipv4Frame({ options: new Uint8Array(40) }, pattern(100)))
  refuse(1500, udpPacket(3000), FrameFlag.gso)
  refuse(
    68,
    Uint8Array.from({ length: 100 }, () => 0x11)
  )
  assert.equal(new ReassemblyBench({ mtu: 28 }).send(udpPacket(100)).length, 14)
})

test('a pool without enough frames: nothing is sent and nothing lost', () => {
  const bench = new ReassemblyBench({ mtu: 68 }, { maxSmallChunks: 1, maxLargeChunks: 1 })
  const { frames } = bench.engine
  const held: number[] = []
  for (let i = 0; i < 8192 - 20; i++) held.push(frames.allocate(60))
  assert.deepEqual(bench.send(udpPacket(2000)), [])
  assert.equal(bench.element.pieces, 0)
  assert.equal(bench.send(udpPacket(400)).length, 9)
  for (const frame of held) frames.free(frame)
  assert.equal(frames.inUse, 0)
})

test('fragments longer than a small frame', () => {
  const bench = new ReassemblyBench({ mtu: 9000 })
  const whole = udpPacket(65_507)
  const parts = bench.send(whole)
  assert.equal(parts.length, 8)
  assert.deepEqual(new ReassemblyBench().send(...parts), [whole])
})
