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

test('the third SYN-ACK is dropped, and the kernel sends it again', { skip: noSandbox, timeout: 300_000 }, async (t) => {
  const file = path.join(temporaryFolder(t), 'handshakes.pcapng')
  const lab = await Lab.create({ upstreams: [], probe: true })
  let ports: number[] = []
  let lost = 0
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
      within: '200 s'
    })
    const asking = await client.spawn([process.execPath, '-e', CLIENT], { stdio: ['null', 'pipe', 'inherit'] })
    ports = (await text(asking.stdout!)).trim().split(' ').map(Number)
    await accepted
    assert.deepEqual(
      fault.frames.map(({ at, way }) => [at, way]),
      [['lan/server', 'out']]
    )
    lost = Number(/^IP 192\.0\.2\.2\.5000 > 192\.0\.2\.3\.(\d+): Flags \[S\.\]/.exec(fault.frames[0]!.text)?.[1])
    assert.equal(lab.report().find(({ name }) => name === 'server')!.drops['probe.fault'], 1)
  } finally {
    await lab.close()
  }
  // SYN-ACKs: the third is of a connection that has more than one, and stands there once more with the reason for which it ended. It is of
  // the third connection, unless the machine stood still for so long that a kernel repeated one before.
  const answers = [...readCapture(file)].filter(({ data }) => data[47] === 0x12)
  const portOf = ({ data }: { data: Uint8Array }): number => (data[36]! << 8) + data[37]!
  const sent = answers.filter(({ verdict }) => verdict === undefined).map(portOf)
  assert.equal(sent[2], lost)
  assert.ok(sent.filter((port) => port === lost).length >= 2, `${sent}`)
  assert.deepEqual([ports.length, [...new Set(sent)]], [CONNECTIONS, ports])
  assert.deepEqual(
    answers.flatMap((frame) => (frame.comment === undefined ? [] : [[portOf(frame), frame.comment.replace(/: .*/, '')]])),
    [[lost, 'dropped at probe']]
  )
})

/** The same, with half of the bytes; the other half when it is told to. */
const HALTING_SERVER = `
  const half = () => Buffer.alloc(${BYTES / 2}, 7)
  const waiting = []
  let isTold = false
  process.stdin.once('data', () => { isTold = true; for (const socket of waiting) socket.end(half()) })
  require('node:net').createServer((socket) => {
    socket.write(half())
    if (isTold) socket.end(half())
    else waiting.push(socket)
  }).listen(5000, () => console.log('ready'))`

test('a link is cut in mid-transfer and restored: not a byte is lost', { skip: noSandbox, timeout: 300_000 }, async () => {
  const lab = await Lab.create({ upstreams: [], probe: true })
  try {
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    const [server, client] = [await lan.sandbox('server'), await lan.sandbox('client')]
    const serving = await server.spawn([process.execPath, '-e', HALTING_SERVER], { stdio: ['pipe', 'pipe', 'inherit'] })
    await new Promise((resolve) => serving.stdout!.once('data', resolve))
    const begun = lab.expectFrame(tcp({ srcPort: 5000, syn: false }), { at: 'lan/client', way: 'in', count: 5, within: '200 s' })
    const asking = await client.spawn([process.execPath, '-e', CLIENT], { stdio: ['null', 'pipe', 'inherit'] })
    await begun
    await lab.faults.cut('lan/client')
    const isDropping = (): boolean => (lab.report().find(({ name }) => name === 'server')!.drops['probe.cut'] ?? 0) > 0
    serving.stdin!.write('go on\n')
    while (!isDropping()) await lab.wait(10)
    await lab.faults.restore('lan/client')
    assert.equal((await text(asking.stdout!)).trim().split(' ').length, CONNECTIONS)
  } finally {
    await lab.close()
  }
})
