/** The forwarder against servers on this machine's loopback; time-outs are fired by hand. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { after, describe, test } from 'node:test'
import dnsPacket, { type Packet } from 'dns-packet'
import { DnsForwarder, type DnsForwarderOptions } from '../../src/dns/forwarder.ts'
import { answersQuery, type DnsServer } from '../../src/dns/upstream.ts'
import type { Timers } from '../../src/engine/clock.ts'
import { Random } from '../../src/engine/random.ts'
import { queryBytes } from './dns-lab.ts'

/** Time-outs that come when the test says so. */
class HeldTimers implements Timers {
  private readonly waiting = new Set<() => void>()
  private added: (() => void) | null = null

  after(_ms: number, fire: () => void): () => void {
    this.waiting.add(fire)
    this.added?.()
    return () => this.waiting.delete(fire)
  }

  /** Waits until something waits, and lets its time be over. */
  async expire(): Promise<void> {
    while (this.waiting.size === 0) {
      await new Promise<void>((resolve) => {
        this.added = resolve
      })
    }
    for (const fire of [...this.waiting]) {
      this.waiting.delete(fire)
      fire()
    }
  }

  get size(): number {
    return this.waiting.size
  }
}

type Answer = (query: Buffer, reply: (bytes: Uint8Array) => void) => void

const open: (Socket | Server)[] = []
after(() => {
  for (const server of open) server.close()
})

async function udpServer(answer: Answer): Promise<DnsServer> {
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => answer(query, (bytes) => socket.send(bytes, from.port, from.address)))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  open.push(socket)
  return { address: '127.0.0.1', port: socket.address().port }
}

async function tcpServer(answer: Answer): Promise<DnsServer> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => answer(Buffer.from(data.subarray(2)), (bytes) => socket.write(bytes)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  return { address: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

function response(query: Uint8Array, address: string, rcode = 0): Buffer {
  const { id, questions } = dnsPacket.decode(Buffer.from(query))
  const answers = rcode === 0 ? [{ type: 'A', name: questions![0].name, data: address }] : []
  return dnsPacket.encode({ type: 'response', id, flags: rcode, questions, answers } as Packet)
}

function forwarder(
  servers: readonly DnsServer[],
  options: Partial<DnsForwarderOptions> = {}
): { forwarder: DnsForwarder; timers: HeldTimers } {
  const timers = new HeldTimers()
  return { forwarder: new DnsForwarder({ servers, random: new Random('forwarder'), timers, ...options }), timers }
}

function addressIn(answer: Uint8Array | null): unknown {
  return answer === null ? null : (dnsPacket.decode(Buffer.from(answer)).answers![0] as { data: unknown } | undefined)?.data
}

const QUERY = queryBytes('www.example', { id: 4711, edns: 1232 })
const silent: Answer = () => {}

test('the query goes out as it is, with another id; the answer has ours', async () => {
  let seen: Buffer | null = null
  const server = await udpServer((query, reply) => {
    seen = query
    reply(response(query, '198.51.100.1'))
  })
  const { forwarder: subject, timers } = forwarder([server])
  const answer = await subject.forward(QUERY, false)
  assert.equal(addressIn(answer), '198.51.100.1')
  assert.equal(answer![0] * 256 + answer![1], 4711)
  assert.deepEqual(seen!.subarray(2), QUERY.subarray(2))
  assert.notDeepEqual(seen!.subarray(0, 2), QUERY.subarray(0, 2))
  assert.equal(timers.size, 0)
  assert.equal(subject.inFlight, 0)
})

test('by TCP, also when the answer comes in pieces', async () => {
  const server = await tcpServer((query, reply) => {
    const message = response(query, '198.51.100.2')
    const framed = Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message])
    reply(framed.subarray(0, 1))
    setImmediate(() => {
      reply(framed.subarray(1, 20))
      setImmediate(() => reply(framed.subarray(20)))
    })
  })
  const { forwarder: subject } = forwarder([server])
  assert.equal(addressIn(await subject.forward(QUERY, true)), '198.51.100.2')
})

test('a truncated answer goes back as it is', async () => {
  const server = await udpServer((query, reply) => {
    const message = response(query, '198.51.100.1')
    message[2] |= 2
    reply(message)
  })
  const { forwarder: subject } = forwarder([server])
  assert.equal((await subject.forward(QUERY, false))![2] & 2, 2)
})

describe('several servers', () => {
  test('a silent one is passed over after its time', async () => {
    const { forwarder: subject, timers } = forwarder([
      await udpServer(silent),
      await udpServer((query, reply) => reply(response(query, '198.51.100.3')))
    ])
    const answer = subject.forward(QUERY, false)
    await timers.expire()
    assert.equal(addressIn(await answer), '198.51.100.3')
  })

  test('a closed port is passed over at once', async () => {
    const closed = createSocket('udp4').bind(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address()
    closed.close()
    await once(closed, 'close')
    const good = await udpServer((query, reply) => reply(response(query, '198.51.100.4')))
    const { forwarder: subject } = forwarder([{ address: '127.0.0.1', port }, good])
    assert.equal(addressIn(await subject.forward(QUERY, false)), '198.51.100.4')
    assert.equal(await forwarder([{ address: '127.0.0.1', port }]).forwarder.forward(QUERY, true), null)
  })

  for (const [name, rcode] of [
    ['SERVFAIL', 2],
    ['REFUSED', 5]
  ] as const) {
    test(`${name} passes on, and stands when nobody says better`, async () => {
      const bad = await udpServer((query, reply) => reply(response(query, '', rcode)))
      const good = await udpServer((query, reply) => reply(response(query, '198.51.100.5')))
      assert.equal(addressIn(await forwarder([bad, good]).forwarder.forward(QUERY, false)), '198.51.100.5')
      assert.equal((await forwarder([bad]).forwarder.forward(QUERY, false))![3] & 15, rcode)
    })
  }

  test('NXDOMAIN is an answer', async () => {
    const first = await udpServer((query, reply) => reply(response(query, '', 3)))
    const second = await udpServer((query, reply) => reply(response(query, '198.51.100.6')))
    assert.equal((await forwarder([first, second]).forwarder.forward(QUERY, false))![3] & 15, 3)
  })

  test('every one is asked twice before the end', async () => {
    let asked = 0
    const server = await udpServer(() => asked++)
    const { forwarder: subject, timers } = forwarder([server, server])
    const answer = subject.forward(QUERY, false)
    for (let i = 1; i <= 4; i++) {
      while (asked < i) await new Promise(setImmediate)
      await timers.expire()
    }
    assert.equal(await answer, null)
    assert.equal(asked, 4)
  })

  test('rotate begins with another one each time', async () => {
    const servers = await Promise.all(
      ['198.51.100.7', '198.51.100.8'].map((address) => udpServer((query, reply) => reply(response(query, address))))
    )
    const { forwarder: subject } = forwarder(servers, { rotate: true })
    const seen = [await subject.forward(QUERY, false), await subject.forward(QUERY, false), await subject.forward(QUERY, false)]
    assert.deepEqual(seen.map(addressIn), ['198.51.100.7', '198.51.100.8', '198.51.100.7'])
    assert.equal(addressIn(await subject.forward(QUERY, false, [servers[1]])), '198.51.100.8')
  })
})

test('answers that are not to this question are left unread', async () => {
  const server = await udpServer((query, reply) => {
    const good = response(query, '198.51.100.9')
    const wrong = (edit: (bytes: Buffer) => void): void => {
      const bytes = Buffer.from(good)
      edit(bytes)
      reply(bytes)
    }
    wrong((bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(0) ^ 1, 0)) // id
    wrong((bytes) => (bytes[2] &= 0x7f)) // a query
    wrong((bytes) => (bytes[14] ^= 0x04)) // another name
    wrong((bytes) => (bytes[26] = 28)) // another type
    reply(good.subarray(0, 11))
    reply(good)
  })
  assert.equal(addressIn(await forwarder([server]).forwarder.forward(QUERY, false)), '198.51.100.9')
})

test('the judgement of answers', () => {
  const query = queryBytes('wWw.example', { id: 7 })
  assert.equal(answersQuery(response(queryBytes('WwW.example', { id: 7 }), '192.0.2.1'), query), true)
  assert.equal(answersQuery(response(queryBytes('www.example', { id: 8 }), '192.0.2.1'), query), false)
  assert.equal(answersQuery(Uint8Array.of(0, 7, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0), query), true) // FORMERR without a question
  assert.equal(answersQuery(Uint8Array.of(0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0), query), false)
  const answer = response(query, '192.0.2.1')
  for (let length = 0; length < answer.length; length++)
    assert.equal(answersQuery(answer.subarray(0, length), query), length >= query.length)
})

test('never to ourselves, never more than the limit, nothing after the end', async () => {
  const self = [{ address: '127.0.0.11' }, { address: '::ffff:127.0.0.11' }]
  assert.equal(await forwarder(self).forwarder.forward(QUERY, false), null)
  const { forwarder: subject, timers } = forwarder([await udpServer(silent)], { maxInFlight: 2 })
  const waiting = [subject.forward(QUERY, false), subject.forward(QUERY, false)]
  assert.equal(await subject.forward(QUERY, false), null)
  assert.equal(subject.inFlight, 2)
  subject.close()
  assert.deepEqual(await Promise.all(waiting), [null, null])
  assert.equal(await subject.forward(QUERY, false), null)
  assert.equal(timers.size, 0)
})

test('an asker has its own limit, and leaves room for others', async () => {
  const { forwarder: subject } = forwarder([await udpServer(silent)], { maxInFlight: 4, maxInAll: 12 })
  const waiting: Promise<Uint8Array | null>[] = []
  const ask = (asker: string, count: number): void => {
    for (let i = 0; i < count; i++) waiting.push(subject.forward(QUERY, false, undefined, asker))
  }
  ask('greedy', 100)
  assert.equal(subject.inFlight, 4)
  ask('modest', 1)
  assert.equal(subject.inFlight, 5)
  // The more ask too much, the less each gets: 4, and 2 of the last 3.
  for (let i = 0; i < 2; i++) ask(`greedy${i}`, 100)
  assert.equal(subject.inFlight, 11)
  ask('late', 1)
  assert.equal(subject.inFlight, 12)
  subject.close()
  assert.ok((await Promise.all(waiting)).every((answer) => answer === null))
  assert.equal(subject.inFlight, 0)
})
