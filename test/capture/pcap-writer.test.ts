import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { PcapWriter } from '../../src/capture/pcap-writer.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { BASE_TIME, MemorySink, recordOf, sampleFrame } from './sample-capture.ts'

function samplePcap(): Buffer {
  const sink = new MemorySink()
  const writer = new PcapWriter(sink, { snapLength: 128, baseTime: BASE_TIME })
  writer.writeFrame(recordOf(sampleFrame(60)))
  writer.writeFrame(recordOf(sampleFrame(61), { timestamp: 1.5 }))
  writer.writeFrame(recordOf(sampleFrame(1514), { timestamp: 3_000_000_001 }))
  writer.flush()
  return sink.bytes
}

test('file header and first record, byte by byte', () => {
  const sink = new MemorySink()
  const writer = new PcapWriter(sink, { snapLength: 64, baseTime: 3_000_000_005n })
  writer.writeFrame(recordOf(sampleFrame(14), { original: 99 }))
  writer.flush()
  const header = '4d3cb2a1' + '0200' + '0400' + '00000000' + '00000000' + '40000000' + '01000000'
  assert.equal(sink.bytes.toString('hex'), `${header}03000000050000000e0000006300000002cc0000000102cc0000000288b5`)
})

test('nanoseconds carry into the seconds', () => {
  const reader = readCapture(samplePcap())
  const frames = [...reader]
  assert.equal(reader.format, 'pcap')
  assert.equal(reader.interfaces[0]!.snapLength, 128)
  assert.equal(reader.interfaces[0]!.linkType, 1)
  assert.deepEqual(
    frames.map((frame) => frame.timestampNs - BASE_TIME),
    [0n, 1n, 3_000_000_001n]
  )
  assert.deepEqual(
    frames.map((frame) => [frame.data.length, frame.originalLength]),
    [
      [60, 60],
      [61, 61],
      [128, 1514]
    ]
  )
  assert.deepEqual(Buffer.from(frames[1]!.data), Buffer.from(sampleFrame(61)))
})

test('tshark reads what we write', { skip: missing('tshark') }, (t) => {
  const file = path.join(temporaryFolder(t), 'sample.pcap')
  writeFileSync(file, samplePcap())
  assert.deepEqual(tsharkFields(file, 'frame.time_epoch', 'frame.cap_len', 'frame.len'), [
    ['1767323045.999999999', '60', '60'],
    ['1767323046.000000000', '61', '61'],
    ['1767323049.000000000', '128', '1514']
  ])
})

test('tcpdump reads what we write', { skip: missing('tcpdump') }, (t) => {
  const file = path.join(temporaryFolder(t), 'sample.pcap')
  writeFileSync(file, samplePcap())
  assert.equal(run('tcpdump', ['-nn', '-e', '-r', file]).match(/02:cc:00:00:00:02 > /g)!.length, 3)
})
