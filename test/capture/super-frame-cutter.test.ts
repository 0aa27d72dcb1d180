import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { FrameRecord } from '../../src/capture/frame-record.ts'
import { InlineCaptureFile } from '../../src/capture/inline-capture-file.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { SuperFrameCutter } from '../../src/capture/super-frame-cutter.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { MemorySink, recordOf } from './sample-capture.ts'

/** Ethernet, IPv4 and TCP (FIN, PSH, ACK, CWR) and `payload` bytes that count up; the checksum partial as virtio leaves it. */
function superFrame(payload: number): Uint8Array {
  const frame = Buffer.alloc(54 + payload)
  frame.set([0x02, 0xcc, 0, 0, 0, 1, 0x02, 0xcc, 0, 0, 0, 2, 8, 0, 0x45, 0])
  frame.writeUInt16BE((40 + payload) & 0xffff, 16)
  frame.set([0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x1f, 0x90, 0, 80], 18)
  frame.writeUInt32BE(0xffff_ff00, 38)
  frame.set([0x50, 0x99, 1, 0], 46)
  for (let i = 0; i < payload; i++) frame[54 + i] = i * 7
  return frame
}

const FIELDS = { gsoType: 1, gsoSize: 1448, headerLength: 54, checksum: (34 << 16) | 16 }

test('a TCP super-frame becomes the packets that a device would send, by tshark', { skip: missing('tshark') }, (t) => {
  const file = path.join(temporaryFolder(t), 'x.pcapng')
  const capture = InlineCaptureFile.open(file, { segment: true })
  capture.addInterface({})
  capture.record(recordOf(superFrame(10_000), { ...FIELDS, packetId: 9, lost: 3 }))
  assert.equal(capture.close().frames, 1)
  const options = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE', '-o', 'tcp.relative_sequence_numbers:FALSE']
  const fields = [
    'frame.len',
    'ip.id',
    'ip.checksum.status',
    'tcp.checksum.status',
    'tcp.seq',
    'tcp.flags',
    'frame.packet_id',
    'frame.drop_count'
  ]
  const rows = run('tshark', ['-n', ...options, '-r', file, '-T', 'fields', '-E', 'separator=|', ...fields.flatMap((each) => ['-e', each])])
    .trim()
    .split('\n')
    .map((line) => line.split('|'))
  assert.equal(rows.length, 7)
  for (const [i, [length, id, ip, tcp, sequence, flags, packetId, lost]] of rows.entries()) {
    assert.equal(Number(length), 54 + (i < 6 ? 1448 : 10_000 - 6 * 1448))
    assert.equal(Number(id), 0x1234 + i)
    assert.deepEqual([ip, tcp], ['1', '1'], 'good checksums')
    assert.equal(Number(sequence), (0xffff_ff00 + i * 1448) % 2 ** 32)
    assert.equal(Number(flags), i === 0 ? 0x90 : i < 6 ? 0x10 : 0x19)
    assert.equal(Number(packetId), 9)
    assert.equal(lost, i === 0 ? '3' : '')
  }
  assert.equal(
    tsharkFields(file, 'tcp.payload')
      .map(([hex]) => hex)
      .join(''),
    Buffer.from(superFrame(10_000).subarray(54)).toString('hex')
  )
})

test('what a snap length left of a super-frame is cut too: packets of true length, as far as they were captured', () => {
  const sink = new MemorySink()
  const capture = InlineCaptureFile.into(sink, { segment: true })
  capture.addInterface({})
  capture.record(recordOf(superFrame(10_000), { ...FIELDS, captured: 2000 }))
  capture.close()
  const frames = [...readCapture(sink.bytes)]
  assert.deepEqual(
    frames.map(({ data, originalLength }) => [data.length, originalLength]),
    [[1502, 1502], [552, 1502], ...Array(4).fill([54, 1502]), [54, 1366]]
  )
})

test('what is no super-frame, or has not its headers, is left as it is', () => {
  const cutter = new SuperFrameCutter()
  const never = (): never => assert.fail('cut')
  const cases: Partial<FrameRecord>[] = [{}, { gsoType: 1 }, { ...FIELDS, captured: 40 }, { ...FIELDS, captured: 53 }]
  for (const fields of cases) assert.equal(cutter.cut(recordOf(superFrame(3000), fields), never), false)
  const arp = superFrame(3000)
  arp.set([8, 6], 12)
  assert.equal(cutter.cut(recordOf(arp, FIELDS), never), false)
  for (let length = 0; length < 54; length++) {
    assert.equal(cutter.cut(recordOf(superFrame(0).subarray(0, length), { ...FIELDS, original: 60_000 }), never), false)
  }
})
