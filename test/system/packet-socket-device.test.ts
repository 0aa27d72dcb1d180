// The FrameDevice suite on packet sockets: at one end of a veth pair, with another at its other end, and on a TAP, with its
// holder behind it.
import { describe } from 'node:test'
import type { FrameHandle, FramePool } from '../../src/engine/frame-pool.ts'
import type { FrameDevice } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { PollEvent } from '../../src/io/native-binding.ts'
import { openPacketSocket, PacketSocketDevice } from '../../src/io/packet-socket-device.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { type DeviceRig, frameDeviceSuite, rigPool } from '../io/frame-device-suite.ts'
import { frameAt, place } from '../io/super-frame.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
/** Of one wait, and how often it is waited: only what never comes takes so long. */
const PATIENCE_NS = 1e8
const WAITS = 600

function packetSocket(netns: TestNamespace, pool: FramePool, name: string): PacketSocketDevice {
  return new PacketSocketDevice(pool, native, openPacketSocket(native, { netns: netns.fd, interface: name }))
}

/** Lets the kernel finish handing frames over, which it may leave to another thread. */
function awaitReadable(fd: number): void {
  const poller = native.pollerCreate()
  native.pollerAdd(poller, fd, 0, PollEvent.readable)
  native.pollerWait(poller, new Int32Array(2), PATIENCE_NS)
  native.pollerClose(poller)
}

/** As soon as so many have come. The caller frees them. */
function take(device: FrameDevice, count: number): FrameHandle[] {
  const out = new Int32Array(128)
  const handles: FrameHandle[] = []
  for (let waits = 0; handles.length < count && waits < WAITS; waits++) {
    awaitReadable(device.pollFd)
    handles.push(...out.subarray(0, device.read(out, 128, 0)))
  }
  return handles
}

/** `near`: the interface that the device stands on. */
function openRig(
  near: string,
  connect: (netns: TestNamespace, pool: FramePool, farPool: FramePool) => [() => FrameDevice, FrameDevice]
): DeviceRig {
  const netns = new TestNamespace()
  // Without IPv6 the kernel has nothing of its own to say on these links.
  netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
  const [pool, farPool] = [rigPool(), rigPool()]
  const [open, far] = connect(netns, pool, farPool)
  // The kernel gives a frame to the socket that was opened first last (dev_add_pack): what this one has, the device has.
  const witness = packetSocket(netns, farPool, near)
  const device = open()
  return {
    device,
    pool,
    inject(frames) {
      const handles = Int32Array.from(frames, (frame) => place(farPool, frame))
      far.write(handles, 0, handles.length)
      for (const handle of handles) farPool.free(handle < 0 ? ~handle : handle)
      for (const handle of take(witness, frames.length)) farPool.free(handle)
    },
    arrived(count) {
      const handles = take(far, count)
      const frames = handles.map((handle) => frameAt(farPool, handle))
      for (const handle of handles) farPool.free(handle)
      return frames
    },
    close() {
      for (const each of [device, witness, far]) each.close()
      netns.close()
    }
  }
}

describe('a packet socket', { skip: namespacesMissing('ip', 'sysctl') }, () => {
  describe('on a veth, with another on its peer', () => {
    frameDeviceSuite(() =>
      openRig('near', (netns, pool, farPool) => {
        netns.run('ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far')
        for (const name of ['near', 'far']) netns.run('ip', 'link', 'set', name, 'up')
        return [() => packetSocket(netns, pool, 'near'), packetSocket(netns, farPool, 'far')]
      })
    )
  })

  describe('on a TAP that somebody holds', () => {
    frameDeviceSuite(() =>
      openRig('tap0', (netns, pool, farPool) => {
        const tap = openTap(native, { netns: netns.fd, name: 'tap0' })
        netns.run('ip', 'link', 'set', 'tap0', 'up')
        return [() => packetSocket(netns, pool, 'tap0'), new TapDevice(farPool, native, { ...tap, mtu: 1500 })]
      })
    )
  })
})
