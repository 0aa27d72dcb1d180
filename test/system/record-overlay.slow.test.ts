// Two daemons of a cluster, one with a TAP as underlay and one with sockets: real processes on both talk over an overlay network, and the
// capture of either daemon is verified without the other.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { verifyRecording } from '../../src/index.ts'
import { ClusterLan, eventually } from './cluster-lan.ts'
import { namespacesMissing } from './test-namespace.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
const STORE = '192.0.2.21'
const BYTES = 300_000

/** Sends BYTES to whoever connects and takes as many, and sends each datagram back. */
const SERVER = `
  require('node:net').createServer((socket) => socket.resume().end(Buffer.alloc(${BYTES}, 7))).listen(5000)
  const udp = require('node:dgram').createSocket('udp4')
  udp.on('message', (message, from) => udp.send(message, from.port, from.address)).bind(5001)`

/** Finds the server by its name; takes and sends the bytes; sends datagrams, one of them in fragments. */
const CLIENT = `
  const fetch = () => {
    let bytes = 0
    const socket = require('node:net').connect(5000, 'c2')
    socket.on('error', () => {})
    socket.on('data', (data) => { bytes += data.length })
    socket.end(Buffer.alloc(${BYTES}, 8))
    socket.on('close', (hasFailed) => {
      if (hasFailed) return setTimeout(fetch, 100)
      const udp = require('node:dgram').createSocket('udp4')
      const answered = new Set()
      udp.on('message', (message) => {
        answered.add(message.length)
        if (answered.size === 2) { console.log(bytes); process.exit(0) }
      })
      const ask = () => {
        udp.send(Buffer.alloc(5000, 1), 5001, 'c2')
        udp.send(Buffer.alloc(10, 2), 5001, 'c2')
      }
      ask()
      setInterval(ask, 2000)
    })
  }
  fetch()`

describe('captures of two daemons with an overlay network', {
  skip: namespacesMissing('docker', 'ip', 'bridge', 'etcd'),
  timeout: 300_000
}, () => {
  let cluster: ClusterLan
  let store: ChildProcess
  const captures: ChildProcess[] = []
  const file = (number: number): string => path.join(cluster.folder, `host${number}.pcapng`)

  const startStore = (): void => {
    store = cluster
      .machine(21)
      .start(
        'etcd',
        ...['--name', 'one', '--data-dir', path.join(cluster.folder, 'etcd'), '--log-level', 'error', '--unsafe-no-fsync'],
        ...['--listen-client-urls', `http://${STORE}:2379`, '--advertise-client-urls', `http://${STORE}:2379`],
        ...['--listen-peer-urls', `http://${STORE}:2380`, '--initial-advertise-peer-urls', `http://${STORE}:2380`],
        ...['--initial-cluster', `one=http://${STORE}:2380`]
      )
    for (const stream of [store.stdout!, store.stderr!]) stream.resume()
  }

  /** Resolves when it runs. */
  const startCapture = async (number: number): Promise<void> => {
    const args = [NETLOOM, 'capture', '--every-port', '-w', file(number), '--host', `unix://${cluster.socket(number)}`]
    const capture = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    captures.push(capture)
    let said = ''
    for await (const text of capture.stderr.iterator({ destroyOnReturn: false })) if ((said += text).includes('\n')) break
    capture.stderr.resume()
    assert.equal(capture.exitCode, null, said)
  }

  before(async () => {
    cluster = new ClusterLan()
    startStore()
    const url = `etcd://${STORE}:2379/record`
    await Promise.all([
      cluster.startDaemon(1, url, '--uplink', 'none'),
      cluster.startDaemon(2, url, '--underlay', 'udp', '--uplink', 'none')
    ])
    const make = (): string => cluster.on(1, 'network', 'create', '-d', 'overlay', '--internal', '--subnet', '10.9.0.0/24', 'multi')
    await eventually('the store answers', () => make() !== '')
    await cluster.shared('multi', 1, 2)
  })
  after(async () => {
    for (const capture of captures) capture.kill('SIGKILL')
    // A daemon that is stopped leaves the cluster in order, which takes seconds; nobody is left here to see it.
    try {
      for (const number of [1, 2]) {
        cluster.on(number, 'rm', '-f', `c${number}`)
        cluster.daemon(number).signal('SIGKILL')
        await cluster.daemon(number).ended
      }
    } finally {
      await cluster?.close()
      store?.kill('SIGKILL')
    }
  })

  test('each comes out again: what its containers got, and what went to the other machine', async () => {
    await Promise.all([startCapture(1), startCapture(2)])
    cluster.run(1, 'c1', 'multi')
    cluster.on(2, 'run', '-d', '--name', 'c2', '--net', 'multi', 'alpine', process.execPath, '-e', SERVER)
    await eventually('c1 knows c2', () => cluster.on(1, 'network', 'inspect', 'multi').includes('"c2"'))
    await eventually('c2 knows c1', () => cluster.on(2, 'network', 'inspect', 'multi').includes('"c1"'))
    assert.equal(Number(cluster.on(1, 'exec', 'c1', process.execPath, '-e', CLIENT)), BYTES)
    for (const capture of captures) {
      const ended = once(capture, 'exit')
      capture.kill('SIGINT')
      assert.deepEqual(await ended, [0, null])
    }
    for (const number of [1, 2]) {
      const { ports, leftOut } = await verifyRecording(file(number))
      for (const { port, differences } of ports) assert.deepEqual(differences, [], `host ${number}: ${port}`)
      assert.deepEqual(leftOut, [])
      assert.deepEqual(
        ports.map(({ port, same }) => [port, same > 5]).sort(),
        [
          [`multi/c${number}`, true],
          ['underlay', true]
        ],
        JSON.stringify(ports)
      )
    }
  })
})
