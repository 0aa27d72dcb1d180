/** Linux's rules of macvlan, each by its name in src/elements/macvlan/README.md. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { macvlanType } from '../../../src/elements/macvlan/macvlan.ts'
import { MACVLAN_MODES, type MacvlanMode } from '../../../src/elements/macvlan/macvlan-options.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { station, testFrame } from '../bridge-domain.ts'
import { ChildrenBench } from '../children-bench.ts'

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const GROUP = '01:00:5e:00:00:fb'
const PARENT = station(0xaa)
const OUTSIDE = station(0x60)
const [WIRE, STACK] = [0, 1]
/** Child at port N has station(N). */
const CHILDREN = { 2: station(2), 3: station(3), 4: station(4) }

function macvlan(mode: MacvlanMode, more: { ports?: number[]; children?: Record<string, string>; mtu?: number } = {}): ChildrenBench {
  const { ports, children = mode === 'passthru' ? { 2: station(2) } : CHILDREN, mtu } = more
  return new ChildrenBench({ type: macvlanType as ElementType<never>, options: { mode, mac: PARENT, mtu }, ports, children })
}

function rule(name: string, modes: readonly MacvlanMode[], body: (parent: ChildrenBench, mode: MacvlanMode) => void): void {
  for (const mode of modes) {
    test(`${name} (${mode})`, () => {
      const parent = macvlan(mode)
      body(parent, mode)
      parent.checkBooks()
    })
  }
}

const NOT_PASSTHRU = MACVLAN_MODES.filter((mode) => mode !== 'passthru')
const NOT_BRIDGE = MACVLAN_MODES.filter((mode) => mode !== 'bridge')

describe('from the wire', () => {
  rule('wire-unicast: a child gets what is for its address, and nobody else', NOT_PASSTHRU, (parent) => {
    for (const port of [2, 3, 4]) assert.deepEqual(parent.send(WIRE, testFrame(station(port), OUTSIDE)), [port])
  })

  rule("wire-other: what is for no child is the parent's own stack's", NOT_PASSTHRU, (parent) => {
    assert.deepEqual(parent.send(WIRE, testFrame(PARENT, OUTSIDE)), [STACK])
    assert.deepEqual(parent.send(WIRE, testFrame(station(9), OUTSIDE)), [STACK])
  })

  rule('wire-passthru: the one child gets every unicast frame, the parent none', ['passthru'], (parent) => {
    for (const destination of [station(2), PARENT, station(9)]) assert.deepEqual(parent.send(WIRE, testFrame(destination, OUTSIDE)), [2])
    parent.update({ children: { 2: null } })
    assert.deepEqual(parent.send(WIRE, testFrame(PARENT, OUTSIDE)), [STACK])
  })

  rule('wire-group: all children and the parent get what is for a group', MACVLAN_MODES, (parent, mode) => {
    const all = mode === 'passthru' ? [STACK, 2] : [STACK, 2, 3, 4]
    for (const group of [BROADCAST, GROUP, '01:80:c2:00:00:0e']) assert.deepEqual(parent.send(WIRE, testFrame(group, OUTSIDE)), all)
  })

  rule('wire-group-back-vepa: a reflected group frame goes to all children but its sender, and the parent', ['vepa'], (parent) => {
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, station(3))), [STACK, 2, 4])
  })

  rule('wire-group-back-bridge: children saw it on its way out, so only the parent gets it', ['bridge'], (parent) => {
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, station(3))), [STACK])
  })

  rule('wire-group-back-private: it goes back to the child that sent it, and nobody else', ['private'], (parent) => {
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, station(3))), [3])
  })

  rule('wire-group-back-passthru: the same', ['passthru'], (parent) => {
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, station(2))), [2])
  })

  rule("wire-pause: flow control is the parent's alone", MACVLAN_MODES, (parent) => {
    const pause = testFrame('01:80:c2:00:00:01', OUTSIDE)
    pause.set([0x88, 0x08], 12)
    assert.deepEqual(parent.send(WIRE, pause), [STACK])
  })
})

describe('from a child', () => {
  rule('child-unicast: another child gets it, and the wire does not', ['bridge'], (parent) => {
    assert.deepEqual(parent.send(2, testFrame(station(4), station(2))), [4])
    assert.deepEqual(parent.send(4, testFrame(station(2), station(4))), [2])
  })

  rule('child-self: what is for its own address comes back to it', ['bridge'], (parent) => {
    assert.deepEqual(parent.send(2, testFrame(station(2), station(2))), [2])
  })

  rule('child-group: the other children and the wire get it, the parent does not', ['bridge'], (parent) => {
    for (const group of [BROADCAST, GROUP, '33:33:00:00:00:01'])
      assert.deepEqual(parent.send(3, testFrame(group, station(3))), [WIRE, 2, 4])
  })

  rule('child-out: everything leaves by the wire, for other children too', NOT_BRIDGE, (parent) => {
    for (const destination of [BROADCAST, GROUP, station(3), station(2), PARENT, OUTSIDE]) {
      assert.deepEqual(parent.send(2, testFrame(destination, station(2))), [WIRE])
    }
  })

  rule('child-other: what is for no child leaves by the wire', ['bridge'], (parent) => {
    assert.deepEqual(parent.send(2, testFrame(OUTSIDE, station(2))), [WIRE])
  })

  rule('child-parent: a child and its own host do not reach each other', MACVLAN_MODES, (parent) => {
    assert.deepEqual(parent.send(2, testFrame(PARENT, station(2))), [WIRE])
    assert.deepEqual(parent.send(STACK, testFrame(station(2), PARENT)), [WIRE])
  })

  rule('child-pause: flow control leaves by the wire alone', ['bridge'], (parent) => {
    const pause = testFrame('01:80:c2:00:00:01', station(2))
    pause.set([0x88, 0x08], 12)
    assert.deepEqual(parent.send(2, pause), [WIRE])
  })

  test('child-mtu: between children no plain frame is longer than the parent allows; super-frames pass', () => {
    const parent = macvlan('bridge', { mtu: 1000 })
    assert.deepEqual(parent.send(2, testFrame(station(3), station(2), 1018)), [3])
    assert.deepEqual(parent.send(2, testFrame(station(3), station(2), 1019)), [])
    assert.equal(parent.drops('macvlan.oversize'), 1)
    const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 900, hdrLen: 54, csumStart: 34, csumOffset: 16 }
    assert.deepEqual(parent.send(2, testFrame(station(3), station(2), 30_000), fields), [3])
    assert.deepEqual(parent.send(WIRE, testFrame(station(3), OUTSIDE, 1500)), [3], 'what the wire brought has passed already')
    parent.checkBooks()
  })
})

rule("parent-out: what the parent's stack sends leaves by the wire, groups too", MACVLAN_MODES, (parent) => {
  for (const destination of [BROADCAST, station(2), OUTSIDE]) assert.deepEqual(parent.send(STACK, testFrame(destination, PARENT)), [WIRE])
})

rule('runt: a frame without a whole header ends here', MACVLAN_MODES, (parent) => {
  for (let length = 0; length < 14; length++) {
    for (const port of [WIRE, STACK, 2]) assert.deepEqual(parent.send(port, testFrame(BROADCAST, OUTSIDE, length)), [])
  }
  assert.equal(parent.drops('macvlan.runt'), 42)
})

describe('without a parent', () => {
  test('internal: children reach each other, and nothing leaves', () => {
    const parent = macvlan('bridge', { ports: [2, 3, 4] })
    assert.deepEqual(parent.send(2, testFrame(station(3), station(2))), [3])
    assert.deepEqual(parent.send(2, testFrame(BROADCAST, station(2))), [3, 4])
    assert.deepEqual(parent.send(2, testFrame(OUTSIDE, station(2))), [])
    assert.equal(parent.drops('macvlan.noWire'), 1)
    parent.checkBooks()
  })

  test('with a real parent, whose kernel has its own frames, these are no frames of ours', () => {
    const parent = macvlan('bridge', { ports: [0, 2, 3] })
    assert.deepEqual(parent.send(WIRE, testFrame(PARENT, OUTSIDE)), [])
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, OUTSIDE)), [2, 3])
    assert.equal(parent.drops('macvlan.parent'), 1)
    parent.checkBooks()
  })
})

describe('who may be a child', () => {
  test("address-busy: no address twice, and not the parent's", () => {
    const parent = macvlan('bridge', { ports: [0, 1, 2, 3, 4, 5] })
    assert.throws(() => parent.update({ children: { 5: station(3) } }), /port 3 has the address/)
    assert.throws(() => parent.update({ children: { 5: PARENT } }), /the parent's own address/)
    assert.throws(() => parent.update({ children: { 5: GROUP } }), /no station's address/)
    assert.throws(() => parent.update({ children: { 1: station(7) } }), /a child's port/)
    parent.update({ children: { 5: station(3), 3: station(5) } })
    assert.deepEqual(parent.send(WIRE, testFrame(station(3), OUTSIDE)), [5])
    assert.deepEqual(parent.send(WIRE, testFrame(station(5), OUTSIDE)), [3])
  })

  test('passthru-one: the parent has room for one', () => {
    const parent = macvlan('passthru')
    assert.throws(() => parent.update({ children: { 3: station(3) } }), /room for one child/)
    parent.update({ children: { 2: null, 3: station(3) } })
    assert.deepEqual(parent.send(WIRE, testFrame(OUTSIDE, station(9))), [3])
  })

  test('a child that goes is nobody, its port too; one that is not connected loses its frames', () => {
    const parent = macvlan('bridge')
    parent.update({ children: { 3: null } })
    assert.deepEqual(parent.send(WIRE, testFrame(station(3), OUTSIDE)), [STACK])
    assert.deepEqual(parent.send(WIRE, testFrame(BROADCAST, OUTSIDE)), [STACK, 2, 4])
    parent.connect([0, 1, 2, 3], { mode: 'bridge', mac: PARENT })
    assert.deepEqual(parent.send(WIRE, testFrame(station(4), OUTSIDE)), [])
    assert.equal(parent.drops('engine.unlinked'), 1)
    parent.checkBooks()
  })

  test('bad options are named', () => {
    assert.throws(() => macvlan('source' as MacvlanMode), /mode is 'source'/)
    assert.throws(() => macvlan('bridge', { mtu: 20 }), /mtu is 20/)
  })
})

test('explain says what a frame would meet', async () => {
  const parent = macvlan('bridge')
  const ask = (argument: object): Promise<unknown> =>
    new Promise((resolve) => parent.bench.engine.command('it', 'explain', argument, (_, value) => resolve(value)))
  assert.deepEqual(await ask({ port: 2, destination: station(3) }), {
    port: 3,
    reason: null,
    text: 'to the child at port 3 (macvlan, mode bridge)'
  })
  assert.deepEqual(await ask({ port: 2, destination: PARENT }), { port: 0, reason: null, text: 'to the wire (macvlan, mode bridge)' })
})

/** The fast way and the slow one decide alike: the same frames in a batch and one by one. */
test('frames in batches go where they go one by one, in order', () => {
  const frames: [number, Uint8Array][] = []
  let seed = 7
  const next = (below: number): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 1) % below
  const addresses = [BROADCAST, GROUP, station(2), station(3), station(4), PARENT, OUTSIDE, station(9)]
  for (let i = 0; i < 600; i++) frames.push([next(5), testFrame(addresses[next(8)], addresses[2 + next(6)], 14 + next(80), i)])
  for (const mode of MACVLAN_MODES) {
    const single = macvlan(mode)
    const batched = macvlan(mode)
    const expected = new Map<number, Uint8Array[]>()
    for (let port = 0; port < 5; port++) {
      const own = frames.filter(([from]) => from === port)
      for (const [, bytes] of own) {
        for (const [to, got] of single.deliver(port, bytes))
          expected.set(to, [...(expected.get(to) ?? []), ...got.map((frame) => frame.bytes)])
      }
      for (const [, bytes] of own) batched.bench.port(`p${port}`).send(bytes)
      batched.bench.run()
    }
    for (const [to, bytes] of expected) assert.deepEqual(batched.bench.port(`p${to}`).take(), bytes, `mode ${mode}, port ${to}`)
  }
})
