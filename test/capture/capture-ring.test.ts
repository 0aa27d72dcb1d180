import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import {
  allocateCaptureRing,
  CaptureRing,
  CaptureRingConsumer,
  CaptureRingProducer,
  MIN_RING_BYTES
} from '../../src/capture/capture-ring.ts'
import { FrameRecord } from '../../src/capture/frame-record.ts'
import type { ConsumerReport } from './ring-consumer-worker.ts'
import { recordOf, sampleFrame } from './sample-capture.ts'

function pair(size = MIN_RING_BYTES, interfaces = 4) {
  const memory = allocateCaptureRing({ size, interfaces })
  return { producer: new CaptureRingProducer(memory, 1 << 18), consumer: new CaptureRingConsumer(memory), memory }
}

/** Copies of everything that waits. */
function drain(consumer: CaptureRingConsumer): { fields: Omit<FrameRecord, 'bytes' | 'at'>; data: Buffer }[] {
  const got: ReturnType<typeof drain> = []
  consumer.drain(consumer.published(), ({ bytes, at, ...fields }) => {
    got.push({ fields, data: Buffer.from(bytes.subarray(at, at + fields.captured)) })
  })
  return got
}

test('every field of a record arrives', () => {
  const { producer, consumer } = pair()
  const fields = {
    port: 3,
    timestamp: 2 ** 53 - 1,
    flags: -2,
    packetId: 0x7fffffff,
    verdict: 2,
    comment: 5,
    lost: 7,
    checksum: (34 << 16) | 16,
    gsoType: 0x81,
    gsoSize: 65_535,
    headerLength: 54,
    original: 70_000
  }
  assert.ok(producer.record(recordOf(sampleFrame(100), fields)))
  assert.deepEqual(drain(consumer), [], 'nothing is seen before it is published')
  producer.publish()
  const [one] = drain(consumer)
  assert.deepEqual(one.fields, { ...fields, captured: 100 })
  assert.deepEqual(one.data, Buffer.from(sampleFrame(100)))
  assert.deepEqual(drain(consumer), [])
})

test('every length and every alignment of source, wrapping many times', () => {
  const { producer, consumer } = pair()
  const source = new Uint8Array(new SharedArrayBuffer(70_000)).fill(0xa5)
  for (let at = 0; at < source.length; at++) source[at] = at * 7 + (at >>> 8)
  const lengths = [...Array(300).keys(), 1514, 2047, 4094, 4095, 4096, 4097, 9014, 65_535, 65_549, 69_000]
  const record = new FrameRecord()
  let wraps = 0
  let before = 0
  for (const base of [0, 1, 2, 3]) {
    const bytes = source.subarray(base)
    for (const from of [0, 1, 2, 3, 128, 131]) {
      for (const length of lengths) {
        Object.assign(record, { bytes, at: from, captured: length, original: length })
        assert.ok(producer.record(record))
        producer.publish()
        const [one] = drain(consumer)
        assert.equal(one.data.compare(bytes.subarray(from, from + length)), 0, `base ${base}, from ${from}, length ${length}`)
        const place = consumer.published() & (consumer.capacity - 1)
        if (place < before) wraps++
        before = place
      }
    }
  }
  assert.ok(wraps > 20, `wrapped ${wraps} times`)
})

test('a source whose buffer ends in the middle of a word is read to its last byte', () => {
  const { producer, consumer } = pair()
  for (let size = 1; size < 40; size++) {
    for (let from = 0; from < size; from++) {
      const bytes = sampleFrame(64).slice(0, size)
      producer.record(Object.assign(new FrameRecord(), { bytes, at: from, captured: size - from, original: size - from }))
      producer.publish()
      assert.deepEqual(drain(consumer)[0].data, Buffer.from(bytes.subarray(from)), `${from} to ${size}`)
    }
  }
})

test('a full ring drops, counts, tells the loss with the next record, and goes on when there is room', () => {
  const { producer, consumer } = pair()
  const frame = recordOf(sampleFrame(1000), { port: 1 })
  let fit = 0
  while (producer.record(frame)) fit++
  // 56 bytes of header and 1,000 of frame: 132 units.
  assert.equal(fit, Math.floor(MIN_RING_BYTES / 8 / 132))
  for (let i = 0; i < 9; i++) assert.equal(producer.record(frame), false)
  assert.equal(producer.dropped, 10)
  assert.equal(producer.droppedOf(1), 10)
  assert.equal(producer.droppedOf(0), 0)
  assert.equal(drain(consumer).length, fit, 'a full ring is published')
  assert.ok(producer.record(recordOf(sampleFrame(60), { port: 0 })))
  assert.ok(producer.record(frame))
  assert.ok(producer.record(frame))
  producer.publish()
  assert.deepEqual(
    drain(consumer).map(({ fields }) => [fields.port, fields.lost]),
    [
      [0, 0],
      [1, 10],
      [1, 0]
    ]
  )
  assert.equal(producer.recorded, fit + 3)
  assert.equal(producer.recordedOf(1), fit + 2)
})

test('what cannot be recorded is dropped and counted: an unknown interface, a frame larger than the ring', () => {
  const { producer, consumer } = pair()
  for (const port of [-1, 4, 2 ** 31 - 1]) assert.equal(producer.record(recordOf(sampleFrame(60), { port })), false)
  assert.equal(producer.record(recordOf(new Uint8Array(MIN_RING_BYTES))), false)
  assert.equal(producer.dropped, 4)
  producer.publish()
  assert.deepEqual(drain(consumer), [])
})

test('several producers of one thread share a ring', () => {
  const { producer, consumer, memory } = pair()
  const other = new CaptureRingProducer(memory, 64)
  for (let i = 0; i < 1000; i++) {
    assert.ok((i & 1 ? producer : other).record(recordOf(sampleFrame(60, i), { packetId: i + 1 })))
    if (i % 10 === 9) producer.publish()
    if (i % 100 === 99) assert.equal(drain(consumer).length, 100)
  }
  assert.equal(new CaptureRing(memory).recorded, 1000)
})

test('positions run over 2^31 units', () => {
  const { memory } = pair()
  const control = new CaptureRing(memory).control
  const before = 2 ** 31 - 300
  for (const word of [0, 16, 64, 65]) control[word] = before
  const producer = new CaptureRingProducer(memory, 2000)
  const consumer = new CaptureRingConsumer(memory)
  for (let i = 0; i < 20; i++) {
    for (let k = 0; k < 5; k++) assert.ok(producer.record(recordOf(sampleFrame(1000, k))))
    producer.publish()
    assert.deepEqual(
      drain(consumer).map(({ data }) => data[500]),
      [0, 1, 2, 3, 4].map((k) => (500 + k) & 0xff)
    )
  }
  assert.ok(consumer.published() < 0)
})

test('a consumer in another thread gets every record in order, and the counts are exact', async () => {
  const memory = allocateCaptureRing({ size: MIN_RING_BYTES, interfaces: 2 })
  const worker = new Worker(new URL('./ring-consumer-worker.js', import.meta.url), { workerData: { memory } })
  await once(worker, 'message')
  const report = once(worker, 'message')
  const producer = new CaptureRingProducer(memory, 1 << 18)
  const buffer = new Uint8Array(new SharedArrayBuffer(1 << 16))
  const record = Object.assign(new FrameRecord(), { bytes: buffer })
  let seed = 12345
  let bytes = 0
  const total = 200_000
  for (let i = 1; i <= total; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    const length = seed % 64 === 0 ? (seed >>> 8) % 60_000 : (seed >>> 8) % 300
    record.at = (seed >>> 3) & 127
    record.captured = record.original = length
    record.packetId = i
    record.port = i & 1
    // The first and last byte name the record, so that a copy of the wrong place is seen.
    if (length > 0) buffer[record.at] = buffer[record.at + length - 1] = i
    if (producer.record(record)) bytes += length
    if (seed % 7 === 0) producer.publish()
    // Now and then the consumer runs dry and falls asleep.
    if (i % 20_000 === 0) {
      producer.publish()
      while (Atomics.load(producer.control, 32) === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
  producer.publish()
  producer.close()
  const [seen] = (await report) as [ConsumerReport]
  await worker.terminate()
  assert.equal(producer.recorded + producer.dropped, total)
  assert.equal(seen.count, producer.recorded)
  assert.equal(seen.bytes, bytes)
  assert.equal(seen.disorder, 0)
  assert.equal(seen.corrupt, 0)
  assert.ok(seen.lost <= producer.dropped)
  assert.equal(producer.recordedOf(0) + producer.recordedOf(1), producer.recorded)
  assert.equal(producer.droppedOf(0) + producer.droppedOf(1), producer.dropped)
  assert.ok(seen.sleeps > 0)
})

test('a message sent before a record was published is there when the record is', () => {
  const { producer, consumer } = pair()
  const { port1, port2 } = new MessageChannel()
  port1.postMessage('interface')
  producer.record(recordOf(sampleFrame(60)))
  producer.publish()
  assert.notEqual(consumer.published(), 0)
  assert.equal(receiveMessageOnPort(port2)!.message, 'interface')
  port1.close()
})
