/** DNS over TCP, RFC 7766: framing, queries in a row, answers that come late, ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import dnsPacket from 'dns-packet'
import { dnsServiceType } from '../../src/dns/dns-service.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { TcpFlag } from '../../src/wire/tcp.ts'
import { Client } from '../stack/tcp-client.ts'
import { VirtualLab } from '../stack/virtual-lab.ts'
import { type Decoded, data, queryBytes } from './dns-lab.ts'
import { zones } from './zones.ts'

function open(): { net: VirtualLab; client: Client } {
  const net = new VirtualLab(
    {
      elements: {
        dns: {
          type: 'dns-service',
          options: {
            ...zones({ net: { web: ['192.0.2.7'], app: ['192.0.2.8'] } }),
            askers: { 0: { zones: ['net'], forward: true } }
          }
        },
        client: { type: 'probe' }
      },
      links: [{ a: ['dns', 0], b: ['client', 0] }]
    },
    [dnsServiceType as ElementType<never>]
  )
  const client = new Client(net)
  client.connect()
  return { net, client }
}

function framed(...messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(messages.flatMap((message) => [Buffer.of(message.length >> 8, message.length & 255), message]))
}

/** The messages in what came, and the flags of the last segment. */
function answers(client: Client): { messages: Decoded[]; flags: number } {
  let bytes = Buffer.alloc(0)
  let flags = 0
  for (const segment of client.take()) {
    assert.equal(segment.sequence, client.expected)
    client.expected = (client.expected + segment.payload.length) >>> 0
    bytes = Buffer.concat([bytes, segment.payload])
    flags = segment.flags
  }
  const messages: Decoded[] = []
  for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) {
    messages.push(dnsPacket.decode(bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at))) as Decoded)
  }
  return { messages, flags }
}

function ends(net: VirtualLab): void {
  net.engine.close()
  assert.equal(net.engine.frames.inUse, 0)
}

test('three queries in one segment, and one in pieces', () => {
  const { net, client } = open()
  client.write(framed(queryBytes('web', { id: 1 }), queryBytes('app', { id: 2 }), queryBytes('web', { id: 3, type: 'AAAA' })))
  assert.deepEqual(
    answers(client).messages.map((message) => [message.id, data(message)]),
    [
      [1, ['192.0.2.7']],
      [2, ['192.0.2.8']],
      [3, []]
    ]
  )
  for (const byte of framed(queryBytes('app', { id: 4 }))) client.write(Buffer.of(byte))
  assert.deepEqual(answers(client).messages.map(data), [['192.0.2.8']])
  ends(net)
})

test('an answer from upstream comes when it comes, and the end waits for it', () => {
  const { net, client } = open()
  client.write(framed(queryBytes('late.example', { id: 1 }), queryBytes('web', { id: 2 })), TcpFlag.ack | TcpFlag.fin)
  const early = answers(client)
  assert.deepEqual(
    early.messages.map(({ id }) => id),
    [2]
  )
  assert.equal(early.flags & TcpFlag.fin, 0)
  const { id, query, tcp } = net.events[0].event as { id: number; query: Uint8Array; tcp: boolean }
  assert.equal(tcp, true)
  const { questions } = dnsPacket.decode(Buffer.from(query))
  const many = Array.from({ length: 200 }, (_, i) => ({ type: 'A' as const, name: 'late.example', data: `198.51.100.${i}` }))
  net.command('dns', 'answer', { id, response: dnsPacket.encode({ type: 'response', id: 99, questions, answers: many }) })
  net.settle()
  const late = answers(client)
  assert.deepEqual([late.messages[0].id, data(late.messages[0]).length, late.messages[0].flag_tc], [1, 200, false])
  assert.equal(late.flags & TcpFlag.fin, TcpFlag.fin)
  ends(net)
})

test('no answer at all: the connection still ends', () => {
  const { net, client } = open()
  client.write(framed(queryBytes('silent.example')), TcpFlag.ack | TcpFlag.fin)
  answers(client)
  const { id } = net.events[0].event as { id: number }
  net.command('dns', 'answer', { id, response: null })
  net.settle()
  const { messages, flags } = answers(client)
  assert.deepEqual(messages, [])
  assert.equal(flags & TcpFlag.fin, TcpFlag.fin)
  ends(net)
})

test('what cannot be a query ends the connection', () => {
  for (const bytes of [Buffer.of(0, 0), Buffer.of(0, 11, 1, 2, 3), Buffer.of(0x10, 1), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
    const { net, client } = open()
    client.write(bytes)
    assert.equal(client.take().at(-1)!.flags & TcpFlag.rst, TcpFlag.rst)
    ends(net)
  }
})

test('a response is not answered, and the connection goes on', () => {
  const { net, client } = open()
  client.write(framed(dnsPacket.encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'web' }] }), queryBytes('web', { id: 2 })))
  assert.deepEqual(
    answers(client).messages.map(({ id }) => id),
    [2]
  )
  ends(net)
})

test('an asker that is gone is reset', () => {
  const { net, client } = open()
  const { elements, links } = net.engine.running
  net.engine.configure({ elements: { ...elements, dns: { type: 'dns-service', options: { zones: {}, askers: {} } } }, links })
  client.write(framed(queryBytes('web')))
  assert.equal(net.drops('dns')['dns.unknownAsker'], 1)
  ends(net)
})
