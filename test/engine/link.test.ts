import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ElementNode } from '../../src/engine/element-node.ts'
import { Link } from '../../src/engine/link.ts'
import { TestBench } from './test-bench.ts'
import { TestElements } from './test-elements.ts'

/** Two nodes outside any graph with a link between them. */
function linked(capacity: number): { bench: TestBench; link: Link; producer: ElementNode; consumer: ElementNode } {
  const bench = new TestBench()
  const [type] = new TestElements().types.filter(({ type }) => type === 'sink')
  const producer = new ElementNode(bench.engine, 'producer', 0, type as never, undefined)
  const consumer = new ElementNode(bench.engine, 'consumer', 1, type as never, undefined)
  const link = new Link(producer, consumer, 3, capacity)
  consumer.ports[3] = { rx: link, tx: link }
  return { bench, link, producer, consumer }
}

test('first in, first out, over many rounds of the ring', () => {
  const { bench, link } = linked(8)
  const { frames } = bench.engine
  const sent: number[] = []
  for (let i = 0; i < 1000; i++) {
    const frame = frames.allocate(60)
    sent.push(frame)
    link.transmit(frame)
    if (i % 3 === 2) {
      for (let k = 0; k < 3; k++) {
        assert.equal(link.peek(), sent[0])
        const got = link.receive()
        assert.equal(got, sent.shift())
        frames.free(got)
      }
    }
  }
  assert.equal(link.size, sent.length)
})

test('a full ring drops the new frame, counts it at the producer and frees it', () => {
  const { bench, link, producer } = linked(4)
  const { frames } = bench.engine
  const sent = Array.from({ length: 6 }, () => frames.allocate(60))
  for (const frame of sent) link.transmit(frame)
  assert.equal(link.size, 4)
  assert.equal(link.space, 0)
  assert.equal(frames.inUse, 4)
  assert.equal(
    producer.drops.reduce((sum, count) => sum + count, 0),
    2
  )
  assert.deepEqual([link.receive(), link.receive(), link.receive(), link.receive()], sent.slice(0, 4), 'the old frames stay in order')
  assert.ok(link.empty)
})

test('transmitAll does what transmit does one by one', () => {
  for (const count of [0, 1, 4, 5, 9]) {
    for (const before of [0, 1, 3, 4]) {
      const { bench, link, producer, consumer } = linked(4)
      const { frames } = bench.engine
      const earlier = Array.from({ length: before }, () => frames.allocate(60))
      for (const frame of earlier) link.transmit(frame)
      const batch = Int32Array.from({ length: 16 }, () => frames.allocate(60))
      link.transmitAll(batch, count)
      const fitting = Math.min(count, 4 - before)
      assert.equal(link.size, before + fitting)
      assert.equal(
        producer.drops.reduce((sum, drops) => sum + drops, 0),
        count - fitting
      )
      const got: number[] = []
      while (!link.empty) got.push(link.receive())
      assert.deepEqual(got, [...earlier, ...batch.subarray(0, fitting)])
      assert.equal(consumer.queued, before + fitting > 0, 'told exactly when there is something')
    }
  }
})

test('receiveAll gives the oldest frames in order, wherever the ring begins', () => {
  for (const before of [0, 1, 5, 7]) {
    for (const room of [1, 3, 4, 6, 16]) {
      const { bench, link } = linked(8)
      const { frames } = bench.engine
      // One frame stays behind, so that the ring does not begin anew.
      link.transmit(frames.allocate(60))
      for (let i = 0; i < before; i++) {
        link.transmit(frames.allocate(60))
        frames.free(link.receive())
      }
      link.receive()
      const sent = Array.from({ length: 7 }, () => frames.allocate(60))
      for (const frame of sent) link.transmit(frame)
      const into = new Int32Array(room)
      const count = link.receiveAll(into)
      assert.equal(count, Math.min(room, 7))
      assert.deepEqual([...into.subarray(0, count)], sent.slice(0, count))
      assert.equal(link.size, 7 - count)
    }
  }
})

test('the capacity is rounded up to a power of two', () => {
  assert.equal(linked(1).link.space, 2)
  assert.equal(linked(1000).link.space, 1024)
  assert.equal(linked(1024).link.space, 1024)
})

test('the ring grows to its capacity while frames wait in it, wherever it begins, and they stay in order', () => {
  for (const capacity of [20, 64, 1024]) {
    for (const ahead of [0, 5, 13]) {
      const { bench, link, producer } = linked(capacity)
      const { frames } = bench.engine
      const most = link.space
      const sent: number[] = []
      // One frame stays behind, so that the ring does not begin anew.
      link.transmit(frames.allocate(60))
      for (let i = 0; i < ahead; i++) {
        const frame = frames.allocate(60)
        link.transmit(frame)
        frames.free(link.receive())
      }
      frames.free(link.receive())
      const batch = new Int32Array(64)
      while (sent.length < most) {
        const count = Math.min(sent.length % 2 === 0 ? 1 : 37, most - sent.length)
        for (let i = 0; i < count; i++) sent.push((batch[i] = frames.allocate(60)))
        if (count === 1) link.transmit(batch[0]!)
        else link.transmitAll(batch, count)
        assert.deepEqual([link.size, link.space, link.at(sent.length - 1)], [sent.length, most - sent.length, sent.at(-1)])
      }
      const late = frames.allocate(60)
      link.transmit(late)
      assert.equal(
        producer.drops.reduce((sum, count) => sum + count, 0),
        1
      )
      const got: number[] = []
      while (!link.empty) got.push(link.receive())
      assert.deepEqual(got, sent)
    }
  }
})

test('handOver gives all frames in order, and the next ones come to the right link', () => {
  const { bench, link: first } = linked(64)
  const { frames } = bench.engine
  const producer = first.consumer
  const consumer = new ElementNode(bench.engine, 'third', 2, producer.type, undefined)
  const second = new Link(producer, consumer, 0, 64)
  consumer.ports[0] = { rx: second, tx: second }
  const sent: number[] = []
  const got: number[] = []
  for (let round = 0; round < 50; round++) {
    // Now and then more than a young ring holds, so that the two have rings of different lengths.
    for (let i = 0; i < (round * 7) % 41; i++) {
      sent.push(frames.allocate(60))
      first.transmit(sent.at(-1)!)
    }
    const count = first.size
    assert.equal(first.handOver(second), true)
    assert.ok(first.empty)
    assert.equal(second.size, count)
    assert.equal(consumer.nextReady(), count > 0 ? 0 : -1, 'told exactly when there is something')
    while (!second.empty) got.push(second.receive())
  }
  assert.ok(sent.length > 500)
  assert.deepEqual(got, sent)
})

test('handOver does nothing where the other link has frames, or may hold more or fewer', () => {
  for (const [capacity, waiting] of [
    [64, 1],
    [128, 0],
    [32, 0]
  ]) {
    const { bench, link: first } = linked(64)
    const { link: second } = linked(capacity)
    const sent = Array.from({ length: 5 }, () => bench.engine.frames.allocate(60))
    for (const frame of sent) first.transmit(frame)
    for (let i = 0; i < waiting; i++) second.transmit(1000)
    assert.equal(first.handOver(second), false)
    assert.equal(second.size, waiting)
    assert.deepEqual(
      [...Array(5)].map(() => first.receive()),
      sent
    )
  }
})
