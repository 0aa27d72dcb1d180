// The FrameDevice suite on a TAP. Its far end is a second TAP behind a bridge of the kernel, so what one writes the kernel
// itself has taken, carried and handed out again.
import { describe } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { frameDeviceSuite, rigPool } from '../io/frame-device-suite.ts'
import { frameAt, place } from '../io/super-frame.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

describe('a TAP behind a kernel bridge', { skip: namespacesMissing('ip', 'sysctl') }, () => {
  for (const [title, vnetHeader] of [
    ['with offloads', true],
    ['without', false]
  ] as const) {
    describe(title, () => {
      frameDeviceSuite(() => {
        const netns = new TestNamespace()
        // Without IPv6 the kernel has nothing of its own to say on these links.
        netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
        netns.run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
        const [pool, farPool] = [rigPool(), rigPool()]
        const [device, far] = [pool, farPool].map((owner, i) => {
          const tap = openTap(native, { netns: netns.fd, name: `tap${i}`, vnetHeader })
          netns.run('ip', 'link', 'set', `tap${i}`, 'master', 'br0', 'up')
          return new TapDevice(owner, native, { ...tap, mtu: 1500 })
        })
        netns.run('ip', 'link', 'set', 'br0', 'up')
        const out = new Int32Array(128)
        return {
          device,
          pool,
          inject(frames) {
            const handles = Int32Array.from(frames, (frame) => place(farPool, frame))
            far.write(handles, 0, handles.length)
            for (const handle of handles) farPool.free(handle < 0 ? ~handle : handle)
          },
          arrived() {
            const handles = [...out.subarray(0, far.read(out, 128))]
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
      })
    })
  }
})
