import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { FrameFlag, FramePool, NO_FRAME } from '../../src/engine/frame-pool.ts'
import { Random } from '../../src/engine/random.ts'
import { Offload } from '../../src/io/frame-device.ts'
import { offloadNeeds, Segmenter } from '../../src/io/segment.ts'
import { bytesOfFrame, payloadOf, pcapOf, place, type SuperFrameOptions, slowSum, superFrame } from './super-frame.ts'

function segmentsOf(options: SuperFrameOptions, pool = new FramePool({ checked: true, maxSmallChunks: 1, maxLargeChunks: 1 })): Buffer[] {
  const segmenter = new Segmenter(pool)
  const frame = place(pool, superFrame(options))
  pool.ingress[frame] = 5
  pool.packetId[frame] = 99
  assert.ok(segmenter.begin(frame))
  const expected = segmenter.remaining
  const out: Buffer[] = []
  for (let segment = segmenter.next(); segment !== NO_FRAME; segment = segmenter.next()) {
    assert.equal(pool.flags[segment], 0, 'a segment is a finished frame')
    assert.deepEqual([pool.ingress[segment], pool.packetId[segment]], [5, 99])
    out.push(bytesOfFrame(pool, segment))
    pool.free(segment)
  }
  assert.equal(out.length, expected)
  pool.free(frame)
  assert.equal(pool.inUse, 0)
  return out
}

/** Header offsets of a segment made from `options`. */
function layout({ transport, family, tags = 0, tcpOptions = 0, ipOptions = 0 }: SuperFrameOptions) {
  const ip = 14 + 4 * tags
  const at = ip + (family === 4 ? 20 + ipOptions : 40)
  return { ip, at, payload: at + (transport === 'tcp' ? 20 + tcpOptions : 8) }
}

/** Checks one segment with nothing of the code under test. */
function checkSegment(options: SuperFrameOptions, segment: Buffer, index: number, count: number): void {
  const { ip, at } = layout(options)
  const isTcp = options.transport === 'tcp'
  const length = segment.length - at
  let pseudo: Buffer
  if (options.family === 4) {
    assert.equal(segment.readUInt16BE(ip + 2), segment.length - ip, 'total length')
    assert.equal(segment.readUInt16BE(ip + 4), ((options.ipId ?? 4242) + index) & 0xffff, 'identification')
    assert.equal(slowSum(segment.subarray(ip, at)), 0, 'IPv4 header checksum') // 0 is 0xffff modulo 0xffff
    pseudo = Buffer.concat([segment.subarray(ip + 12, ip + 20), Buffer.from([0, isTcp ? 6 : 17, length >> 8, length & 255])])
  } else {
    assert.equal(segment.readUInt16BE(ip + 4), length, 'payload length')
    pseudo = Buffer.concat([segment.subarray(ip + 8, ip + 40), Buffer.from([0, 0, length >> 8, length & 255, 0, 0, 0, isTcp ? 6 : 17])])
  }
  assert.equal((slowSum(pseudo) + slowSum(segment.subarray(at))) % 65535, 0, 'transport checksum')
  if (!isTcp) {
    assert.equal(segment.readUInt16BE(at + 4), length, 'UDP length')
    assert.notEqual(segment.readUInt16BE(at + 6), 0, 'a UDP checksum of 0 would say that there is none')
    return
  }
  assert.equal(segment.readUInt32BE(at + 4), ((options.sequence ?? 1000) + index * options.gsoSize) >>> 0, 'sequence')
  const flags = options.tcpFlags ?? 0x10
  const last = index === count - 1 ? flags : flags & ~0x09
  assert.equal(segment[at + 13], index === 0 ? last : last & ~0x80, 'flags')
}

const CASES: [string, SuperFrameOptions][] = [
  ['TCP over IPv4', { transport: 'tcp', family: 4, payload: payloadOf(62_000), gsoSize: 1448, tcpOptions: 12, tcpFlags: 0x99 }],
  ['TCP over IPv6', { transport: 'tcp', family: 6, payload: payloadOf(60_001), gsoSize: 1428, tcpOptions: 12, tcpFlags: 0x18 }],
  ['UDP over IPv4', { transport: 'udp', family: 4, payload: payloadOf(20_000), gsoSize: 1400 }],
  ['UDP over IPv6', { transport: 'udp', family: 6, payload: payloadOf(5001), gsoSize: 1000 }],
  ['two tags, IPv4 options', { transport: 'tcp', family: 4, payload: payloadOf(9000), gsoSize: 1400, tags: 2, ipOptions: 8 }],
  ['numbers that wrap', { transport: 'tcp', family: 4, payload: payloadOf(9000), gsoSize: 1000, sequence: 0xfffff000, ipId: 0xfffd }],
  ['one segment only', { transport: 'tcp', family: 4, payload: payloadOf(100), gsoSize: 1448, tcpFlags: 0x89 }]
]

const NO_TSHARK = spawnSync('tshark', ['-v']).status !== 0 && 'tshark is not installed'
const CHECK_ALL = ['tcp', 'udp', 'ip'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`])
const FIELDS = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status', 'tcp.analysis.lost_segment', 'tcp.nxtseq', 'tcp.seq']

describe('software segmentation', () => {
  for (const [title, options] of CASES) {
    test(`${title}: lengths, ids, sequence, flags and checksums of each segment, and the payload whole`, () => {
      const segments = segmentsOf(options)
      assert.equal(segments.length, Math.ceil(options.payload.length / options.gsoSize))
      segments.forEach((segment, index) => {
        checkSegment(options, segment, index, segments.length)
      })
      const { payload } = layout(options)
      assert.deepEqual(Buffer.concat(segments.map((segment) => segment.subarray(payload))), Buffer.from(options.payload))
    })
  }

  test('random shapes', () => {
    const random = new Random('segments')
    const pool = new FramePool({ checked: true, maxSmallChunks: 1, maxLargeChunks: 1 })
    for (let round = 0; round < 200; round++) {
      const options: SuperFrameOptions = {
        transport: random.below(2) ? 'tcp' : 'udp',
        family: random.below(2) ? 4 : 6,
        payload: payloadOf(1 + random.below(20_000)),
        gsoSize: 8 + random.below(3000),
        tags: random.below(3),
        tcpOptions: 4 * random.below(11),
        tcpFlags: random.below(256) & ~0x06,
        sequence: random.int32() >>> 0,
        ipId: random.below(65_536)
      }
      const segments = segmentsOf(options, pool)
      segments.forEach((segment, index) => {
        checkSegment(options, segment, index, segments.length)
      })
    }
  })

  test('tshark finds every checksum good and no gap in the sequence', { skip: NO_TSHARK }, () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-segment-'))
    try {
      for (const [title, options] of CASES) {
        const segments = segmentsOf(options)
        const file = path.join(folder, 'segments.pcap')
        writeFileSync(file, pcapOf(segments))
        const judged = spawnSync('tshark', ['-r', file, ...CHECK_ALL, '-T', 'fields', ...FIELDS.flatMap((field) => ['-e', field])], {
          encoding: 'utf8'
        })
        const rows = judged.stdout.replace(/\n$/, '').split('\n')
        assert.equal(rows.length, segments.length, `${title}: ${judged.stderr}`)
        let expected: string | undefined
        for (const row of rows) {
          const [ip, tcp, udp, lost, next, sequence] = row.split('\t')
          assert.equal(ip, options.family === 4 ? '1' : '', title)
          assert.equal(options.transport === 'tcp' ? tcp : udp, '1', title)
          assert.equal(lost ?? '', '', title)
          if (expected !== undefined) assert.equal(sequence, expected, title)
          expected = next
        }
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('headers that are not those of the GSO type are refused, at every truncation too', () => {
    const pool = new FramePool({ checked: true, maxSmallChunks: 1, maxLargeChunks: 1 })
    const segmenter = new Segmenter(pool)
    const sound = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(4000), gsoSize: 1000, tags: 1 })
    const refused = (change: (frame: number, bytes: Uint8Array, at: number) => void): void => {
      const frame = place(pool, sound)
      change(frame, pool.bytes(frame), pool.start[frame])
      assert.equal(segmenter.begin(frame), false)
      pool.free(frame)
    }
    for (let length = 0; length < sound.hdrLen + 1; length++) refused((frame) => (pool.length[frame] = length))
    for (const type of [3, 4, 5, 0x21]) refused((frame) => (pool.gsoType[frame] = type))
    refused((frame) => (pool.gsoSize[frame] = 7))
    refused((_, bytes, at) => (bytes[at + 16] = 0x86)) // EtherType
    refused((_, bytes, at) => (bytes[at + 18] = 0x44)) // header length below 20
    refused((_, bytes, at) => (bytes[at + 27] = 17)) // protocol
    refused((_, bytes, at) => (bytes[at + 50] = 0xf0 & 0x40)) // TCP data offset below 20
    assert.equal(pool.inUse, 0)
  })

  test('an exhausted pool stops in the middle and says what is left', () => {
    const pool = new FramePool({ checked: true, maxSmallChunks: 1, maxLargeChunks: 1 })
    const frame = place(pool, superFrame({ transport: 'tcp', family: 4, payload: payloadOf(10_000), gsoSize: 1000 }))
    pool.reserve(1, 1)
    while (pool.tops[0] > 3) pool.allocate(60)
    const segmenter = new Segmenter(pool)
    assert.ok(segmenter.begin(frame))
    for (let i = 0; i < 3; i++) assert.notEqual(segmenter.next(), NO_FRAME)
    assert.equal(segmenter.next(), NO_FRAME)
    assert.equal(segmenter.remaining, 7)
  })

  test('what a frame needs of its device', () => {
    const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1 })
    const needs = (options: SuperFrameOptions, gsoType?: number): number => {
      const frame = place(pool, superFrame(options))
      if (gsoType !== undefined) pool.gsoType[frame] = gsoType
      return offloadNeeds(pool, frame)
    }
    const payload = payloadOf(3000)
    assert.equal(needs({ transport: 'tcp', family: 4, payload, gsoSize: 0 }), Offload.csum)
    assert.equal(needs({ transport: 'tcp', family: 4, payload, gsoSize: 1000 }), Offload.csum | Offload.tso4)
    assert.equal(needs({ transport: 'tcp', family: 6, payload, gsoSize: 1000 }, 0x84), Offload.csum | Offload.tso6 | Offload.ecn)
    assert.equal(needs({ transport: 'udp', family: 4, payload, gsoSize: 1000 }), Offload.csum | Offload.uso4)
    assert.equal(needs({ transport: 'udp', family: 6, payload, gsoSize: 1000 }), Offload.csum | Offload.uso6)
    assert.notEqual(needs({ transport: 'udp', family: 4, payload, gsoSize: 1000 }, 3) & ~0x6f, 0, 'no device takes UDP fragments')
    const plain = pool.allocate(60)
    assert.equal(offloadNeeds(pool, plain), 0)
    pool.flags[plain] = FrameFlag.csumValid
    assert.equal(offloadNeeds(pool, plain), 0)
  })
})
