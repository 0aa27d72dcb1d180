// Outer packets that were cut on the way to the TAP underlay: the VTEP puts them together, and the host does so with those of its own sockets.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sleep } from '../../src/engine/clock.ts'
import { emitVxlan } from '../../src/wire/vxlan.ts'
import { innerBack } from '../elements/vxlan/vtep-bench.ts'
import { namespacesMissing, type TestNamespace } from './test-namespace.ts'
import { VNI, VxlanWorld } from './vxlan-world.ts'

/** Bytes of UDP in the inner packet: with outer headers it is longer than the peer's way takes. */
const INNER = 1400
const WAY_MTU = '1300'
const LENGTH = 4000
const TRIES = 300

describe('fragments at the TAP underlay', { skip: namespacesMissing('ip', 'bridge', 'socat', 'ss'), timeout: 300_000 }, () => {
  let world: VxlanWorld
  const started: ChildProcess[] = []
  before(async () => {
    world = await VxlanWorld.open({ underlay: 'tap' })
    world.peer.run('ip', 'route', 'add', '192.0.2.50/32', 'dev', 'eth0', 'mtu', WAY_MTU)
  })
  after(async () => {
    for (const socket of started) {
      if (socket.exitCode !== null || socket.signalCode !== null) continue
      const ended = once(socket, 'close')
      socket.kill('SIGTERM')
      await ended
    }
    await world?.close()
  })

  /** Sends a datagram from the peer's kernel, which cuts it, until as many bytes have come to a socket. */
  const arrives = async (end: TestNamespace, port: number, datagram: Uint8Array, to: string, bytes: number): Promise<void> => {
    const socket = end.start('socat', '-u', `UDP4-RECV:${port}`, 'STDOUT')
    started.push(socket)
    let received = 0
    socket.stdout!.on('data', (data: Buffer) => (received += data.length))
    while (end.run('ss', '-Hlun', `sport = :${port}`) === '') await sleep(20)
    const file = path.join(world.directory, String(port))
    writeFileSync(file, datagram)
    for (let tries = 0; received === 0; tries++) {
      assert.ok(tries < TRIES, 'never')
      const { status, stderr } = await world.peer.exec('socat', '-u', '-b', String(LENGTH), `FILE:${file}`, `UDP4-DATAGRAM:${to}`)
      assert.equal(status, 0, stderr)
      for (let waits = 0; received === 0 && waits < 10; waits++) await sleep(20)
    }
    assert.equal(received % bytes, 0)
  }

  test('of VXLAN: the inner packet arrives', async () => {
    const frame = innerBack({ payload: INNER })
    const datagram = new Uint8Array(8 + frame.length)
    emitVxlan({ vni: VNI }, datagram, 0)
    datagram.set(frame, 8)
    await arrives(world.inside, 80, datagram, '192.0.2.50:4789', INNER)
  })

  test('of others: sockets of the host get their datagrams as before', () =>
    arrives(world.host, 7777, new Uint8Array(LENGTH), '192.0.2.50:7777', LENGTH))
})
