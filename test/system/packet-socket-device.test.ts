// The FrameDevice suite on packet sockets: at one end of a veth pair, with another at its other end, and on a TAP, with its
// holder behind it.
import { describe } from 'node:test'
import type { FramePool } from '../../src/engine/frame-pool.ts'
import type { FrameDevice } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { PollEvent } from '../../src/io/native-binding.ts'
import { openPacketSocket, PacketSocketDevice } from '../../src/io/packet-socket-device.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { type DeviceRig, frameDeviceSuite, rigPool } from '../io/frame-device-suite.ts'
import { frameAt, place } from '../io/super-frame.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
const PATIENCE_NS = 1e9

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

function openRig(connect: (netns: TestNamespace, pool: FramePool, farPool: FramePool) => [FrameDevice, FrameDevice]): DeviceRig {
  const netns = new TestNamespace()
  // Without IPv6 the kernel has nothing of its own to say on these links.
  netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
  const [pool, farPool] = [rigPool(), rigPool()]
  const [device, far] = connect(netns, pool, farPool)
  const out = new Int32Array(128)
  return {
    device,
    pool,
    inject(frames) {
      const handles = Int32Array.from(frames, (frame) => place(farPool, frame))
      far.write(handles, 0, handles.length)
      for (const handle of handles) farPool.free(handle < 0 ? ~handle : handle)
      awaitReadable(device.pollFd)
    },
    arrived() {
      awaitReadable(far.pollFd)
      const handles = [...out.subarray(0, far.read(out, 128, 0))]
      const frames = handles.map((handle) => frameAt(farPool, handle))
      for (const handle of handles) farPool.free(handle)
      return frames
    },
    close() {
      device.close()
      far.close()
      netns.close()
    }
  }
}

describe('a packet socket', { skip: namespacesMissing('ip', 'sysctl') }, () => {
  describe('on a veth, with another on its peer', () => {
    frameDeviceSuite(() =>
      openRig((netns, pool, farPool) => {
        netns.run('ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far')
        for (const name of ['near', 'far']) netns.run('ip', 'link', 'set', name, 'up')
        return [packetSocket(netns, pool, 'near'), packetSocket(netns, farPool, 'far')]
      })
    )
  })

  describe('on a TAP that somebody holds', () => {
    frameDeviceSuite(() =>
      openRig((netns, pool, farPool) => {
        const tap = openTap(native, { netns: netns.fd, name: 'tap0' })
        netns.run('ip', 'link', 'set', 'tap0', 'up')
        return [packetSocket(netns, pool, 'tap0'), new TapDevice(farPool, native, { ...tap, mtu: 1500 })]
      })
    )
  })
})
