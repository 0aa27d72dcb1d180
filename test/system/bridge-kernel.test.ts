// Our bridge beside the kernel's own: the same frames through both, the same frames out of the same ports, the same table.
// The kernel's ports are TAPs. Differences that are decisions (src/elements/bridge/README.md) have a test of their own.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LearningBridgeOptions } from '../../src/elements/bridge/bridge-options.ts'
import type { FdbEntry } from '../../src/elements/bridge/fdb.ts'
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { BridgeDomain, station, testFrame } from '../elements/bridge-domain.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const PORTS = 4
const ALL = [0, 1, 2, 3]
/** A fifth port on both: what it sends comes out last everywhere, so nothing is waited for. */
const MARKER_PORT = 4
const MARKER = station(0xffff)
const BROADCAST = 'ff:ff:ff:ff:ff:ff'

class KernelBridge {
  private readonly netns = new TestNamespace()
  private readonly pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
  private readonly taps: TapDevice[] = []
  private readonly handles = new Int32Array(64)
  private markers = 0

  constructor() {
    const native = tryLoadNative()!
    // Without IPv6 the kernel has nothing of its own to say here.
    this.netns.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
    this.netns.run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0', 'stp_state', '0')
    for (let port = 0; port <= PORTS; port++) {
      const tap = openTap(native, { netns: this.netns.fd, name: `tap${port}`, vnetHeader: false })
      this.taps.push(new TapDevice(this.pool, native, { ...tap, mtu: 1500 }))
      this.netns.run('ip', 'link', 'set', `tap${port}`, 'master', 'br0', 'up')
    }
    this.netns.run('ip', 'link', 'set', 'br0', 'up')
  }

  /** Sends a frame in by a port; what came out, by port. `members` are the ports that are in the bridge. */
  async send(port: number, bytes: Uint8Array, members: readonly number[] = ALL): Promise<Map<number, Uint8Array[]>> {
    this.write(port, bytes)
    const marker = testFrame(BROADCAST, MARKER)
    new DataView(marker.buffer).setUint32(14, ++this.markers)
    this.write(MARKER_PORT, marker)
    const result = new Map<number, Uint8Array[]>()
    for (const to of members) {
      const frames = await this.readUntil(to, marker)
      if (frames.length > 0) result.set(to, frames)
    }
    // What was flooded to the marker's port is not compared.
    this.read(MARKER_PORT)
    return result
  }

  /** Learned addresses and their ports, without the marker's. */
  table(): [mac: string, port: number][] {
    const entries = JSON.parse(this.netns.run('bridge', '-j', 'fdb', 'show', 'br', 'br0')) as {
      mac: string
      ifname: string
      state?: string
    }[]
    return entries
      .filter(({ mac, state }) => state !== 'permanent' && mac !== MARKER)
      .map(({ mac, ifname }): [string, number] => [mac, Number(ifname.replace('tap', ''))])
      .sort()
  }

  bridge(...args: string[]): void {
    this.netns.run('bridge', ...args)
  }

  /** Takes a port out of the bridge, or puts it in again. */
  enslave(port: number, on: boolean): void {
    this.netns.run('ip', 'link', 'set', `tap${port}`, ...(on ? ['master', 'br0'] : ['nomaster']))
  }

  close(): void {
    for (const tap of this.taps) tap.close()
    this.netns.close()
  }

  private write(port: number, bytes: Uint8Array): void {
    const frame = this.pool.allocate(bytes.length)
    this.pool.bytes(frame).set(bytes, this.pool.start[frame])
    const done = this.taps[port].write(Int32Array.of(frame), 0, 1)
    this.pool.free(frame)
    assert.equal(done, 1)
    assert.equal(this.taps[port].counters.txErrors, 0, `the kernel took no frame of ${bytes.length} bytes`)
  }

  private read(port: number): Uint8Array[] {
    const count = this.taps[port].read(this.handles, this.handles.length)
    return [...this.handles.subarray(0, count)].map((frame) => {
      const at = this.pool.start[frame]
      const bytes = this.pool.bytes(frame).slice(at, at + this.pool.length[frame])
      this.pool.free(frame)
      return bytes
    })
  }

  private async readUntil(port: number, marker: Uint8Array): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = []
    for (let tries = 0; tries < 60_000; tries++) {
      for (const bytes of this.read(port)) {
        if (Buffer.compare(bytes, marker) === 0) return frames
        frames.push(bytes)
      }
      await sleep(1)
    }
    throw new Error(`the marker did not come out of tap${port}`)
  }
}

class OurBridge {
  private readonly domain: BridgeDomain

  constructor(options: LearningBridgeOptions = {}) {
    this.domain = new BridgeDomain(
      {
        types: [learningBridge as ElementType<never>],
        build: (ports) => ({
          elements: { bridge: { type: 'bridge', options: { mtu: 1500, ...options } } },
          links: [],
          edges: Array.from({ length: ports }, (_, port) => ['bridge', port] as const)
        })
      },
      PORTS + 1
    )
  }

  send(port: number, bytes: Uint8Array): Map<number, Uint8Array[]> {
    const result = new Map<number, Uint8Array[]>()
    for (const [to, frames] of this.domain.deliver(port, bytes)) {
      if (to !== MARKER_PORT) {
        result.set(
          to,
          frames.map((frame) => frame.bytes)
        )
      }
    }
    return result
  }

  table(): [mac: string, port: number][] {
    return (this.domain.bench.command('bridge', 'fdb') as FdbEntry[])
      .filter((entry) => !entry.static)
      .map(({ mac, port }): [string, number] => [mac, port])
      .sort()
  }

  connect(ports: readonly number[]): void {
    this.domain.connect([...ports, MARKER_PORT])
  }

  checkBooks(): void {
    this.domain.checkBooks()
  }
}

describe('beside the kernel bridge', { skip: namespacesMissing('ip', 'bridge', 'sysctl') }, () => {
  let kernel: KernelBridge
  let ours: OurBridge

  const start = (options: LearningBridgeOptions = {}): void => {
    kernel = new KernelBridge()
    ours = new OurBridge(options)
  }
  const stop = (): void => {
    kernel.close()
    ours.checkBooks()
  }

  /** The same frame through both; the ports that it came out of. */
  const both = async (port: number, bytes: Uint8Array, message: string, members = ALL): Promise<number[]> => {
    const expected = await kernel.send(port, bytes, members)
    assert.deepEqual(ours.send(port, bytes), expected, message)
    return [...expected.keys()]
  }

  describe('alike', () => {
    before(() => start())
    after(stop)

    test('flood, learn, forward, move, same port', async () => {
      assert.deepEqual(await both(0, testFrame(BROADCAST, station(1)), 'broadcast'), [1, 2, 3])
      assert.deepEqual(await both(1, testFrame(station(1), station(2)), 'known'), [0])
      assert.deepEqual(await both(2, testFrame(station(9), station(3)), 'unknown'), [0, 1, 3])
      assert.deepEqual(await both(2, testFrame(BROADCAST, station(1)), 'moved'), [0, 1, 3])
      assert.deepEqual(await both(1, testFrame(station(1), station(2)), 'found at its new port'), [2])
      assert.deepEqual(await both(2, testFrame(station(3), station(1)), 'same port'), [])
      assert.deepEqual(ours.table(), kernel.table())
    })

    test('group and zero sources are dropped and not learned', async () => {
      assert.deepEqual(await both(0, testFrame(BROADCAST, '03:cc:00:00:00:01'), 'group'), [])
      assert.deepEqual(await both(0, testFrame(BROADCAST, '00:00:00:00:00:00'), 'zero'), [])
      assert.deepEqual(ours.table(), kernel.table())
    })

    test('01-80-C2-00-00-01 to -0F are not relayed; their senders are learned, as of LLDP', async () => {
      for (let last = 1; last < 16; last++) {
        assert.deepEqual(await both(3, testFrame(`01:80:c2:00:00:0${last.toString(16)}`, station(3)), `-0${last.toString(16)}`), [])
      }
      assert.deepEqual(await both(0, testFrame(station(3), station(1)), 'learned'), [3])
      assert.deepEqual(await both(0, testFrame('01:80:c2:00:00:10', station(1)), '-10'), [1, 2, 3])
    })

    test('lengths: from a bare header to the MTU with a tag, and beyond', async () => {
      for (const length of [14, 15, 59, 60, 64, 1513, 1514, 1515, 1518]) {
        assert.deepEqual(await both(0, testFrame(BROADCAST, station(1), length), `${length} bytes`), [1, 2, 3])
      }
      for (const length of [1519, 1600]) assert.deepEqual(await both(0, testFrame(BROADCAST, station(1), length), `${length} bytes`), [])
    })

    test('tags are payload', async () => {
      for (const tci of [0x0000, 0x001e, 0xefff]) {
        const bytes = testFrame(station(1), station(2))
        bytes.set([0x81, 0x00, tci >> 8, tci & 255, 0x08, 0x00], 12)
        assert.equal((await both(1, bytes, `tci ${tci}`)).length, 1)
      }
    })

    test('a port that leaves takes its stations with it', async () => {
      await both(0, testFrame(BROADCAST, station(1)), 'at port 0')
      await both(1, testFrame(BROADCAST, station(2)), 'at port 1')
      kernel.enslave(0, false)
      ours.connect([1, 2, 3])
      assert.deepEqual(await both(2, testFrame(station(1), station(3)), 'flooded to the others', [1, 2, 3]), [1, 3])
      kernel.enslave(0, true)
      ours.connect([0, 1, 2, 3])
      assert.deepEqual(await both(2, testFrame(station(1), station(3)), 'flooded'), [0, 1, 3])
      assert.deepEqual(await both(2, testFrame(station(2), station(3)), 'kept'), [1])
      assert.deepEqual(ours.table(), kernel.table())
    })

    test('1,000 random frames with moves: the same frames out of the same ports, the same table', async () => {
      const seed = 20_262
      const random = seededRandom(seed)
      const groups = [BROADCAST, '01:00:5e:00:00:01', '33:33:00:00:00:02', '01:80:c2:00:00:10', '01:80:c2:00:00:0e']
      for (let step = 0; step < 1000; step++) {
        const source = random(40) === 0 ? '01:00:00:00:00:01' : station(1 + random(24))
        const destination = random(5) === 0 ? groups[random(groups.length)] : station(1 + random(24))
        const bytes = testFrame(destination, source, 14 + random(1500), random(256))
        await both(random(PORTS), bytes, `seed ${seed}, step ${step}`)
      }
      assert.deepEqual(ours.table(), kernel.table())
      assert.equal(ours.table().length, 24)
    })
  })

  describe('static entries', () => {
    before(() => {
      start({ staticEntries: [{ mac: station(1), port: 1 }] })
      kernel.bridge('fdb', 'add', station(1), 'dev', 'tap1', 'master', 'static', 'sticky')
    })
    after(stop)

    test('as the kernel with static and sticky: traffic goes there, whatever the address does', async () => {
      assert.deepEqual(await both(0, testFrame(station(1), station(2)), 'before it speaks'), [1])
      assert.deepEqual(await both(2, testFrame(station(2), station(1)), 'it speaks elsewhere'), [0])
      assert.deepEqual(await both(0, testFrame(station(1), station(2)), 'still there'), [1])
    })
  })

  describe('decided otherwise', () => {
    before(() => start())
    after(stop)

    test('01-80-C2-00-00-00: the kernel relays it while its STP is off, we do not', async () => {
      const bytes = testFrame('01:80:c2:00:00:00', station(1))
      assert.deepEqual([...(await kernel.send(0, bytes)).keys()], [1, 2, 3])
      assert.deepEqual([...ours.send(0, bytes).keys()], [])
    })

    test('01-80-C2-00-00-01 (pause): the kernel does not learn from it, we do', async () => {
      const bytes = testFrame('01:80:c2:00:00:01', station(7))
      await kernel.send(0, bytes)
      ours.send(0, bytes)
      assert.ok(!kernel.table().some(([mac]) => mac === station(7)))
      assert.ok(ours.table().some(([mac]) => mac === station(7)))
    })
  })
})
