// VXLAN by sockets over IPv6 to a machine behind a narrower link: nobody on the way fragments, so the sender has to hear of it.
//
//   host 2001:db8:1::50 -- 1,500 -- router -- 1,300 -- peer 2001:db8:2::51
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sleep } from '../../src/engine/clock.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openUdpUnderlay, UdpUnderlayDevice } from '../../src/io/udp-underlay-device.ts'
import { parseIpv6 } from '../../src/wire/address.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const [HOST, PEER] = ['2001:db8:1::50', '2001:db8:2::51']
const PORT = 4789
/** Ethernet, IPv6, UDP; VXLAN. */
const OUTER = 62
const VXLAN = [8, 0, 0, 0, 0, 1, 0, 0]

/** A datagram of `length` bytes behind outer headers, as a VTEP hands it over. */
function outerFrame(length: number, mark: number): Buffer {
  const frame = Buffer.alloc(OUTER + length, mark)
  frame.fill(0, 0, OUTER)
  frame.writeUInt16BE(0x86dd, 12)
  frame.writeUInt32BE(0x60000000, 14)
  frame.writeUInt16BE(8 + length, 18)
  frame.set([17, 64], 20)
  frame.set(parseIpv6(HOST), 22)
  frame.set(parseIpv6(PEER), 38)
  frame.writeUInt16BE(50_000, 54)
  frame.writeUInt16BE(PORT, 56)
  frame.set(VXLAN, OUTER)
  return frame
}

describe('the UDP underlay over IPv6', { skip: namespacesMissing('ip'), timeout: 120_000 }, () => {
  const [host, router, peer] = [new TestNamespace(), new TestNamespace(), new TestNamespace()]
  const native = tryLoadNative()!
  const pool = new FramePool({ checked: true })
  let sender: UdpUnderlayDevice
  let receiver: UdpUnderlayDevice

  const underlay = (netns: number, address: string): UdpUnderlayDevice => {
    const sockets = openUdpUnderlay(native, netns, address, PORT)
    const stations = { mac: '02:cc:00:00:01:01', nextHopMac: '02:cc:00:00:01:02' }
    return new UdpUnderlayDevice(pool, native, { sockets, address, port: PORT, mtu: 1500, ...stations })
  }

  before(() => {
    for (const [end, net, mtu] of [
      [host, 1, '1500'],
      [peer, 2, '1300']
    ] as const) {
      router.run('ip', 'link', 'add', `r${net}`, 'mtu', mtu, 'type', 'veth', 'peer', 'name', 'eth0', 'mtu', mtu, 'netns', end.path)
      router.run('ip', 'address', 'add', `2001:db8:${net}::1/64`, 'dev', `r${net}`, 'nodad')
      router.run('ip', 'link', 'set', `r${net}`, 'up')
      end.run('ip', 'address', 'add', `${net === 1 ? HOST : PEER}/64`, 'dev', 'eth0', 'nodad')
      end.run('ip', 'link', 'set', 'eth0', 'up')
      end.run('ip', 'route', 'add', 'default', 'via', `2001:db8:${net}::1`)
    }
    router.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
    sender = underlay(host.fd, HOST)
    receiver = underlay(peer.fd, PEER)
  })
  after(() => {
    sender.close()
    receiver.close()
    for (const end of [host, router, peer]) end.close()
  })

  const send = (...frames: Buffer[]): void => {
    const handles = Int32Array.from(frames, (bytes) => {
      const handle = pool.allocate(bytes.length)
      pool.bytes(handle).set(bytes, pool.start[handle])
      return handle
    })
    assert.equal(sender.write(handles, 0, handles.length), handles.length)
    for (const handle of handles) pool.free(handle)
  }
  /** UDP payloads that have come in. */
  const received = (): Buffer[] => {
    const out = new Int32Array(64)
    return Array.from(out.subarray(0, receiver.read(out, 64)), (handle) => {
      const bytes = Buffer.from(pool.bytes(handle).subarray(pool.start[handle] + OUTER, pool.start[handle] + pool.length[handle]))
      pool.free(handle)
      return bytes
    })
  }

  for (const [name, count] of [
    ['a datagram', 1],
    ['a message of several', 4]
  ] as const) {
    test(`${name} that a link on the way does not take arrives, once the router has said so`, async () => {
      const early = Array.from({ length: count }, (_, index) => outerFrame(1400, 0x50 + index))
      for (let tries = 0; received().length === 0; tries++) {
        assert.ok(tries < 1000, 'none arrives')
        send(...early)
        await sleep(50)
      }
      const frames = Array.from({ length: count }, (_, index) => outerFrame(1400, 0xa0 + index))
      send(...frames)
      const arrived: Buffer[] = []
      for (let tries = 0; arrived.length < count; tries++) {
        assert.ok(tries < 3000, `${arrived.length} of ${count} arrive`)
        // Not those of before, which may still be coming in.
        arrived.push(...received().filter((bytes) => bytes[VXLAN.length]! >= 0xa0))
        await sleep(10)
      }
      const sent = frames.map((frame) => frame.subarray(OUTER))
      assert.ok(Buffer.concat(arrived).equals(Buffer.concat(sent)))
      assert.deepEqual([sender.counters.txErrors, sender.lastError], [0, 0])
    })
  }
})
