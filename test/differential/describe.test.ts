// What the comparison sees, and what it does not: by frames made by hand, without a kernel.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { put16 } from '../../src/wire/big-endian.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { fillUdpChecksum } from '../../src/wire/udp.ts'
import { describeFrame, Names } from './describe.ts'
import { generateStream } from './generate.ts'
import { makeFrame, noView } from './make-packet.ts'
import { flowOf, OUTWARD } from './routes.ts'
import type { Step, Stream } from './stream.ts'
import { SLOTS, slotOf } from './world.ts'

const ETHERNET = 14
const TRANSPORT = ETHERNET + 20
const slot = slotOf(0)
const step: Step = { flow: 0, from: 'client', body: { kind: 'udp', length: 20 }, id: 77 }
const stream: Stream = { seed: 0, number: 0, kind: 'udp', slot, pace: 0, flows: [flowOf(OUTWARD[0](slot, 17, 4000), 17)], steps: [step] }

/** The stream's frame with another source port, whole again, and with whatever else is done to it. */
function line(port: number, names: Names, change: (bytes: Uint8Array) => void = () => {}): string {
  const { bytes } = makeFrame(stream, step, noView())
  put16(bytes, TRANSPORT, port)
  fillUdpChecksum(bytes, TRANSPORT, ETHERNET)
  change(bytes)
  return describeFrame({ interface: 2, bytes }, names)
}

describe('frames as text', () => {
  test('two gateways that chose different ports did the same', () => {
    const [one, other] = [new Names(stream), new Names(stream)]
    assert.equal(line(40_001, one), line(50_002, other))
    assert.notEqual(line(40_003, one), line(50_002, other), 'the second port of one, the first one of the other')
    assert.notEqual(line(40_001, new Names(stream)), line(4000, new Names(stream)), 'chosen, and kept')
    assert.notEqual(line(40_001, new Names(stream)), line(300, new Names(stream)), 'another class')
  })

  test('every byte counts, but for what cannot be the same', () => {
    const original = line(4000, new Names(stream))
    for (let at = 0; at < ETHERNET + 20 + 8 + 20; at++) {
      const changed = line(4000, new Names(stream), (bytes) => {
        bytes[at] ^= 1
      })
      assert.notEqual(changed, original, `byte ${at}`)
    }
  })

  test('a checksum that was wrong and stays as wrong is the same; one made right is not', () => {
    const broken = (bytes: Uint8Array): void => {
      bytes[TRANSPORT + 6] ^= 0x10
    }
    const [one, other] = [new Names(stream), new Names(stream)]
    // Which way the field moves decides the residue, so both are moved by arithmetic, not by bits.
    const off = (bytes: Uint8Array): void => put16(bytes, TRANSPORT + 6, (bytes[TRANSPORT + 6] * 256 + bytes[TRANSPORT + 7] + 3) % 0xffff)
    assert.equal(line(40_001, one, off), line(50_002, other, off))
    assert.notEqual(line(40_001, one, broken), line(40_001, one))
  })

  test('the id of a packet that the gateway made is its own', () => {
    const made = (id: number, ttl: number) => (bytes: Uint8Array) => {
      put16(bytes, ETHERNET + 4, id)
      bytes.set([203, 0, 113, 1], ETHERNET + 12)
      bytes[ETHERNET + 8] = ttl
      fillIpv4Checksum(bytes, ETHERNET)
    }
    const names = new Names(stream)
    assert.equal(line(4000, names, made(1000, 64)), line(4000, names, made(2000, 64)))
    assert.notEqual(line(4000, names, made(1000, 63)), line(4000, names, made(2000, 63)), 'masqueraded')
  })
})

describe('generated streams', () => {
  test('stream N of a seed is the same always, whatever its slot', () => {
    for (let number = 0; number < 200; number++) {
      const [one, other] = [generateStream(5, number, 3), generateStream(5, number, 3)]
      assert.deepEqual(one, other)
      const moved = generateStream(5, number, 4)
      assert.deepEqual([moved.kind, moved.steps.length], [one.kind, one.steps.length])
      assert.notDeepEqual(moved.flows, one.flows)
    }
    assert.notDeepEqual(generateStream(5, 1, 0).steps, generateStream(6, 1, 0).steps)
  })

  test('slots have nothing in common', () => {
    const seen = new Set<string>()
    for (let number = 0; number < SLOTS; number++) {
      const { clients, neighbor, near, far } = slotOf(number)
      for (const address of [...clients, neighbor, near, far]) {
        assert.ok(!seen.has(address), `${address} in slot ${number}`)
        seen.add(address)
      }
    }
  })

  test('every kind of stream comes', () => {
    const kinds = Array.from({ length: 2000 }, (_, number) => generateStream(1, number).kind).join('\n')
    const wanted = [
      'simultaneous open',
      'half-close',
      'picked up',
      'udp',
      'icmp query 8',
      'icmp error',
      'fragments',
      'hairpin',
      'collision'
    ]
    for (const kind of [...wanted, 'exhaustion', 'mutated', 'spoofed', 'large', 'isolated', 'another protocol']) {
      assert.ok(kinds.includes(kind), `no '${kind}' in 2,000 streams`)
    }
  })
})
