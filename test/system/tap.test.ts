// TAPs in namespaces of their own, joined by nothing but our engine: the kernel's own stacks and iproute2 judge.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { readCounters } from '../../src/engine/counters.ts'
import { dropReasons } from '../../src/engine/drop-reason.ts'
import { FrameFlag, FramePool } from '../../src/engine/frame-pool.ts'
import { ALL_OFFLOADS, NO_OFFLOADS } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import type { OpenedTap } from '../../src/io/native-binding.ts'
import { openTap, TapDevice, type TapDeviceOptions } from '../../src/io/tap-device.ts'
import { PolledEngine } from './polled-engine.ts'
import { transfer } from './tcp-transfer.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
describe('TAP', { skip: namespacesMissing('ip', 'ping') }, () => {
  let left: TestNamespace
  let right: TestNamespace
  beforeEach(() => {
    left = new TestNamespace()
    right = new TestNamespace()
  })
  afterEach(() => {
    left.close()
    right.close()
  })

  /** A TAP eth0 that is up and has 192.0.2.HOST/24. */
  function attach(netns: TestNamespace, host: number, options: { vnetHeader?: boolean; offloads?: number } = {}): TapDeviceOptions {
    const tap = openTap(native, { netns: netns.fd, name: 'eth0', ...options })
    netns.run('ip', 'address', 'add', `192.0.2.${host}/24`, 'dev', 'eth0')
    netns.run('ip', '-6', 'address', 'add', `2001:db8::${host}/64`, 'dev', 'eth0', 'nodad')
    netns.run('ip', 'link', 'set', 'eth0', 'up')
    return { fd: tap.fd, name: tap.name, mtu: 1500, vnetHeaderLength: tap.vnetHeaderLength, offloads: tap.offloads }
  }

  /** An engine that joins both TAPs by a cable. */
  function cable(a: TapDeviceOptions, b: TapDeviceOptions): PolledEngine {
    return new PolledEngine({
      elements: { a: { type: 'tap', options: a }, b: { type: 'tap', options: b } },
      links: [{ a: ['a', 0], b: ['b', 0] }]
    })
  }

  test('openTap makes the interface in the namespace asked for, with the granted offloads switched on', () => {
    const tap = openTap(native, { netns: left.fd, name: 'lab%d' })
    assert.match(tap.name, /^lab\d+$/)
    const [link] = left.ip('link', 'show', tap.name)
    assert.equal(link['ifindex'], tap.ifindex)
    assert.deepEqual((link['linkinfo'] as { info_data: object }).info_data, {
      type: 'tap',
      pi: false,
      vnet_hdr: true,
      multi_queue: false,
      persist: false
    })
    assert.equal(right.ip('link').length, 1, 'the other namespace has lo only')
    assert.ok((tap.offloads & 7) === 7, 'checksum and TCP segmentation are granted by every kernel since 2.6.27')
    native.closeFd(tap.fd)
    assert.equal(left.ip('link').length, 1, 'it ends with its descriptor')
  })

  test('a persistent TAP outlives its descriptor, is reattached with what it had, and ends when told', () => {
    const first = openTap(native, { netns: left.fd, name: 'keep', persist: true, ownerUid: 12 })
    left.run('ip', 'address', 'add', '192.0.2.7/24', 'dev', 'keep')
    const info = (left.ip('link', 'show', 'keep')[0]['linkinfo'] as { info_data: Record<string, unknown> }).info_data
    assert.equal(info['user'] === 12 || info['user'] === 'man', true)
    assert.throws(() => openTap(native, { netns: left.fd, name: 'keep' }), {
      code: 'EBUSY',
      syscall: 'ioctl TUNSETIFF',
      message: /TAP keep/
    })
    native.closeFd(first.fd)
    const second: OpenedTap = openTap(native, { netns: left.fd, name: 'keep' })
    assert.equal(second.ifindex, first.ifindex)
    assert.equal(left.ip('-4', 'address', 'show', 'keep').length, 1)
    native.setTapPersist(second.fd, false)
    native.closeFd(second.fd)
    assert.equal(left.ip('link').length, 1)
  })

  test('a name that the kernel would not take is an error that shows it', () => {
    for (const name of ['', 'sixteen-bytes-16', 'a/b', 'a b', '..', 'ä'.repeat(8)]) {
      assert.throws(() => openTap(native, { netns: left.fd, name }), { code: 'ERR_TAP_OPTION', message: new RegExp(`'${name}'`) })
    }
  })

  for (const [title, a, b] of [
    ['with offloads on both sides', {}, {}],
    ['without any on one side: we segment', {}, { vnetHeader: false }],
    ['without any on both sides', { vnetHeader: false }, { vnetHeader: false }],
    ['with a header but no offload granted towards us', { offloads: NO_OFFLOADS }, { offloads: NO_OFFLOADS }]
  ] as const) {
    test(`ping, ping6 and TCP across two namespaces, ${title}`, async () => {
      const engine = cable(attach(left, 1, a), attach(right, 2, b))
      try {
        await left.echoes(20, '-s', '1400', '192.0.2.2')
        await left.echoes(5, '2001:db8::2')

        for (const [to, from, address] of [
          [right, left, '192.0.2.2'],
          [left, right, '192.0.2.1'],
          [right, left, '2001:db8::2'],
          [left, right, '2001:db8::1']
        ] as const) {
          await transfer(from, to, address)
        }
        const counters = readCounters(engine.engine.counters.layout())
        const segmented = counters.get('b')!.counters['segmented']
        if ('vnetHeader' in b && !('vnetHeader' in a)) assert.ok(segmented > 100, `${segmented} super-frames were cut for b`)
        else assert.equal(segmented, 0)
        const bad = dropReasons().filter(({ name }) => /badHeaders|refused|tooLong/.test(name))
        for (const side of ['a', 'b']) for (const { name } of bad) assert.equal(counters.get(side)!.drops[name] ?? 0, 0, `${side} ${name}`)
        const broken = right.run('sh', '-c', 'cat /proc/thread-self/net/snmp | grep ^Tcp: | tail -1').trim().split(' ').at(-1)
        assert.equal(broken, '0', 'TCP segments with bad checksums at the receiver')
      } finally {
        await engine.close()
      }
      assert.equal(engine.engine.frames.inUse, 0)
    })
  }

  test('a super-frame of 64 KiB comes in as one frame with its offload fields', async () => {
    const tap = attach(left, 1)
    const pool = new FramePool({ checked: true })
    const device = new TapDevice(pool, native, tap)
    left.run('ip', 'neighbor', 'add', '192.0.2.2', 'lladdr', '02:cc:00:00:00:02', 'dev', 'eth0')
    left.run('ip', '-6', 'neighbor', 'add', '2001:db8::2', 'lladdr', '02:cc:00:00:00:02', 'dev', 'eth0')
    // UDP with UDP_SEGMENT gives a super-frame with no peer that answers; MSG_ZEROCOPY and the like are not needed.
    const program = [
      'import socket',
      's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)',
      's.setsockopt(17, 103, 1400)',
      "s.sendto(bytes(i & 255 for i in range(44800)), ('192.0.2.2', 9))"
    ].join('\n')
    left.run('python3', '-c', program)
    const out = new Int32Array(64)
    const count = device.read(out, 64)
    const frames = [...out.subarray(0, count)].filter((frame) => pool.flags[frame] & FrameFlag.gso)
    if ((tap.offloads & 0x60) === 0x60) {
      assert.equal(frames.length, 1)
      const [frame] = frames
      assert.deepEqual([pool.gsoType[frame], pool.gsoSize[frame], pool.csumStart[frame], pool.csumOffset[frame]], [5, 1400, 34, 6])
      assert.equal(pool.length[frame], 14 + 20 + 8 + 44800)
      assert.ok(frame >= pool.largeBase)
    }
    device.close()
  })

  test('writing to an interface that is down fails with EIO for each frame, and none of them is lost to the pool', () => {
    const tap = openTap(native, { netns: left.fd, name: 'down0' })
    const pool = new FramePool({ checked: true })
    const device = new TapDevice(pool, native, { ...tap, mtu: 1500 })
    const frames = Int32Array.from({ length: 3 }, () => pool.allocate(60))
    const handles = [...frames]
    assert.equal(device.write(frames, 0, 3), 3)
    assert.deepEqual(
      [...frames],
      handles.map((handle) => ~handle)
    )
    assert.equal(device.lastError, 5)
    assert.equal(device.counters.txErrors, 3)
    device.close()
  })

  test('a device whose interface was deleted says so once and is left alone', async () => {
    const engine = cable(attach(left, 1), attach(right, 2))
    left.run('ip', 'link', 'delete', 'eth0')
    for (let i = 0; i < 3000 && engine.events.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(engine.events, [{ element: 'a', event: { type: 'device-gone', device: 'eth0' } }])
    await engine.close()
    assert.equal(engine.engine.frames.inUse, 0)
  })

  test('all wanted offloads are granted on a kernel that knows them', () => {
    const tap = openTap(native, { netns: left.fd, name: 'eth0', offloads: ALL_OFFLOADS })
    const [major, minor] = left.run('uname', '-r').split('.').map(Number)
    if (major > 6 || (major === 6 && minor >= 2)) assert.equal(tap.offloads, ALL_OFFLOADS)
    native.closeFd(tap.fd)
  })
})
