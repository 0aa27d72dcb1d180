// A TAP for a virtual machine: the machine is a process of an ordinary user, which opens the TAP by name as QEMU does.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { readCounters } from '../../src/engine/counters.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FramePool } from '../../src/engine/frame-pool.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openMachineTap } from '../../src/io/machine-tap.ts'
import { packetSocketElement } from '../../src/io/packet-socket-element.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { frameAt, place } from '../io/super-frame.ts'
import { linesOf, startGuest } from './guest-process.ts'
import { PolledEngine } from './polled-engine.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
/** Ids that no account has. */
const USER = 62_000 + (process.pid % 1000)
const STRANGER = USER + 1000

describe('a TAP for a virtual machine', { skip: namespacesMissing('ip', 'unshare', 'mknod') }, () => {
  let netns: TestNamespace
  let folder: string
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  beforeEach(() => {
    netns = new TestNamespace()
  })
  afterEach(() => netns.close())

  function names(): unknown[] {
    return netns.ip('link').map((link) => link['ifname'])
  }

  test('its owner opens it by name and answers pings; before that, frames to it are drops with a reason', async () => {
    const tap = await openMachineTap(native, { netns: netns.fd, name: 'vm7', owner: USER, mtu: 1400 })
    assert.equal(tap.created, true)
    const [link] = netns.ip('link', 'show', 'vm7')
    const flags = link['flags'] as string[]
    assert.ok(flags.includes('UP') && flags.includes('NOARP') && flags.includes('NO-CARRIER'), flags.join())
    assert.deepEqual([link['mtu'], tap.socket.mtu], [1400, 1400])
    assert.deepEqual(netns.ip('address', 'show', 'vm7')[0]['addr_info'], [])
    assert.equal((link['linkinfo'] as { info_data: { user: unknown } }).info_data.user, USER)

    const engine = new PolledEngine(
      {
        elements: {
          host: { type: 'host', options: { mac: '02:cc:00:00:00:01', addresses: ['192.0.2.1/24'] } },
          machine: { type: 'packet-socket', options: tap.socket }
        },
        links: [{ a: ['host', 0], b: ['machine', 0] }]
      },
      packetSocketElement as ElementType<never>,
      virtualHostType as ElementType<never>
    )
    const ping = (count: number, timeoutMs = 1000): Promise<PingResult> =>
      new Promise((resolve, reject) => {
        engine.engine.command('host', 'ping', { address: '192.0.2.2', count, intervalMs: 20, timeoutMs }, (error, result) =>
          error === null ? resolve(result as PingResult) : reject(error)
        )
      })
    const drops = (): number => readCounters(engine.engine.counters.layout()).get('machine')!.drops['device.down'] ?? 0

    // The kernel takes up to a second to declare the carrier's absence.
    for (let i = 0; i < 100 && drops() === 0; i++) {
      assert.equal((await ping(1)).received, 0)
      await setTimeout(20)
    }
    assert.ok(drops() > 0, 'frames to a machine that is not there are dropped as device.down')

    const stranger = linesOf(startGuest(netns, folder, { tap: 'vm7', user: STRANGER, address: '192.0.2.2/24' }))
    assert.equal(await stranger(), 'refused EPERM')

    const guest = startGuest(netns, folder, { tap: 'vm7', user: USER, address: '192.0.2.2/24' })
    const said = linesOf(guest)
    assert.equal(await said(), 'ready')
    let received = 0
    for (let i = 0; i < 100 && received === 0; i++) received = (await ping(1)).received
    assert.equal((await ping(10, 60_000)).received, 10)

    await tap.close()
    await tap.close()
    assert.equal(await said(), 'gone', 'the machine loses its interface')
    for (let i = 0; i < 3000 && engine.events.length === 0; i++) await setTimeout(20)
    assert.deepEqual(engine.events, [{ element: 'machine', event: { type: 'device-gone', device: 'vm7' } }])
    assert.deepEqual(names(), ['lo'])
    if (guest.exitCode === null) await once(guest, 'exit')
    await engine.close()
    assert.equal(engine.engine.frames.inUse, 0)
  })

  test('a TAP that exists is used, switched on, and stays', async () => {
    netns.run('ip', 'tuntap', 'add', 'dev', 'mine', 'mode', 'tap', 'user', '12')
    const before = netns.ip('link', 'show', 'mine')[0]
    const tap = await openMachineTap(native, { netns: netns.fd, name: 'mine', owner: USER })
    assert.equal(tap.created, false)
    assert.equal(tap.socket.ifindex, before['ifindex'])
    const now = netns.ip('link', 'show', 'mine')[0]
    assert.ok((now['flags'] as string[]).includes('UP'))
    assert.deepEqual(now['linkinfo'], before['linkinfo'])
    await tap.close()
    native.closeFd(tap.socket.fd)
    assert.deepEqual(names(), ['lo', 'mine'])
  })

  test('an interface that is no TAP is an error and stays as it is', async () => {
    netns.run('ip', 'tuntap', 'add', 'dev', 'layer3', 'mode', 'tun')
    netns.run('ip', 'link', 'add', 'pair0', 'type', 'veth', 'peer', 'name', 'pair1')
    const before = netns.run('ip', 'link')
    for (const [name, message] of [
      ['lo', /'lo' exists and is no TAP/],
      ['pair0', /'pair0' exists and is no TAP but a veth/],
      ['layer3', /'layer3' exists and is a TUN/],
      ['tap%d', /'tap%d'/],
      ['a/b', /'a\/b'/]
    ] as const) {
      await assert.rejects(openMachineTap(native, { netns: netns.fd, name }), { code: 'ERR_TAP_OPTION', message })
    }
    assert.equal(netns.run('ip', 'link'), before)
  })

  test('the kernel answers no ARP on a TAP that we made, as it would on another', async () => {
    netns.run('ip', 'link', 'set', 'lo', 'up')
    netns.run('ip', 'address', 'add', '192.0.2.9/32', 'dev', 'lo')
    const pool = new FramePool({ checked: true })
    const request = Buffer.alloc(42)
    request.fill(0xff, 0, 6)
    request.set([0x02, 0xcc, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0xcc, 0, 0, 0, 2, 192, 0, 2, 2], 6)
    request.set([192, 0, 2, 9], 38)

    /** Whether it answers one of so many requests. */
    async function answers(name: string, most: number): Promise<boolean> {
      const tap = openTap(native, { netns: netns.fd, name })
      const device = new TapDevice(pool, native, { ...tap, mtu: 1500 })
      const out = new Int32Array(64)
      let seen = false
      for (let i = 0; i < most && !seen; i++) {
        const frame = place(pool, { bytes: request, flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0 })
        device.write(Int32Array.of(frame), 0, 1)
        pool.free(frame)
        await setTimeout(5)
        for (const handle of out.subarray(0, device.read(out, 64))) {
          if (frameAt(pool, handle).bytes.toString('hex', 20, 32) !== '')
            seen ||= frameAt(pool, handle).bytes.readUInt32BE(28) === 0xc0000209
          pool.free(handle)
        }
      }
      device.close()
      return seen
    }

    const quiet = await openMachineTap(native, { netns: netns.fd, name: 'quiet' })
    netns.run('ip', 'tuntap', 'add', 'dev', 'plain', 'mode', 'tap')
    netns.run('ip', 'link', 'set', 'plain', 'up')
    netns.run('ip', 'route', 'add', '192.0.2.2/32', 'dev', 'plain')
    assert.equal(await answers('plain', 5000), true, 'the control: a TAP of which the kernel knows nothing special')
    netns.run('ip', 'route', 'replace', '192.0.2.2/32', 'dev', 'quiet')
    assert.equal(await answers('quiet', 20), false)
    await quiet.close()
    native.closeFd(quiet.socket.fd)
  })
})
