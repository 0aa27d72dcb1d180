import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Lab, readCapture } from '../../src/index.ts'
import { runScenario } from '../../src/testing.ts'
import { manyThings, troubled } from './sample-scenarios.ts'

const RUNS = 100
let folder = ''
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-lab-'))
})
after(() => rm(folder, { recursive: true }))

async function scenario(seed: number | string, file: string): Promise<Buffer> {
  await using lab = await Lab.create({ clock: 'virtual', seed })
  const capture = await lab.capture(file)
  await lab.run(() => manyThings(lab))
  await capture.close()
  assert.equal(await lab.framesInUse(), 0)
  return readFile(file)
}

test(`the same seed writes the same capture, ${RUNS} times`, async () => {
  const digests = new Set<string>()
  for (let run = 0; run < RUNS; run++) {
    const bytes = await scenario(42, path.join(folder, 'same.pcapng'))
    digests.add(createHash('sha256').update(bytes).digest('hex'))
  }
  assert.equal(digests.size, 1)
})

test('links that draw, and faults: the same seed writes the same capture, another one another', async () => {
  const digest = async (seed: number): Promise<string> => {
    const capture = path.join(folder, 'troubled.pcapng')
    await runScenario(troubled, { seed, capture })
    return createHash('sha256')
      .update(await readFile(capture))
      .digest('hex')
  }
  const first = await digest(7)
  for (let run = 1; run < RUNS / 10; run++) assert.equal(await digest(7), first)
  assert.notEqual(await digest(8), first)
})

test('another seed draws other numbers', async () => {
  const [one, two] = [await scenario(1, path.join(folder, 'one.pcapng')), await scenario(2, path.join(folder, 'two.pcapng'))]
  assert.notDeepEqual(one, two)
})

test('each frame is in the capture once, in order of time', async () => {
  const file = path.join(folder, 'once.pcapng')
  await scenario(3, file)
  let last = 0n
  let frames = 0
  const seen = new Set<number>()
  for (const packet of readCapture(await readFile(file))) {
    assert.ok(packet.timestampNs >= last)
    last = packet.timestampNs
    frames++
    // A packet id names a frame and what was made of it: the five hosts never write the same one twice.
    const id = Number(packet.packetId)
    assert.ok(!seen.has(id), `packet ${id} is in the file twice`)
    seen.add(id)
  }
  assert.ok(frames > 200, `${frames} frames`)
})
