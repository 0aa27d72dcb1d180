// Random frames through a whole bridge network. NETLOOM_FUZZ=long: ten times as many. NETLOOM_FUZZ_SEED=n: the same again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { fixtures, formatFixture, parseFixture } from './fixture.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import { DEVICES } from './fuzz-network.ts'
import { type FuzzFailure, FuzzRun, harm, liveHeap, type Shot } from './fuzz-run.ts'
import { fuzzSeed } from './fuzz-seed.ts'
import { shrink } from './shrink.ts'

const FRAMES = process.env.NETLOOM_FUZZ === 'long' ? 10_000_000 : 1_000_000
/** Heap that may stay alive after a run: tables of neighbors, FDB and code, no frames and no garbage per frame. */
const HEAP_GROWTH = 32 << 20
/** How far back a failure is looked for. */
const WINDOWS = [32, 512, 4096, 20_480]

const seed = fuzzSeed()

test(`${FRAMES} random frames, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const run = new FuzzRun(seed)
  let heap = 0
  try {
    // The first tenth fills tables and warms up code; what grows after it is a leak.
    run.run(0, FRAMES / 10)
    heap = liveHeap()
    run.run(FRAMES / 10, FRAMES)
  } catch (error) {
    throw explained(error as FuzzFailure)
  }
  const growth = liveHeap() - heap
  run.finish()
  context.diagnostic(`at most ${run.network.peakInUse} frames in use, heap ${(growth / 1e6).toFixed(1)} MB larger`)
  assert.ok(growth < HEAP_GROWTH, `the heap grew by ${growth} bytes`)
  assert.equal(run.network.injected > FRAMES, true)
})

/** The failure with the fewest frames that show it, ready to be kept in test/fuzz/regressions. */
function explained(failure: FuzzFailure): Error {
  const maker = new FuzzRun(seed)
  for (const window of WINDOWS) {
    const first = Math.max(0, failure.number + 1 - window)
    const shots = Array.from({ length: failure.number + 1 - first }, (_, index) => maker.shot(first + index))
    if (harm(shots) === null) continue
    const fewest = shrink(shots, (some) => harm(some) !== null, 200)
    return new Error(`${failure.message}\n${fewest.length} frames do it (${harm(fewest)?.message}):\n${formatFixture(fewest)}`, {
      cause: failure.cause
    })
  }
  const { device, line } = maker.shot(failure.number)
  return new Error(`${failure.message}\nnot seen again with the last ${WINDOWS.at(-1)} frames; the last one: ${device} ${line}`, {
    cause: failure.cause
  })
}

for (const [name, shots] of fixtures()) {
  test(`${name} does no harm any more`, () => {
    const error = harm(shots)
    if (error !== null) throw error
  })
}

test('a storm of broadcasts fills links and pool, and the network is as good as new', () => {
  const run = new FuzzRun(seed)
  const { network } = run
  const frame = new FuzzFrame()
  // Large: more than the pool has slots. Small: more copies than links hold.
  for (const size of [60_000, 60]) {
    frame.set(Buffer.concat([Buffer.from('ffffffffffff02cc0000000188b5', 'hex'), Buffer.alloc(size)]))
    if (size > 1500) Object.assign(frame, { flags: FrameFlag.gso, gsoType: 1, gsoSize: 1448 })
    for (const device of DEVICES) for (let count = 0; count < 3000; count++) network.inject(device, frame)
    network.settle()
  }
  run.check()
  const drops = [...network.counters().values()].flatMap(({ drops }) => Object.keys(drops))
  const { copyFailures } = network.counters().get('fuzz/bridge')!.counters
  const { rxNoBuffer } = network.counters().get('fuzz/jumbo')!.counters
  assert.deepEqual([drops.includes('engine.linkFull'), copyFailures > 0, rxNoBuffer > 0], [true, true, true])
  run.finish()
})

test('a frame that is never given back is noticed', () => {
  const run = new FuzzRun(1)
  run.network.engine.frames.allocate(60)
  assert.throws(() => run.check(), /frames are held/)
})

test('a drop without a reason is noticed', () => {
  const run = new FuzzRun(1)
  const { counters, frames } = run.network.engine
  run.network.checkBooks()
  counters.block('nameless', 'drops', [''])[0] = 1
  assert.throws(() => run.network.checkBooks(), /no reason with a sentence/)
  assert.equal(frames.inUse, 0)
})

test('frame n of a seed is the same frame in every run', () => {
  const [one, other] = [new FuzzRun(7), new FuzzRun(7)]
  for (let number = 0; number < 50; number++) one.shot(number)
  assert.deepEqual(one.shot(1234), other.shot(1234))
  assert.notDeepEqual(one.shot(1235), new FuzzRun(8).shot(1235))
})

test('fixtures are read as they are written', () => {
  const run = new FuzzRun(3)
  const shots: Shot[] = Array.from({ length: 40 }, (_, number) => run.shot(number))
  assert.deepEqual(parseFixture(`# a comment\n${formatFixture(shots)}\n`), shots)
})

test('shrinking keeps what matters', () => {
  const items = Array.from({ length: 1000 }, (_, index) => index)
  const fewest = shrink(items, (some) => some.includes(17) && some.includes(801))
  assert.deepEqual(fewest, [17, 801])
})
