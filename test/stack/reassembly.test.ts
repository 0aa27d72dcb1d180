/** IPv4 fragments at a host that sends datagrams back: orders, repeats, overlaps, holes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ElementType } from '../../src/engine/element.ts'
import { Random } from '../../src/engine/random.ts'
import { addressBytes, writeHeaders } from '../../src/stack/ip-packet.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { parseMac } from '../../src/wire/address.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { VirtualLab } from './virtual-lab.ts'

const PATH = {
  sourceMac: parseMac('02:cc:00:00:00:01'),
  destinationMac: parseMac('02:cc:00:00:00:02'),
  source: addressBytes('192.0.2.1'),
  destination: addressBytes('192.0.2.2')
}

function lab(): VirtualLab {
  return new VirtualLab(
    {
      elements: { host: { type: 'host', options: { mac: '02:cc:00:00:00:02', addresses: ['192.0.2.2/24'] } }, peer: { type: 'probe' } },
      links: [{ a: ['host', 0], b: ['peer', 0] }]
    },
    [virtualHostType as ElementType<never>]
  )
}

/** A UDP segment with `size` bytes of data, checksum right. */
function segment(size: number): { bytes: Uint8Array; data: Uint8Array } {
  const data = Uint8Array.from({ length: size }, (_, i) => i * 17 + size)
  const whole = new Uint8Array(34 + 8 + size)
  writeHeaders(whole, 0, PATH, IpProtocol.udp, 8 + size)
  emitUdp({ sourcePort: 4000, destinationPort: 5000, payload: data }, whole, 34, 14)
  return { bytes: whole.subarray(34), data }
}

function fragment(payload: Uint8Array, offset: number, isLast: boolean, id = 1): Uint8Array {
  const bytes = new Uint8Array(34 + payload.length)
  const at = writeHeaders(bytes, 0, PATH, IpProtocol.udp, payload.length, 64, id, (offset >> 3) | (isLast ? 0 : 0x2000))
  bytes.set(payload, at)
  return bytes
}

/** The fragments of a segment, `step` bytes each. */
function cut(bytes: Uint8Array, step: number, id = 1): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += step) parts.push(fragment(bytes.subarray(at, at + step), at, at + step >= bytes.length, id))
  return parts
}

function deliver(net: VirtualLab, frames: readonly Uint8Array[]): Uint8Array[] {
  for (const frame of frames) net.probe('peer').inject(frame)
  net.settle()
  return net.events.splice(0).map(({ event }) => (event as { data: Uint8Array }).data)
}

function opened(): VirtualLab {
  const net = lab()
  net.command('host', 'udpBind', { port: 5000 })
  return net
}

function ends(net: VirtualLab): void {
  net.engine.close()
  assert.equal(net.engine.frames.inUse, 0)
}

describe('whole in the end', () => {
  for (const size of [1, 100, 1473, 9001, 65_507]) {
    test(`${size} bytes, in order, backwards, shuffled, repeated`, () => {
      const net = opened()
      const { bytes, data } = segment(size)
      const random = new Random(`fragments ${size}`)
      const parts = cut(bytes, size < 1000 ? 8 : 1480)
      const shuffled = [...parts].sort(() => random.next() - 0.5)
      assert.deepEqual(deliver(net, parts), [data])
      assert.deepEqual(deliver(net, [...parts].reverse()), [data])
      assert.deepEqual(deliver(net, shuffled), [data])
      if (parts.length > 1) assert.deepEqual(deliver(net, [parts[0], parts[0], ...parts.slice(1)]), [data])
      ends(net)
    })
  }

  test('several datagrams at once, by id', () => {
    const net = opened()
    const { bytes, data } = segment(3000)
    const many = Array.from({ length: 16 }, (_, id) => cut(bytes, 1480, id))
    const interleaved = [0, 1, 2].flatMap((part) => many.map((parts) => parts[part]))
    assert.deepEqual(
      deliver(net, interleaved),
      many.map(() => data)
    )
    ends(net)
  })
})

describe('never whole', () => {
  test('a hole: dropped after 30 s', () => {
    const net = opened()
    const parts = cut(segment(5000).bytes, 1480)
    assert.deepEqual(deliver(net, [parts[0], parts[2], parts[3]]), [])
    net.run(29_000)
    assert.deepEqual(net.drops('host'), {})
    net.run(1000)
    assert.deepEqual(net.drops('host'), { 'stack.reassemblyTimeout': 1 })
    assert.deepEqual(deliver(net, [parts[1]]), [])
    ends(net)
  })

  test('the 17th at once makes the oldest go', () => {
    const net = opened()
    const { bytes, data } = segment(3000)
    for (let id = 0; id < 17; id++) deliver(net, [cut(bytes, 1480, id)[0]])
    assert.deepEqual(net.drops('host'), { 'stack.reassemblyTimeout': 1 })
    assert.deepEqual(deliver(net, cut(bytes, 1480, 16).slice(1)), [data])
    assert.deepEqual(deliver(net, cut(bytes, 1480, 0).slice(1)), [])
    ends(net)
  })

  const { bytes } = segment(2000)
  for (const [name, frames, reason] of [
    ['an overlap', [fragment(bytes.subarray(0, 800), 0, false), fragment(bytes.subarray(792, 1600), 792, false)], 'stack.fragmentOverlap'],
    [
      'a second, other end',
      [fragment(bytes.subarray(800, 1000), 800, true), fragment(bytes.subarray(1600, 1700), 1600, true)],
      'stack.fragmentOverlap'
    ],
    [
      'bytes behind the end',
      [fragment(bytes.subarray(800, 1000), 800, true), fragment(bytes.subarray(1600, 1608), 1600, false)],
      'stack.fragmentOverlap'
    ],
    ['a middle part of odd length', [fragment(bytes.subarray(0, 801), 0, false)], 'stack.malformed'],
    ['an empty part', [fragment(bytes.subarray(0, 0), 0, false)], 'stack.malformed'],
    ['beyond 65,535 bytes', [fragment(bytes.subarray(0, 1000), 65_528, true)], 'stack.malformed']
  ] as const) {
    test(name, () => {
      const net = opened()
      assert.deepEqual(deliver(net, frames), [])
      assert.deepEqual(Object.keys(net.drops('host')), [reason])
      ends(net)
    })
  }

  test('a wrong checksum of the whole', () => {
    const net = opened()
    const { bytes: wrong } = segment(3000)
    wrong[100] ^= 1
    assert.deepEqual(deliver(net, cut(wrong, 1480)), [])
    assert.deepEqual(net.drops('host'), { 'stack.badChecksum': 1 })
    ends(net)
  })
})
