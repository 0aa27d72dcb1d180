// Datagrams that enter the kernel as one: a program behind a TAP receives each as it was sent.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Offload } from '../../src/io/frame-device.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap, TapDevice } from '../../src/io/tap-device.ts'
import { rigPool } from '../io/frame-device-suite.ts'
import { payloadOf, place, superFrame } from '../io/super-frame.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
const COUNT = 40
/** Prints each datagram that port 9 gets, in hex, until it has had COUNT. */
const receiver = (family: 4 | 6): string => `
  let left = ${COUNT}
  const socket = require('node:dgram').createSocket('udp${family}')
  socket.on('message', (data, from) => {
    console.log(from.port + ' ' + data.toString('hex'))
    if (--left === 0) socket.close()
  })
  socket.bind(9, () => console.log('ready'))`

describe('datagrams that are written as one', { skip: namespacesMissing('ip', 'sysctl') }, () => {
  for (const family of [4, 6] as const) {
    test(`IPv${family}: each arrives whole, in order, and the kernel's stack had fewer to do with`, { timeout: 120_000 }, async () => {
      const netns = new TestNamespace()
      try {
        const tap = openTap(native, { netns: netns.fd, name: 'eth0' })
        netns.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0')
        netns.run('ip', 'link', 'set', 'eth0', 'address', '02:cc:00:00:00:02')
        netns.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'eth0')
        netns.run('ip', '-6', 'address', 'add', '2001:db8::2/64', 'dev', 'eth0', 'nodad')
        netns.run('ip', 'link', 'set', 'eth0', 'up')
        const pool = rigPool()
        const device = new TapDevice(pool, native, { ...tap, mtu: 1500 })
        const program = netns.start(process.execPath, '-e', receiver(family))
        const ended = once(program, 'close')
        let text = ''
        program.stdout!.setEncoding('utf8').on('data', (data: string) => {
          text += data
        })
        while (!text.includes('ready')) await once(program.stdout!, 'data')

        const received = (): number => Number(netns.run('cat', '/sys/class/net/eth0/statistics/rx_packets'))
        const before = received()
        const sent = Array.from({ length: COUNT }, (_, i) => payloadOf(i % 20 === 19 ? 333 : 1000).map((byte) => byte ^ i))
        const frames = sent.map((payload, i) => superFrame({ transport: 'udp', family, payload, gsoSize: 0, ipId: i }))
        const handles = Int32Array.from(frames, (frame) => place(pool, frame))
        assert.equal(device.write(handles, 0, COUNT), COUNT)
        assert.equal(device.counters.txErrors, 0)
        pool.freeAll(handles, COUNT)
        // With all that it printed.
        await ended

        assert.deepEqual(
          text.trim().split('\n').slice(1),
          sent.map((payload) => `40000 ${Buffer.from(payload).toString('hex')}`)
        )
        const isJoined = (device.offloads & (family === 4 ? Offload.uso4 : Offload.uso6)) !== 0
        if (isJoined) assert.ok(received() - before < COUNT / 2, 'two super-frames, and what the kernel says of itself')
        device.close()
      } finally {
        netns.close()
      }
    })
  }

  test('refused as one, each is refused for itself, and counted', () => {
    const netns = new TestNamespace()
    try {
      // Down: the kernel takes nothing (EIO).
      const tap = openTap(native, { netns: netns.fd, name: 'eth0' })
      const pool = rigPool()
      const device = new TapDevice(pool, native, { ...tap, mtu: 1500 })
      const handles = Int32Array.from({ length: COUNT }, (_, i) =>
        place(pool, superFrame({ transport: 'udp', family: 4, payload: payloadOf(1000), gsoSize: 0, ipId: i }))
      )
      const sent = Array.from(handles)
      assert.equal(device.write(handles, 0, COUNT), COUNT)
      assert.equal(device.counters.txErrors, COUNT)
      assert.deepEqual(
        Array.from(handles),
        sent.map((frame) => ~frame)
      )
      device.close()
    } finally {
      netns.close()
    }
  })
})
