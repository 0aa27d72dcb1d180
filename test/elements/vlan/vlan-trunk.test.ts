/** One cable with tagged and untagged frames, taken apart and put together again. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { TrunkPort, vlanPort, vlanTrunkType } from '../../../src/elements/vlan/vlan-trunk.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { station, testFrame } from '../bridge-domain.ts'
import { ChildrenBench } from '../children-bench.ts'

const { cable, untagged, stack, besideStack } = TrunkPort
const [VLAN30, VLAN40] = [vlanPort(30), vlanPort(40)]

let trunk: ChildrenBench

function start(ports: number[]): void {
  trunk = new ChildrenBench({ type: vlanTrunkType as ElementType<never>, options: null, ports, children: {} })
}

beforeEach(() => start([cable, untagged, VLAN30, VLAN40, vlanPort(4094), stack]))

const plain = testFrame(station(2), station(1))

function tagged(tci: number, frame = plain, tpid = 0x8100): Uint8Array {
  return Uint8Array.from([...frame.subarray(0, 12), tpid >>> 8, tpid & 255, tci >>> 8, tci & 255, ...frame.subarray(12)])
}

/** What arrived where. */
function sent(port: number, bytes: Uint8Array, fields = {}): [number, Uint8Array][] {
  return [...trunk.deliver(port, bytes, fields)].map(([to, [frame]]) => [to, frame.bytes])
}

describe('from the cable', () => {
  test('cable-tag: a tag is taken out, and the frame goes to its VLAN', () => {
    assert.deepEqual(sent(cable, tagged(30)), [[VLAN30, plain]])
    assert.deepEqual(sent(cable, tagged(40)), [[VLAN40, plain]])
    assert.deepEqual(sent(cable, tagged(4094)), [[vlanPort(4094), plain]])
    trunk.checkBooks()
  })

  test('cable-priority: an untagged frame is for who stands on the cable itself, one with a priority only as well', () => {
    assert.deepEqual(sent(cable, plain), [[untagged, plain]])
    assert.deepEqual(sent(cable, tagged(5 << 13)), [[untagged, plain]])
  })

  test("cable-parent: where nobody does, it is the parent's own stack's", () => {
    start([cable, VLAN30, stack])
    assert.deepEqual(sent(cable, plain), [[stack, plain]])
    start([cable, VLAN30])
    assert.deepEqual(sent(cable, plain), [])
    assert.equal(trunk.drops('vlan.parent'), 1)
  })

  test('cable-unknown, qinq: a VLAN that nobody is on, the reserved one and service tags end here, each with its reason', () => {
    assert.deepEqual(sent(cable, tagged(31)), [])
    assert.deepEqual(sent(cable, tagged(4095)), [])
    assert.deepEqual(sent(cable, tagged(30, plain, 0x88a8)), [])
    assert.deepEqual(sent(cable, tagged(30, tagged(30), 0x88a8)), [])
    assert.deepEqual([trunk.drops('vlan.unknown'), trunk.drops('vlan.reserved'), trunk.drops('vlan.serviceTag')], [1, 1, 2])
    trunk.checkBooks()
  })

  test('qinq: a second tag inside is payload', () => {
    assert.deepEqual(sent(cable, tagged(30, tagged(40))), [[VLAN30, tagged(40)]])
  })

  test('frames that end before their header does', () => {
    const whole = tagged(30, plain.subarray(0, 14))
    for (let length = 0; length < whole.length; length++) assert.deepEqual(sent(cable, whole.subarray(0, length)), [])
    assert.equal(trunk.drops('vlan.runt'), whole.length)
    assert.deepEqual(sent(cable, whole), [[VLAN30, plain.subarray(0, 14)]])
    trunk.checkBooks()
  })
})

describe('to the cable', () => {
  test('child-tag: a tag is put in; VLANs do not reach each other', () => {
    assert.deepEqual(sent(VLAN30, plain), [[cable, tagged(30)]])
    assert.deepEqual(sent(VLAN40, plain), [[cable, tagged(40)]])
    assert.deepEqual(sent(untagged, plain), [[cable, plain]])
    assert.deepEqual(sent(VLAN30, tagged(40)), [[cable, tagged(30, tagged(40))]])
    for (let length = 0; length < 14; length++) assert.deepEqual(sent(VLAN30, plain.subarray(0, length)), [])
    trunk.checkBooks()
  })

  test('child-priority: the priority of a tag that was taken out is in the one that is put in', () => {
    trunk.bench.configure({ a: { type: 'vlan-trunk' }, b: { type: 'vlan-trunk' }, p0: { type: 'test-port' }, p1: { type: 'test-port' } }, [
      { a: ['p0', 0], b: ['a', cable] },
      { a: ['a', VLAN30], b: ['b', VLAN40] },
      { a: ['b', cable], b: ['p1', 0] }
    ])
    for (let priority = 0; priority < 8; priority++) {
      assert.deepEqual(sent(0, tagged((priority << 13) | 0x1000 | 30)), [[1, tagged((priority << 13) | 40)]])
    }
  })

  test('offsets: those of checksum and headers follow the tag, both ways', () => {
    const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 1448, hdrLen: 54, csumStart: 34, csumOffset: 16 }
    const long = testFrame(station(2), station(1), 30_000)
    const [[, [out]]] = trunk.deliver(VLAN30, long, fields)
    assert.deepEqual([out.csumStart, out.csumOffset, out.hdrLen, out.gsoSize, out.flags], [38, 16, 58, 1448, fields.flags])
    const [[, [back]]] = trunk.deliver(cable, tagged(30, long), { ...fields, csumStart: 38, hdrLen: 58 })
    assert.deepEqual([back.csumStart, back.csumOffset, back.hdrLen, back.flags], [34, 16, 54, fields.flags])
    const [[, [partial]]] = trunk.deliver(VLAN30, plain, { flags: FrameFlag.csum, csumStart: 34, csumOffset: 16, hdrLen: 77 })
    assert.deepEqual([partial.csumStart, partial.hdrLen], [38, 77])
  })
})

describe("the parent's own stack", () => {
  test('is alone on the cable', () => {
    start([cable, stack, VLAN30])
    assert.deepEqual(sent(stack, plain), [[cable, plain]])
    assert.deepEqual(sent(cable, plain), [[stack, plain]])
  })

  test('speaks and hears through what stands beside it', () => {
    start([cable, untagged, stack, besideStack])
    assert.deepEqual(sent(stack, plain), [[besideStack, plain]])
    assert.deepEqual(sent(besideStack, plain), [[stack, plain]])
    assert.deepEqual(sent(cable, plain), [[untagged, plain]])
    assert.deepEqual(sent(untagged, plain), [[cable, plain]])
    trunk.checkBooks()
  })
})
