// A host with UDP sockets and one with a TAP as underlay: the one sends several datagrams as one message (UDP_SEGMENT), which a veth
// carries whole, and each has an inner frame of its own for the other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from '../../src/engine/clock.ts'
import { readCounters } from '../../src/engine/counters.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openUdpUnderlay, UdpUnderlayDevice } from '../../src/io/udp-underlay-device.ts'
import { inner, outer } from '../elements/vxlan/vtep-bench.ts'
import { namespacesMissing } from './test-namespace.ts'
import { PORT, VNI, VxlanWorld } from './vxlan-world.ts'

const [OURS, THEIRS] = ['192.0.2.50', '192.0.2.51']
const FRAMES = 8

test('what leaves sockets as one message comes in by a TAP as its datagrams', {
  skip: namespacesMissing('ip', 'bridge'),
  timeout: 120_000
}, async () => {
  const world = await VxlanWorld.open({ underlay: 'tap' })
  const native = tryLoadNative()!
  const pool = new FramePool({ checked: true })
  // The kernel's own device has the port.
  world.peer.run('ip', 'link', 'del', 'vx0')
  const sockets = openUdpUnderlay(native, world.peer.fd, THEIRS, PORT)
  const stations = { mac: '02:cc:00:00:01:01', nextHopMac: '02:cc:00:00:01:02' }
  const device = new UdpUnderlayDevice(pool, native, { sockets, address: THEIRS, port: PORT, mtu: 1500, ...stations })
  try {
    const frame = outer(inner({ destination: '02:42:0a:00:00:02', payload: 100 }), { source: THEIRS, destination: OURS, vni: VNI })
    const vtep = (): { counters: Record<string, number>; drops: Record<string, number> } =>
      readCounters(world.engine.engine.counters.layout()).get('vxlan')!
    const handles = Int32Array.from({ length: FRAMES }, () => {
      const handle = pool.allocate(frame.length)
      pool.bytes(handle).set(frame, pool.start[handle])
      return handle
    })
    const before = vtep().counters['decapsulated']
    assert.equal(device.write(handles, 0, FRAMES), FRAMES)
    for (const handle of handles) pool.free(handle)
    for (let tries = 0; vtep().counters['decapsulated'] < before + FRAMES && tries < 3000; tries++) await sleep(20)
    assert.equal(vtep().counters['decapsulated'], before + FRAMES, JSON.stringify(vtep().drops))
    assert.equal(vtep().drops['vxlan.badHeaders'] ?? 0, 0)
  } finally {
    device.close()
    await world.close()
  }
})
