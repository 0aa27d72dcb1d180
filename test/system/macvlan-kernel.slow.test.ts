// Our macvlan beside the kernel's own, in all modes: the same frames in by the wire, the parent and the children, the same frames out.
//
// The parent is a TAP: what the test writes comes in by the wire, what it reads leaves by it. Children are read and written by packet sockets.
// What the parent's own stack gets is what a socket of one protocol hears and the parent is the device of: it comes after the macvlan.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { macvlanType } from '../../src/elements/macvlan/macvlan.ts'
import { MACVLAN_MODES, type MacvlanMode } from '../../src/elements/macvlan/macvlan-options.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import type { FrameDevice } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openPacketSocket, PacketSocketDevice } from '../../src/io/packet-socket-device.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { station, testFrame } from '../elements/bridge-domain.ts'
import { ChildrenBench } from '../elements/children-bench.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const [WIRE, STACK] = [0, 1]
const PARENT = station(0xaa)
const OUTSIDE = station(0x60)
const MARKER = station(0xffff)
const BROADCAST = 'ff:ff:ff:ff:ff:ff'

/** Prints what the parent's stack gets of two protocols, a frame a line. */
const LISTEN = `
import select, socket, sys
socks = []
for protocol in (0x8808, 0x88b5):  # markers are of the last
    socks.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)))
print('ready', flush=True)
while True:
    for s in select.select(socks, [], [])[0]:
        data, (device, _, kind, _, _) = s.recvfrom(65536)
        if device == 'par' and kind != 4: print(data.hex(), flush=True)
`

class KernelMacvlan {
  private readonly netns = new TestNamespace()
  private readonly pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
  private readonly handles = new Int32Array(64)
  /** By port; STACK's sends by the parent, and is heard by `listener`. */
  private readonly devices = new Map<number, FrameDevice>()
  private readonly listener: ChildProcess
  private heard: string[] = []
  private markers = 0

  constructor(mode: MacvlanMode, children: Readonly<Record<number, string>>) {
    const native = tryLoadNative()!
    const { netns, pool } = this
    // Without IPv6 the kernel has nothing of its own to say here.
    netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
    const tap = openTap(native, { netns: netns.fd, name: 'par', vnetHeader: false })
    this.devices.set(WIRE, new TapDevice(pool, native, { ...tap, mtu: 1500 }))
    netns.run('ip', 'link', 'set', 'par', 'address', PARENT, 'up')
    for (const [port, mac] of Object.entries(children)) {
      const address = mode === 'passthru' ? [] : ['address', mac]
      netns.run('ip', 'link', 'add', 'link', 'par', 'name', `c${port}`, ...address, 'type', 'macvlan', 'mode', mode)
      netns.run('ip', 'link', 'set', `c${port}`, 'up')
    }
    for (const [port, name] of [[STACK, 'par'], ...Object.keys(children).map((port) => [Number(port), `c${port}`])] as [number, string][]) {
      const socket = openPacketSocket(native, { netns: netns.fd, interface: name, promiscuous: true })
      this.devices.set(port, new PacketSocketDevice(pool, native, socket))
    }
    this.listener = netns.start('python3', '-c', LISTEN)
  }

  async ready(): Promise<void> {
    let output = ''
    this.listener.stdout!.on('data', (data: Buffer) => {
      output += data.toString()
      const lines = output.split('\n')
      output = lines.pop()!
      this.heard.push(...lines)
    })
    for (let tries = 0; this.heard[0] !== 'ready'; tries++) {
      assert.ok(tries < 60_000, 'the listener does not start')
      await sleep(1)
    }
    this.heard = []
  }

  /** Sends a frame in by a port; what came out, by port. */
  async send(port: number, bytes: Uint8Array): Promise<Map<number, Uint8Array[]>> {
    this.write(port, bytes)
    // What comes in by the wire for all comes to children and stack, and what the parent sends leaves by the wire: each last.
    const marker = testFrame(BROADCAST, MARKER)
    new DataView(marker.buffer).setUint32(14, ++this.markers)
    this.write(WIRE, marker)
    this.write(STACK, marker)
    const result = new Map<number, Uint8Array[]>()
    for (const to of [...this.devices.keys()].sort((a, b) => a - b)) {
      const frames = await this.until(marker, () => (to === STACK ? this.hear() : this.read(to)))
      if (frames.length > 0) result.set(to, frames)
    }
    return result
  }

  close(): void {
    for (const device of this.devices.values()) device.close()
    this.netns.close()
  }

  private write(port: number, bytes: Uint8Array): void {
    const frame = this.pool.allocate(bytes.length)
    this.pool.bytes(frame).set(bytes, this.pool.start[frame])
    const device = this.devices.get(port)!
    const done = device.write(Int32Array.of(frame), 0, 1)
    this.pool.free(frame)
    assert.equal(done, 1)
    assert.equal(device.counters.txErrors, 0, `the kernel took no frame of ${bytes.length} bytes at port ${port}`)
  }

  private read(port: number): Uint8Array[] {
    const count = this.devices.get(port)!.read(this.handles, this.handles.length, 0)
    return [...this.handles.subarray(0, count)].map((frame) => {
      const at = this.pool.start[frame]
      const bytes = this.pool.bytes(frame).slice(at, at + this.pool.length[frame])
      this.pool.free(frame)
      return bytes
    })
  }

  private hear(): Uint8Array[] {
    return this.heard.splice(0).map((line) => new Uint8Array(Buffer.from(line, 'hex')))
  }

  private async until(marker: Uint8Array, read: () => Uint8Array[]): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = []
    for (let tries = 0; tries < 60_000; tries++) {
      for (const bytes of read()) {
        if (Buffer.compare(bytes, marker) === 0) return frames
        frames.push(bytes)
      }
      await sleep(1)
    }
    throw new Error('the marker did not come out')
  }
}

describe('beside the kernel macvlan', { skip: namespacesMissing('ip', 'sysctl', 'python3') || macvlanMissing() }, () => {
  for (const mode of MACVLAN_MODES) {
    test(`mode ${mode}: the same frames out of the same ports`, async () => {
      // In passthru the kernel's one child has the parent's address.
      const children: Readonly<Record<number, string>> =
        mode === 'passthru' ? { 2: PARENT } : { 2: station(2), 3: station(3), 4: station(4) }
      const ports = [WIRE, STACK, ...Object.keys(children).map(Number)]
      const kernel = new KernelMacvlan(mode, children)
      const ours = new ChildrenBench({ type: macvlanType as ElementType<never>, options: { mode, mac: PARENT }, ports, children })
      const both = async (port: number, bytes: Uint8Array, message: string): Promise<void> => {
        const expected = await kernel.send(port, bytes)
        const got = new Map([...ours.deliver(port, bytes)].map(([to, frames]) => [to, frames.map((frame) => frame.bytes)]))
        assert.deepEqual([...got].sort(), [...expected].sort(), message)
      }
      try {
        await kernel.ready()
        const groups = [BROADCAST, '01:00:5e:00:00:fb', '33:33:00:00:00:01', '01:80:c2:00:00:0e', '01:80:c2:00:00:00']
        const stations = [...Object.values(children), PARENT, OUTSIDE, station(9)]
        for (const port of ports) {
          const own = port === WIRE ? OUTSIDE : port === STACK ? PARENT : children[port]!
          for (const destination of [...groups, ...stations]) {
            await both(port, testFrame(destination, own), `from port ${port} to ${destination}`)
            // A child's own frame that a relay sends back, a parent's too.
            if (port === WIRE)
              for (const source of stations) await both(port, testFrame(destination, source), `${source} to ${destination} back`)
          }
        }
        const pause = testFrame('01:80:c2:00:00:01', OUTSIDE)
        pause.set([0x88, 0x08], 12)
        await both(WIRE, pause, 'pause from the wire')
        const seed = 20_266
        const random = seededRandom(seed)
        for (let step = 0; step < 100; step++) {
          const destination = random(3) === 0 ? groups[random(groups.length)]! : stations[random(stations.length)]!
          const bytes = testFrame(destination, stations[random(stations.length)]!, 14 + random(1500), random(256))
          await both(ports[random(ports.length)]!, bytes, `seed ${seed}, step ${step}`)
        }
        ours.checkBooks()
      } finally {
        kernel.close()
      }
    })
  }

  test('one address, two children; two in passthru: refused by both', () => {
    const netns = new TestNamespace()
    try {
      netns.run('ip', 'link', 'add', 'par', 'type', 'veth', 'peer', 'name', 'wire')
      netns.run('ip', 'link', 'set', 'par', 'address', PARENT, 'up')
      const add = (name: string, mac: string, mode: string): void => {
        netns.run('ip', 'link', 'add', 'link', 'par', 'name', name, 'address', mac, 'type', 'macvlan', 'mode', mode)
        netns.run('ip', 'link', 'set', name, 'up')
      }
      add('ca', station(2), 'bridge')
      assert.throws(() => add('cb', station(2), 'bridge'), /RTNETLINK answers/)
      assert.throws(() => add('cc', PARENT, 'bridge'), /RTNETLINK answers/)
      assert.throws(() => add('cd', station(3), 'passthru'), /RTNETLINK answers/)
    } finally {
      netns.close()
    }
    const children = { 2: station(2) }
    const ours = new ChildrenBench({ type: macvlanType as ElementType<never>, options: { mac: PARENT }, children })
    for (const mac of [station(2), PARENT]) assert.throws(() => ours.update({ children: { 3: mac } }), { code: 'ERR_MACVLAN_OPTION' })
    const alone = new ChildrenBench({ type: macvlanType as ElementType<never>, options: { mode: 'passthru' }, children })
    assert.throws(() => alone.update({ children: { 3: station(3) } }), { code: 'ERR_MACVLAN_OPTION' })
  })
})

/** Why there is no kernel macvlan to compare with. */
function macvlanMissing(): string | false {
  const netns = new TestNamespace()
  try {
    netns.run('ip', 'link', 'add', 'par', 'type', 'veth', 'peer', 'name', 'wire')
    netns.run('ip', 'link', 'add', 'link', 'par', 'name', 'child', 'type', 'macvlan')
    return false
  } catch (error) {
    return `this kernel has no macvlan: ${(error as Error).message}`
  } finally {
    netns.close()
  }
}
