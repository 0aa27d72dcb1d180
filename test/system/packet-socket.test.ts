// Packet sockets on a veth pair between two namespaces; the kernel's stack, iproute2 and ping judge.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { readCounters } from '../../src/engine/counters.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Errno } from '../../src/io/native-binding.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { openPacketSocket, PacketSocketDevice } from '../../src/io/packet-socket-device.ts'
import { packetSocketElement } from '../../src/io/packet-socket-element.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { frameAt, payloadOf, place, type SuperFrame, superFrame } from '../io/super-frame.ts'
import { PolledEngine } from './polled-engine.ts'
import { transfer } from './tcp-transfer.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

/** What a frame is, in comparable form; hdrLen is a hint, which the kernel rewrites. */
function essence({ bytes, flags, gsoType, gsoSize, csumStart, csumOffset }: SuperFrame): object {
  return { bytes: bytes.toString('hex'), flags, gso: gsoSize > 0 ? [gsoType, gsoSize] : [], csum: [csumStart, csumOffset] }
}

describe('packet socket', { skip: namespacesMissing('ip', 'ping', 'tc', 'sysctl') }, () => {
  let left: TestNamespace
  let right: TestNamespace
  let pool: FramePool
  const devices: PacketSocketDevice[] = []
  beforeEach(async () => {
    left = new TestNamespace()
    right = new TestNamespace()
    pool = new FramePool({ checked: true })
    // Without IPv6 the kernel has nothing of its own to say on these links.
    for (const netns of [left, right]) netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
    await Netlink.inNamespace(native, left.fd).links.addVeth('near', 'far', { fd: right.fd })
    left.run('ip', 'link', 'set', 'near', 'up')
    right.run('ip', 'link', 'set', 'far', 'up')
  })
  afterEach(() => {
    for (const device of devices.splice(0)) device.close()
    left.close()
    right.close()
    assert.equal(pool.inUse, 0)
  })

  function open(netns: TestNamespace, name: string): PacketSocketDevice {
    const device = new PacketSocketDevice(pool, native, openPacketSocket(native, { netns: netns.fd, interface: name }))
    devices.push(device)
    return device
  }

  /** Takes what waits in a device. `now` is engine time, ns. */
  function read(device: PacketSocketDevice, now = 0): SuperFrame[] {
    const out = new Int32Array(64)
    const handles = [...out.subarray(0, device.read(out, 64, now))]
    const frames = handles.map((handle) => frameAt(pool, handle))
    for (const handle of handles) pool.free(handle)
    return frames
  }

  /** As soon as so many have come: the kernel may leave it to another thread to hand them over. */
  async function readAll(device: PacketSocketDevice, count: number, now = 0): Promise<SuperFrame[]> {
    const frames = read(device, now)
    for (let tries = 0; frames.length < count && tries < 60_000; tries++) {
      await setTimeout(1)
      frames.push(...read(device, now))
    }
    return frames
  }

  /** Writes frames; what `write` answered, and which of them were refused. */
  function write(device: PacketSocketDevice, frames: readonly SuperFrame[]): { done: number; refused: boolean[] } {
    const handles = Int32Array.from(frames, (frame) => place(pool, frame))
    const done = device.write(handles, 0, handles.length)
    const refused = [...handles].map((handle) => handle < 0)
    for (const handle of handles) pool.free(handle < 0 ? ~handle : handle)
    return { done, refused }
  }

  test('an interface that is not there, or cannot be, is an error that names it', () => {
    assert.throws(() => openPacketSocket(native, { netns: left.fd, interface: 'far' }), {
      code: 'ENODEV',
      syscall: 'ioctl SIOCGIFINDEX',
      message: /'interface far'/
    })
    assert.throws(() => openPacketSocket(native, { interface: 'a/b' }), { code: 'ERR_TAP_OPTION', message: /'a\/b'/ })
  })

  test('tags are in the frames as they were on the wire, and offload fields count from the frame with its tags', async () => {
    const [near, far] = [open(left, 'near'), open(right, 'far')]
    const sent = [
      superFrame({ transport: 'udp', family: 4, payload: payloadOf(100), gsoSize: 0, tags: 1 }),
      superFrame({ transport: 'udp', family: 6, payload: payloadOf(100), gsoSize: 0, tags: 2 }),
      superFrame({ transport: 'tcp', family: 4, payload: payloadOf(40_000), gsoSize: 1448, tags: 1 }),
      superFrame({ transport: 'udp', family: 4, payload: payloadOf(30), gsoSize: 0 })
    ]
    assert.deepEqual(write(far, sent), { done: 4, refused: [false, false, false, false] })
    assert.deepEqual((await readAll(near, sent.length)).map(essence), sent.map(essence))
  })

  test('only what the interface receives is read, not what the host sends through it', async () => {
    left.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'near')
    right.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'far')
    const near = open(left, 'near')
    await left.echoes(3, '192.0.2.2')
    const frames = read(near)
    assert.equal(frames.filter(({ bytes }) => bytes.readUInt16BE(12) === 0x0800).length, 3, 'the echo replies')
    const farMac = (right.ip('link', 'show', 'far')[0]['address'] as string).replaceAll(':', '')
    for (const { bytes } of frames) assert.equal(bytes.toString('hex', 6, 12), farMac)
  })

  test('joins an existing interface to a TAP: ping, and TCP both ways', async () => {
    right.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'far')
    const inside = new TestNamespace()
    const tap = openTap(native, { netns: inside.fd, name: 'eth0' })
    inside.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'eth0')
    inside.run('ip', 'link', 'set', 'eth0', 'up')
    const engine = new PolledEngine(
      {
        elements: {
          a: { type: 'packet-socket', options: openPacketSocket(native, { netns: left.fd, interface: 'near', promiscuous: true }) },
          b: { type: 'tap', options: { ...tap, mtu: 1500 } }
        },
        links: [{ a: ['a', 0], b: ['b', 0] }]
      },
      packetSocketElement as ElementType<never>
    )
    try {
      assert.equal(left.ip('link', 'show', 'near')[0]['promiscuity'], 1)
      await right.echoes(20, '-s', '1400', '192.0.2.2')
      await transfer(right, inside, '192.0.2.2')
      await transfer(inside, right, '192.0.2.1')
    } finally {
      await engine.close()
      inside.close()
    }
    assert.equal(engine.engine.frames.inUse, 0)
    assert.equal(left.ip('link', 'show', 'near')[0]['promiscuity'], 0, 'it ends with the socket')
  })

  test('an interface that goes down costs the frames written meanwhile; the device works again when it is up', async () => {
    const [near, far] = [open(left, 'near'), open(right, 'far')]
    const frame = superFrame({ transport: 'udp', family: 4, payload: payloadOf(30), gsoSize: 0 })
    left.run('ip', 'link', 'set', 'near', 'down')
    assert.deepEqual(read(near), [])
    assert.equal(near.alive, true)
    assert.deepEqual(write(near, [frame, frame]), { done: 2, refused: [true, true] })
    assert.deepEqual([near.lastError, near.counters.txErrors], [Errno.ENETDOWN, 2])
    left.run('ip', 'link', 'set', 'near', 'up')
    write(far, [frame]) // lost or not: `far` has no carrier for an instant
    for (let i = 0; i < 3000 && left.ip('link', 'show', 'near')[0]['operstate'] !== 'UP'; i++) await setTimeout(20)
    read(near, near.nextDue)
    read(far, far.nextDue)
    assert.deepEqual(write(near, [frame]), { done: 1, refused: [false] })
    assert.deepEqual((await readAll(far, 1, far.nextDue)).map(essence), [essence(frame)])
  })

  test('a full queue takes no more; a frame that finds it full again and again is refused', () => {
    left.run('tc', 'qdisc', 'add', 'dev', 'near', 'root', 'tbf', 'rate', '200bit', 'burst', '2000', 'limit', '4000')
    const near = open(left, 'near')
    const frame = superFrame({ transport: 'udp', family: 4, payload: payloadOf(1400), gsoSize: 0 })
    const handles = Int32Array.from({ length: 32 }, () => place(pool, frame))
    const done = near.write(handles, 0, 32)
    assert.ok(done >= 1 && done < 32, `${done} of 32 were taken`)
    let [calls, again] = [1, 0]
    while (again === 0 && calls < 1000) {
      again = near.write(handles, done, 32 - done)
      calls++
    }
    assert.equal(again, 1)
    assert.ok(handles[done] < 0 && handles[done + 1] >= 0)
    assert.equal(near.lastError, Errno.ENOBUFS)
    for (const handle of handles) pool.free(handle < 0 ? ~handle : handle)
  })

  test('frames for which the socket has no room are counted', async () => {
    const [near, far] = [open(left, 'near'), open(right, 'far')]
    const frame = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(60_000), gsoSize: 1448 })
    const sent = 400 // 24 MiB, of which the socket's buffer holds 8 to 16
    for (let i = 0; i < sent; i++) write(far, [frame])
    let received = 0
    for (let tries = 0; received + near.counters.rxNoBuffer < sent && tries < 60_000; tries++) {
      for (let got = read(near); got.length > 0; got = read(near)) received += got.length
      received += read(near, near.nextDue).length
      await setTimeout(1)
    }
    assert.ok(received > 0 && received < sent)
    assert.equal(near.counters.rxNoBuffer, sent - received)
  })

  test('deleted, also while it is down, an interface says so once and is left alone', async () => {
    const { fd, ...rest } = openPacketSocket(native, { netns: left.fd, interface: 'near' })
    const engine = new PolledEngine(
      { elements: { a: { type: 'packet-socket', options: { fd, ...rest } } }, links: [] },
      packetSocketElement as ElementType<never>
    )
    left.run('ip', 'link', 'set', 'near', 'down')
    for (let i = 0; i < 3; i++) await setTimeout(20)
    left.run('ip', 'link', 'delete', 'near')
    for (let i = 0; i < 3000 && engine.events.length === 0; i++) await setTimeout(20)
    assert.deepEqual(engine.events, [{ element: 'a', event: { type: 'device-gone', device: 'near' } }])
    assert.equal(readCounters(engine.engine.counters.layout()).get('a')!.counters['rxFrames'], 0)
    await engine.close()
  })
})
