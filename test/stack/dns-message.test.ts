import assert from 'node:assert/strict'
import { test } from 'node:test'
import dnsPacket from 'dns-packet'
import { DnsRecordType, dnsQuery, readDnsAnswer } from '../../src/stack/dns-message.ts'

const query = dnsQuery(7, 'Web.example.com.', DnsRecordType.A, 1232)!

function answer(change: object = {}): Uint8Array {
  return dnsPacket.encode({
    type: 'response',
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions: [{ type: 'A', name: 'web.EXAMPLE.com' }],
    answers: [
      { type: 'CNAME', name: 'web.example.com', data: 'www.example.com' },
      { type: 'A', name: 'www.example.com', ttl: 60, data: '192.0.2.7' },
      { type: 'AAAA', name: 'www.example.com', ttl: 60, data: '2001:db8::7' },
      { type: 'A', name: 'www.example.com', ttl: 60, data: '192.0.2.8' }
    ],
    ...change
  })
}

test('a query is what dns-packet reads, and what it would write', () => {
  const decoded = dnsPacket.decode(Buffer.from(query))
  assert.deepEqual(
    [decoded.id, decoded.type, decoded.flag_rd, decoded.questions],
    [7, 'query', true, [{ name: 'Web.example.com', type: 'A', class: 'IN' }]]
  )
  const [edns] = decoded.additionals as { type: string; udpPayloadSize: number }[]
  assert.deepEqual([edns.type, edns.udpPayloadSize], ['OPT', 1232])
})

test('names that are none make no query', () => {
  for (const name of ['', 'a..b', `${'x'.repeat(64)}.com`, `${'x'.repeat(60)}.`.repeat(5)]) {
    assert.equal(dnsQuery(1, name, DnsRecordType.A, 512), null, name)
  }
})

test("the answer's addresses of the family that was asked for, in order", () => {
  const bytes = answer()
  assert.deepEqual(readDnsAnswer(bytes, 0, bytes.length, query), { addresses: ['192.0.2.7', '192.0.2.8'], rcode: 'NOERROR' })
  const shifted = new Uint8Array([0xa5, ...bytes, 0xa5])
  assert.deepEqual(readDnsAnswer(shifted, 1, bytes.length + 1, query)?.addresses.length, 2)
  const asked6 = dnsQuery(7, 'web.example.com', DnsRecordType.AAAA, 512)!
  const bytes6 = answer({ questions: [{ type: 'AAAA', name: 'web.example.com' }] })
  assert.deepEqual(readDnsAnswer(bytes6, 0, bytes6.length, asked6)?.addresses, ['2001:db8::7'])
  const none = answer({ flags: 3, answers: [] })
  assert.deepEqual(readDnsAnswer(none, 0, none.length, query), { addresses: [], rcode: 'NXDOMAIN' })
})

test('what is not the answer is not taken for it', () => {
  for (const change of [{ id: 8 }, { type: 'query' }, { questions: [{ type: 'A', name: 'web.example.org' }] }, { questions: [] }]) {
    const bytes = answer(change)
    assert.equal(readDnsAnswer(bytes, 0, bytes.length, query), null, JSON.stringify(change))
  }
  const other = answer({ questions: [{ type: 'AAAA', name: 'web.example.com' }] })
  assert.equal(readDnsAnswer(other, 0, other.length, query), null)
})

test('cut off at any length, it is none', () => {
  const bytes = answer()
  for (let length = 0; length < bytes.length; length++) assert.equal(readDnsAnswer(bytes, 0, length, query), null, `${length} bytes`)
})
