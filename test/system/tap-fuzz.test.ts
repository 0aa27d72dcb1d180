// Hostile frames and real TAPs. The test writes them, with their vnet headers, to a TAP on a bridge of the kernel; the kernel
// hands on what it takes, in its own words, to the engine's first TAP, and the engine to its second one.
//
//   test -- tap | kernel bridge | tap -- engine (bridge, hosts, DNS) -- tap | interface
//             '------------ outer ---------'                            '---- inner ----'   two namespaces
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { BATCH } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import { FuzzFrame } from '../fuzz/fuzz-frame.ts'
import { fuzzNetwork, macOf } from '../fuzz/fuzz-network.ts'
import { TARGETS } from '../fuzz/fuzz-run.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'
import { Mutator } from '../fuzz/mutator.ts'
import { seedFrames } from '../fuzz/seed-frames.ts'
import { rigPool } from '../io/frame-device-suite.ts'
import { wholeTopology } from '../network/whole-topology.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const FRAMES = process.env.NETLOOM_FUZZ === 'long' ? 500_000 : 50_000
const seed = fuzzSeed()
const native = tryLoadNative()!

function interfaceUp(netns: TestNamespace, name: string, last: number): void {
  netns.run('ip', 'link', 'set', name, 'address', macOf(last))
  netns.run('ip', 'addr', 'add', `192.0.2.${last}/24`, 'dev', name)
  netns.run('ip', 'link', 'set', name, 'up')
}

test(`${FRAMES} hostile frames through real TAPs, seed ${seed}`, { skip: namespacesMissing('ip', 'ping') }, async (context) => {
  context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats the frames`)
  const [outer, inner] = [new TestNamespace(), new TestNamespace()]
  let crash: Error | null = null
  const engine = new ThreadedEngine({ seed: 1, pool: { checked: true }, onCrash: (error) => (crash = error) })
  try {
    outer.run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
    const pool = rigPool()
    const source = new TapDevice(pool, native, { ...openTap(native, { netns: outer.fd, name: 'source' }), mtu: 1500 })
    const first = openTap(native, { netns: outer.fd, name: 'first' })
    const second = openTap(native, { netns: inner.fd, name: 'second' })
    for (const name of ['source', 'first']) outer.run('ip', 'link', 'set', name, 'master', 'br0', 'up')
    // Forged sources would have the kernel believe that the engine's hosts are behind the test.
    outer.run('ip', 'link', 'set', 'source', 'type', 'bridge_slave', 'learning', 'off')
    interfaceUp(outer, 'br0', 4)
    interfaceUp(inner, 'second', 5)
    const network = fuzzNetwork([
      ['first', { type: 'tap', options: { ...first, mtu: 1500 } }],
      ['second', { type: 'tap', options: { ...second, mtu: 1500 } }]
    ])
    await engine.configure(wholeTopology([network], () => undefined))

    const mutator = new Mutator(seed, seedFrames(), TARGETS)
    const frame = new FuzzFrame()
    const batch = new Int32Array(BATCH)
    for (let number = 0; number < FRAMES && crash === null; number += BATCH) {
      for (let i = 0; i < BATCH; i++) {
        mutator.make(number + i, frame)
        const handle = pool.allocate(frame.length)
        pool.bytes(handle).set(frame.bytes.subarray(0, frame.length), pool.start[handle])
        const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame
        for (const [field, value] of Object.entries({ flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset })) {
          pool[field as 'flags'][handle] = value
        }
        batch[i] = handle
      }
      source.write(batch, 0, BATCH)
      for (const handle of batch) pool.free(handle < 0 ? ~handle : handle)
      for (let count = source.read(batch, BATCH); count > 0; count = source.read(batch, BATCH)) {
        for (const handle of batch.subarray(0, count)) pool.free(handle)
      }
      await setTimeout(1)
    }
    assert.equal(crash, null)
    const { rxFrames } = engine.counters().get('fuzz/first')!.counters
    context.diagnostic(`the kernel refused ${source.counters.txErrors} and gave the engine ${rxFrames}`)
    assert.ok(rxFrames > FRAMES / 5, `the kernel handed on only ${rxFrames}: the test does not reach what it tests`)

    // What honest stations ask now is answered: through the engine, and by its host.
    outer.run('ip', 'neigh', 'flush', 'all')
    inner.run('ip', 'neigh', 'flush', 'all')
    for (const address of ['192.0.2.5', '192.0.2.2']) {
      outer.run('ping', '-c', '1', '-w', '60', '-q', address)
      await outer.echoes(3, address)
    }
    inner.run('ping', '-c', '1', '-w', '60', '-q', '192.0.2.2')
    await inner.echoes(3, '192.0.2.2')
    source.close()
    await engine.configure({ elements: {}, links: [] })
    assert.equal(await engine.framesInUse(), 0)
    assert.equal(pool.inUse, 0)
  } finally {
    await engine.close()
    outer.close()
    inner.close()
  }
})
