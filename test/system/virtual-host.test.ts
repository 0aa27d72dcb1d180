// A virtual host judged by the kernel: a namespace with a TAP, whose stack, ping and sockets talk to it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readCounters } from '../../src/engine/counters.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { PolledEngine } from './polled-engine.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** Sends datagrams of each size to the echo port of an address and prints the sizes that came back unchanged. */
const UDP_ECHO = `
  const [address, ...sizes] = process.argv.slice(1)
  const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const wanted = sizes.map(Number)
  const bytes = (size) => Buffer.from({ length: size }, (_, i) => i * 13 + size)
  const good = []
  const next = () => {
    if (wanted.length === 0) { console.log(good.join()); socket.close(); clearTimeout(timer); return }
    socket.send(bytes(wanted[0]), 7, address)
  }
  const timer = setTimeout(() => { console.log(good.join() + ' then silence'); process.exit() }, 60000)
  socket.on('message', (data) => {
    const size = wanted.shift()
    if (data.equals(bytes(size))) good.push(size)
    next()
  })
  next()`

/** What a datagram to a closed port brings: the error of a connected socket. */
const UDP_CLOSED = `
  const socket = require('node:dgram').createSocket(process.argv[1].includes(':') ? 'udp6' : 'udp4')
  socket.on('error', (error) => { console.log(error.code); process.exit() })
  socket.connect(9, process.argv[1], () => socket.send('x'))
  setTimeout(() => process.exit(1), 60000)`

const TCP_CLOSED = `require('node:net').connect(80, process.argv[1]).on('error', (error) => console.log(error.code))`

describe('a virtual host and the kernel', { skip: namespacesMissing('ip', 'ping') }, () => {
  let netns: TestNamespace
  let engine: PolledEngine

  before(() => {
    netns = new TestNamespace()
    const { fd, name, vnetHeaderLength, offloads } = openTap(tryLoadNative()!, { netns: netns.fd, name: 'eth0' })
    netns.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'eth0')
    netns.run('ip', '-6', 'address', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad')
    netns.run('ip', 'link', 'set', 'eth0', 'up')
    engine = new PolledEngine(
      {
        elements: {
          eth0: { type: 'tap', options: { fd, name, mtu: 1500, vnetHeaderLength, offloads } },
          host: { type: 'host', options: { mac: '02:cc:00:00:00:02', addresses: ['192.0.2.2/24', '2001:db8::2/64'], udpEcho: [7] } }
        },
        links: [{ a: ['eth0', 0], b: ['host', 0] }]
      },
      virtualHostType as ElementType<never>
    )
  })
  after(async () => {
    await engine.close()
    netns.close()
    assert.equal(engine.engine.frames.inUse, 0)
  })

  function command<T>(verb: string, argument: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      engine.engine.command('host', verb, argument, (error, value) => (error === null ? resolve(value as T) : reject(error)))
    })
  }

  for (const address of ['192.0.2.2', '2001:db8::2', 'fe80::cc:ff:fe00:2%eth0']) {
    for (const size of [0, 56, 1452, 8000].filter((bytes) => bytes < 8000 || !address.includes(':'))) {
      test(`ping ${address} with ${size} bytes`, async () => {
        await netns.echoes(3, '-s', String(size), address)
      })
    }
  }

  test('the kernel has learned the MAC by ARP and by neighbor discovery', () => {
    const macs = netns.ip('neigh', 'show', 'dev', 'eth0').map(({ dst, lladdr }) => `${dst} ${lladdr}`)
    assert.ok(macs.includes('192.0.2.2 02:cc:00:00:00:02'), macs.join())
    assert.ok(macs.includes('2001:db8::2 02:cc:00:00:00:02'), macs.join())
  })

  test('the host pings the kernel', async () => {
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      const { received, rttNs } = await command<PingResult>('ping', { address, count: 5, intervalMs: 20, timeoutMs: 60_000 })
      assert.equal(received, 5)
      assert.ok(rttNs.every((rtt) => rtt > 0))
    }
    assert.equal(
      (await command<PingResult>('ping', { address: '192.0.2.1', size: 20_000, count: 2, intervalMs: 10, timeoutMs: 60_000 })).received,
      2
    )
  })

  test('UDP echo of every size', async () => {
    for (const [address, sizes] of [
      ['192.0.2.2', [1, 100, 1472, 1473, 3000, 20_000, 65_507]],
      ['2001:db8::2', [1, 100, 1452]]
    ] as const) {
      const { stdout } = await netns.exec(process.execPath, '-e', UDP_ECHO, address, ...sizes.map(String))
      assert.equal(stdout.trim(), sizes.join())
    }
  })

  test('closed ports are refused', async () => {
    for (const address of ['192.0.2.2', '2001:db8::2']) {
      assert.equal((await netns.exec(process.execPath, '-e', UDP_CLOSED, address)).stdout.trim(), 'ECONNREFUSED')
      assert.equal((await netns.exec(process.execPath, '-e', TCP_CLOSED, address)).stdout.trim(), 'ECONNREFUSED')
    }
  })

  test('datagrams to and from a bound port', async () => {
    const { port } = await command<{ port: number }>('udpBind', { port: 5000 })
    const script =
      "const s = require('node:dgram').createSocket('udp4'); s.on('message', (m, r) => { console.log(m + ' ' + r.address + ' ' + r.port); s.close() }); s.bind(6000, () => s.send('hello', 5000, '192.0.2.2'))"
    const ended = netns.exec(process.execPath, '-e', script)
    const arrived = await new Promise<{ data: Uint8Array; address: string; fromPort: number }>((resolve) => {
      engine.onEvent = (_element, event) => resolve(event as never)
    })
    engine.onEvent = null
    assert.deepEqual([Buffer.from(arrived.data).toString(), arrived.address, arrived.fromPort], ['hello', '192.0.2.1', 6000])
    await command('udpSend', { port, address: arrived.address, toPort: arrived.fromPort, data: Buffer.from('and back') })
    assert.equal((await ended).stdout.trim(), 'and back 192.0.2.2 5000')
  })

  test('nothing that the kernel sent was taken for wrong', () => {
    const { drops } = readCounters(engine.engine.counters.layout()).get('host')!
    assert.equal(drops['stack.badChecksum'], undefined)
    assert.equal(drops['stack.malformed'], undefined)
  })
})
