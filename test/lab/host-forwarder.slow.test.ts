import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { decode, encode, RECURSION_DESIRED } from 'dns-packet'
import { Lab } from '../../src/index.ts'

test('a name outside is asked of the upstream server, and one inside is not', async () => {
  const upstream = createSocket('udp4')
  const asked: string[] = []
  upstream.on('message', (message, { port }) => {
    const query = decode(message)
    const [{ name }] = query.questions!
    asked.push(name)
    const answers = [{ type: 'A', name, ttl: 60, data: '198.51.100.10' } as const]
    upstream.send(encode({ type: 'response', id: query.id, flags: RECURSION_DESIRED, questions: query.questions, answers }), port)
  })
  upstream.bind(0, '127.0.0.1')
  await once(upstream, 'listening')
  try {
    await using lab = await Lab.create({ upstreams: [`127.0.0.1:${upstream.address().port}`] })
    const lan = await lab.network('lan')
    const inside = await lab.network('inside', { internal: true })
    const [a, b, shut] = [await lan.host('a'), await lan.host('b'), await inside.host('shut')]
    assert.deepEqual(await a.resolve('b'), [b.address])
    assert.deepEqual(await a.resolve('www.example.com'), ['198.51.100.10'])
    await assert.rejects(shut.resolve('www.example.org'))
  } finally {
    upstream.close() // an open socket would keep a failed test's process alive
  }
  // More than once where the answer was late.
  assert.deepEqual([...new Set(asked)], ['www.example.com'])
})

test('an upstream that is no address is refused by name', async () => {
  await assert.rejects(Lab.create({ upstreams: ['dns.example.com'] }), /upstreams: 'dns\.example\.com'/)
})
