import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlowMemory } from '../../../src/elements/divert/flow-memory.ts'
import { Random } from '../../../src/engine/random.ts'
import { PacketView } from '../../../src/wire/packet-view.ts'
import { packet } from './divert-bench.ts'

const view = new PacketView()
function outward(i: number): PacketView {
  const frame = packet({
    source: '192.0.2.1',
    destination: `10.0.${i >> 8}.${i & 255}`,
    sourcePort: 1024 + (i % 60_000),
    destinationPort: 80
  })
  assert.ok(view.readIpv4(frame, 14, frame.length))
  return view
}

test('grows while it may, and keeps all it has', () => {
  const flows = new FlowMemory(new Random(1), 4096)
  for (let i = 0; i < 1500; i++) flows.learn(outward(i))
  assert.equal(flows.size, 1500)
  assert.equal(flows.displaced, 0)
  for (let i = 0; i < 1500; i++) assert.ok(flows.knows(outward(i), true), `flow ${i}`)
  for (let i = 1500; i < 3000; i++) assert.ok(!flows.knows(outward(i), true))
})

test('a full table gives up what was not used for the longest time', () => {
  const flows = new FlowMemory(new Random(2), 64)
  for (let i = 0; i < 10_000; i++) {
    flows.learn(outward(i))
    flows.learn(outward(5))
  }
  assert.ok(flows.size <= 64)
  assert.equal(flows.learned - flows.displaced, flows.size)
  assert.ok(flows.knows(outward(5), true))
  assert.ok(flows.knows(outward(9999), true))
  assert.ok(!flows.knows(outward(10), true))
})

test('what is forgotten makes room', () => {
  const flows = new FlowMemory(new Random(3), 64)
  for (let i = 0; i < 1000; i++) {
    flows.learn(outward(i))
    flows.forget(outward(i))
    flows.forget(outward(i))
  }
  assert.equal(flows.size, 0)
  assert.equal(flows.displaced, 0)
})
