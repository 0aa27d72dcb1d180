// Pieces of super-frames: a device makes of them what it makes of the whole, in tunnels too.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cutSuperFrame, headersOf, segmentsOf } from '../../../src/elements/netem/cut-super-frame.ts'
import { FrameFlag, type FrameHandle, FramePool, GsoTunnel, NO_FRAME } from '../../../src/engine/frame-pool.ts'
import { Segmenter } from '../../../src/io/segment.ts'
import { pseudoHeaderSum } from '../../../src/wire/checksum.ts'
import { emitEthernet } from '../../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../../src/wire/ipv6.ts'
import { bytesOfFrame, place, type SuperFrame, slowSum, superFrame } from '../../io/super-frame.ts'

const PAYLOAD = Uint8Array.from({ length: 6345 }, (_, index) => (index * 7) & 255)
const SIZE = 1000
const SEGMENTS = 7
const MACS = { source: '02:cc:00:00:01:01', destination: '02:cc:00:00:01:02' }

/** The frame inside VXLAN; a checksum outside is that of the pseudo-header. */
function tunnelled(inner: SuperFrame, family: 4 | 6, checksum: boolean): SuperFrame {
  const added = family === 4 ? 50 : 70
  const udp = added - 16
  const bytes = Buffer.alloc(added + inner.bytes.length)
  const length = bytes.length - udp
  emitEthernet({ ...MACS, type: family === 4 ? 0x0800 : 0x86dd }, bytes, 0)
  if (family === 4) emitIpv4({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 17, payloadLength: length, id: 77 }, bytes, 14)
  else emitIpv6({ source: '2001:db8::1', destination: '2001:db8::2', nextHeader: 17, payloadLength: length }, bytes, 14)
  bytes.writeUInt16BE(50_000, udp)
  bytes.writeUInt16BE(4789, udp + 2)
  bytes.writeUInt16BE(length, udp + 4)
  if (checksum) bytes.writeUInt16BE(pseudoHeaderSum(bytes, 14, 17, length), udp + 6)
  bytes.set([8, 0, 0, 0, 0, 1, 0, 0], udp + 8)
  bytes.set(inner.bytes, added)
  const tunnel = family === 4 ? GsoTunnel.ipv4 : GsoTunnel.ipv6
  return { ...inner, bytes, gsoType: inner.gsoType | tunnel, hdrLen: inner.hdrLen + added, csumStart: inner.csumStart + added }
}

/** What a device sends for a frame, which is gone then. */
function sent(pool: FramePool, frame: FrameHandle): string[] {
  if ((pool.flags[frame]! & FrameFlag.gso) === 0) {
    const bytes = bytesOfFrame(pool, frame)
    const at = pool.csumStart[frame]!
    bytes.writeUInt16BE(65535 - slowSum(bytes.subarray(at)) || 65535, at + pool.csumOffset[frame]!)
    pool.free(frame)
    return [bytes.toString('hex')]
  }
  const segmenter = new Segmenter(pool)
  assert.ok(segmenter.begin(frame))
  const packets: string[] = []
  for (let segment = segmenter.next(); segment !== NO_FRAME; segment = segmenter.next()) {
    packets.push(bytesOfFrame(pool, segment).toString('hex'))
    pool.free(segment)
  }
  pool.free(frame)
  return packets
}

/** The outer headers as they are on a wire: what is cut from a piece has the checksum that is cut from the whole. */
const OUTSIDES: readonly (readonly [name: string, outside: (inner: SuperFrame) => SuperFrame])[] = [
  ['as it is', (inner) => inner],
  ['in a tunnel over IPv4', (inner) => tunnelled(inner, 4, false)],
  ['in a tunnel over IPv4 with a checksum', (inner) => tunnelled(inner, 4, true)],
  ['in a tunnel over IPv6', (inner) => tunnelled(inner, 6, true)]
]

for (const [transport, family] of [
  ['tcp', 4],
  ['tcp', 6],
  ['udp', 4],
  ['udp', 6]
] as const) {
  describe(`a ${transport} super-frame of IPv${family}`, () => {
    for (const [name, outside] of OUTSIDES) {
      test(`${name}: every piece becomes the segments that it stands for`, () => {
        const pool = new FramePool({ checked: true })
        const whole = outside(superFrame({ transport, family, payload: PAYLOAD, gsoSize: SIZE, tcpFlags: 0x99, tcpOptions: 12 }))
        const all = sent(pool, place(pool, whole))
        assert.equal(all.length, SEGMENTS)
        const frame = place(pool, whole)
        assert.deepEqual([segmentsOf(pool, frame), headersOf(pool, frame)], [SEGMENTS, whole.hdrLen])
        for (let first = 0; first < SEGMENTS; first++) {
          for (let count = 1; first + count <= SEGMENTS; count++) {
            assert.deepEqual(sent(pool, cutSuperFrame(pool, frame, first, count)), all.slice(first, first + count), `${first}, ${count}`)
          }
        }
        pool.free(frame)
        assert.equal(pool.inUse, 0)
      })
    }
  })
}

test('what a capture has of the whole, it has of no piece', () => {
  const pool = new FramePool({ checked: true })
  const frame = place(pool, superFrame({ transport: 'tcp', family: 4, payload: PAYLOAD, gsoSize: SIZE }))
  pool.flags[frame]! |= FrameFlag.captured
  const piece = cutSuperFrame(pool, frame, 1, 3)
  assert.equal(pool.flags[piece]! & FrameFlag.captured, 0)
  assert.notEqual(pool.flags[frame]! & FrameFlag.captured, 0)
  pool.free(piece)
  pool.free(frame)
})

test('a super-frame of one segment becomes a plain frame; one whose headers are not as its fields say is copied', () => {
  const pool = new FramePool({ checked: true })
  const one = place(pool, tunnelled(superFrame({ transport: 'tcp', family: 4, payload: PAYLOAD.subarray(0, 900), gsoSize: SIZE }), 4, true))
  const strange = place(pool, {
    ...superFrame({ transport: 'tcp', family: 4, payload: PAYLOAD, gsoSize: SIZE }),
    gsoType: 1 | GsoTunnel.ipv4
  })
  for (const [frame, isSuper] of [
    [one, false],
    [strange, true]
  ] as const) {
    assert.deepEqual([segmentsOf(pool, frame), headersOf(pool, frame)], [1, 0])
    const copy = cutSuperFrame(pool, frame, 0, 1)
    assert.equal((pool.flags[copy]! & FrameFlag.gso) !== 0, isSuper)
    if (isSuper) assert.deepEqual(bytesOfFrame(pool, copy), bytesOfFrame(pool, frame))
    pool.free(copy)
    pool.free(frame)
  }
})
