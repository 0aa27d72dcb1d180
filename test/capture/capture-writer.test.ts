/** The writer thread with many captures: streams of a hundred readers, slow ones, and ones that go. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CaptureOutput } from '../../src/capture/capture-output.ts'
import { CaptureRingProducer } from '../../src/capture/capture-ring.ts'
import { CaptureWriter } from '../../src/capture/capture-writer.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { temporaryFolder } from './judge.ts'
import { recordOf, sampleFrame } from './sample-capture.ts'

const RING = 1 << 18

function producerOf({ target }: CaptureOutput): CaptureRingProducer {
  return new CaptureRingProducer(target.ring!, target.snapLength!, target.bell)
}

test('a hundred streams and a file at once, one thread, each whole and in order', async (t) => {
  const writer = new CaptureWriter()
  const file = path.join(temporaryFolder(t), 'run.pcapng')
  const pieces: Buffer[][] = Array.from({ length: 100 }, () => [])
  const outputs = await Promise.all([
    ...pieces.map((parts) => writer.open({ onPiece: (bytes) => void parts.push(Buffer.from(bytes)), ringSize: RING })),
    writer.open({ path: file, ringSize: RING })
  ])
  const producers = outputs.map((output, index) => {
    output.addInterface({ name: `stream ${index}` })
    return producerOf(output)
  })
  for (let round = 0; round < 40; round++) {
    for (const [index, producer] of producers.entries()) {
      for (let i = 0; i < 5; i++) assert.ok(producer.record(recordOf(sampleFrame(200, index), { packetId: round * 5 + i + 1 })))
      producer.publish()
    }
    if (round % 10 === 9) await sleep(60)
  }
  const counts = await Promise.all(outputs.map((output) => output.close()))
  await writer.close()
  for (const [index, { frames, dropped, bytes }] of counts.entries()) {
    const all = index < 100 ? Buffer.concat(pieces[index]) : readFileSync(file)
    assert.deepEqual([frames, dropped, bytes], [200, 0, all.length])
    const reader = readCapture(all)
    const ids = Array.from(reader, ({ packetId, data }) => [packetId, data[20]])
    assert.deepEqual(
      ids,
      Array.from({ length: 200 }, (_, i) => [BigInt(i + 1), (20 + index) & 0xff])
    )
    assert.equal(reader.interfaces[0].name, `stream ${index}`)
    assert.equal(reader.interfaces[0].statistics!.delivered, 200n)
  }
})

test('a reader that takes nothing loses copies, counted in the file; another one of the thread loses none', async () => {
  const writer = new CaptureWriter()
  const slow: Buffer[] = []
  const quick: Buffer[] = []
  let free: () => void = () => {}
  const stuck = new Promise<void>((resolve) => {
    free = resolve
  })
  const outputs = await Promise.all([
    writer.open({
      onPiece: (bytes) => {
        slow.push(Buffer.from(bytes))
        return stuck
      },
      ringSize: RING
    }),
    writer.open({ onPiece: (bytes) => void quick.push(Buffer.from(bytes)), ringSize: 4 << 20 })
  ])
  for (const output of outputs) output.addInterface({ name: 'x' })
  const [first, second] = outputs.map(producerOf)
  const frame = recordOf(sampleFrame(1514))
  // Until its credit of 4 MiB and its ring are full.
  for (let round = 0; first.dropped === 0; round++) {
    for (let i = 0; i < 100; i++) {
      first.record(frame)
      assert.ok(second.record(frame))
    }
    first.publish()
    second.publish()
    await sleep(10)
    assert.ok(round < 2000, 'a reader that takes nothing is never noticed')
  }
  free()
  while (!first.record(frame)) await sleep(5)
  first.publish()
  const [behind, ahead] = await Promise.all(outputs.map((output) => output.close()))
  await writer.close()
  assert.ok(behind.dropped > 0)
  assert.equal(behind.frames + behind.dropped, first.recorded + first.dropped)
  assert.deepEqual([ahead.dropped, ahead.frames], [0, second.recorded])
  const reader = readCapture(Buffer.concat(slow))
  const frames = [...reader]
  assert.equal(frames.length, behind.frames)
  assert.equal(
    frames.reduce((sum, { dropCount }) => sum + Number(dropCount ?? 0n), 0),
    behind.dropped
  )
  assert.equal(reader.interfaces[0].statistics!.dropped, BigInt(behind.dropped))
})

test('a reader that goes ends its stream, told once; its frames count as dropped', async () => {
  const writer = new CaptureWriter()
  for (const fail of [
    (): void => {
      throw new Error('gone')
    },
    async (): Promise<void> => {
      throw new Error('gone')
    }
  ]) {
    const errors: Error[] = []
    const output = await writer.open({ onPiece: fail, onError: (error) => errors.push(error), ringSize: RING })
    output.addInterface({ name: 'x' })
    const producer = producerOf(output)
    while (errors.length === 0) {
      producer.record(recordOf(sampleFrame(60)))
      producer.publish()
      await sleep(5)
    }
    const { frames, dropped } = await output.close()
    assert.equal(frames + dropped, producer.recorded + producer.dropped)
    assert.ok(dropped > 0)
    assert.deepEqual([errors.length, (errors[0] as NodeJS.ErrnoException).code], [1, 'EPIPE'])
  }
  await writer.close()
})
