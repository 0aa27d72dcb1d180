/** Fault scripts against real TCP stacks: processes in sandboxes, in real time. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Lab, readCapture } from '../../src/index.ts'
import { ipv4, tcp } from '../../src/testing.ts'
import { temporaryFolder } from '../capture/judge.ts'
import { noSandbox } from './sandbox-set-up.ts'

const BYTES = 300_000
const CONNECTIONS = 4

const SERVER = `
  require('node:net').createServer((socket) => socket.end(Buffer.alloc(${BYTES}, 7))).listen(5000, () => console.log('ready'))`

/** One connection after the other; says the ports from which they were made, once each has brought all bytes. */
const CLIENT = `
  const ports = []
  const next = () => {
    if (ports.length === ${CONNECTIONS}) return console.log(ports.join(' '))
    let bytes = 0
    const socket = require('node:net').connect(5000, 'server', () => ports.push(socket.localPort))
    socket.on('data', (data) => { bytes += data.length })
    socket.on('end', () => { if (bytes === ${BYTES}) next(); else throw new Error(bytes + ' bytes') })
  }
  next()`

test('the third SYN-ACK is dropped, and the kernel sends it again', { skip: noSandbox, timeout: 60_000 }, async (t) => {
  const file = path.join(temporaryFolder(t), 'handshakes.pcapng')
  const lab = await Lab.create({ upstreams: [], probe: true })
  let ports: number[] = []
  try {
    await lab.capture(file, { filter: 'tcp[tcpflags] & tcp-syn != 0' })
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    const [server, client] = [await lan.sandbox('server'), await lan.sandbox('client')]
    const serving = await server.spawn([process.execPath, '-e', SERVER], { stdio: ['null', 'pipe', 'inherit'] })
    await new Promise((resolve) => serving.stdout!.once('data', resolve))
    const fault = lab.faults.drop(ipv4({ src: server.address }), tcp({ syn: true, ack: true }), { nth: 3 })
    const accepted = lab.expectFrame(tcp({ srcPort: 5000, syn: true, ack: true }), {
      at: 'lan/client',
      way: 'in',
      count: CONNECTIONS,
      within: '30 s'
    })
    const asking = await client.spawn([process.execPath, '-e', CLIENT], { stdio: ['null', 'pipe', 'inherit'] })
    ports = (await text(asking.stdout!)).trim().split(' ').map(Number)
    await accepted
    assert.deepEqual(
      fault.frames.map(({ at, way }) => [at, way]),
      [['lan/server', 'out']]
    )
    assert.match(fault.frames[0]!.text, new RegExp(`^IP 192\\.0\\.2\\.2\\.5000 > 192\\.0\\.2\\.3\\.${ports[2]}: Flags \\[S\\.\\]`))
    assert.equal(lab.report().find(({ name }) => name === 'server')!.drops['probe.fault'], 1)
  } finally {
    await lab.close()
  }
  // SYN-ACKs by the client's port: only the third connection has more than one, and one of its has the reason for which it ended.
  const answers = [...readCapture(file)].filter(({ data }) => data[47] === 0x12)
  const of = (port: number) => answers.filter(({ data }) => (data[36]! << 8) + data[37]! === port)
  const sent = ports.map((port) => of(port).filter(({ verdict }) => verdict === undefined).length)
  assert.deepEqual([ports.length, sent[0], sent[1], sent[3]], [CONNECTIONS, 1, 1, 1])
  assert.ok(sent[2]! >= 2, `${sent}`)
  assert.deepEqual(
    of(ports[2]!).flatMap(({ comment }) => comment?.replace(/: .*/, '') ?? []),
    ['dropped at probe']
  )
})

test('a link is cut in mid-transfer and restored: not a byte is lost', { skip: noSandbox, timeout: 60_000 }, async () => {
  const lab = await Lab.create({ upstreams: [], probe: true })
  try {
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    // So slow that the transfer is under way when the link is cut.
    const [server, client] = [await lan.sandbox('server', { link: 'rate 20mbit' }), await lan.sandbox('client')]
    const serving = await server.spawn([process.execPath, '-e', SERVER], { stdio: ['null', 'pipe', 'inherit'] })
    await new Promise((resolve) => serving.stdout!.once('data', resolve))
    const begun = lab.expectFrame(tcp({ srcPort: 5000, syn: false }), { at: 'lan/client', way: 'in', count: 5, within: '30 s' })
    const asking = await client.spawn([process.execPath, '-e', CLIENT], { stdio: ['null', 'pipe', 'inherit'] })
    await begun
    await lab.faults.cut('lan/client')
    await lab.wait(500)
    await lab.faults.restore('lan/client')
    assert.equal((await text(asking.stdout!)).trim().split(' ').length, CONNECTIONS)
    assert.ok((lab.report().find(({ name }) => name === 'server')!.drops['probe.cut'] ?? 0) > 0)
  } finally {
    await lab.close()
  }
})
