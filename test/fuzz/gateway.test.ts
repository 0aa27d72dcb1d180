// Random frames through a whole gateway: filter, divert, NAT and router. NETLOOM_FUZZ=long: a hundred times as many.
// NETLOOM_FUZZ_SEED=n: the same again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FuzzFrame } from './fuzz-frame.ts'
import { fuzzSeed } from './fuzz-seed.ts'
import { GatewayNetwork, PORTS, targetsOf } from './gateway-network.ts'
import { Mutator } from './mutator.ts'
import { seedFrames } from './seed-frames.ts'

const FRAMES = process.env.NETLOOM_FUZZ === 'long' ? 5_000_000 : 50_000
/** Frames between two turns of the engine. */
const TURN = 16
const seed = fuzzSeed()

test(`${FRAMES} random frames at a gateway, seed ${seed}`, (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
  const network = new GatewayNetwork(seed)
  const seeds = seedFrames()
  const mutators = PORTS.map((port) => new Mutator(`${seed}/${port}`, seeds, targetsOf(port)))
  const frame = new FuzzFrame()
  for (let number = 0; number < FRAMES; number++) {
    const port = number % PORTS.length
    const random = mutators[port].make(number, frame)
    network.send(PORTS[port], frame)
    if (number % TURN !== TURN - 1) continue
    // Honest flows in between, so that all ways, the short ones too, are in use.
    network.ask(1 + random.below(4))
    network.advance(random.below(1000) < 995 ? random.below(1000) / 1e6 : random.below(40))
    assert.deepEqual(network.breaches, [], `seed ${seed}, by frame ${number}`)
  }
  network.advance(120)
  // The first question finds neighbors that have long been silent.
  network.ask(1)
  network.advance(5)
  assert.equal(network.ask(100), 100, 'a flow that begins now has its answers')
  assert.equal(network.ask(100), 100, 'and so has one that is known')
  network.advance(120)
  network.checkCounters()
  // What is left are flows and neighbors, no frames.
  assert.equal(network.engine.frames.inUse, 0)
  const { seen } = network
  context.diagnostic(`left: ${JSON.stringify(seen)}`)
  // A fuzz whose frames all end at the first check shows nothing.
  for (const [where, count] of Object.entries(seen)) assert.ok(count > 0, `nothing ever left at ${where}`)
})
