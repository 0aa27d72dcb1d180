// What etcd's watch may say that a quiet etcd does not: a stand-in says it.
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { openClusterStore } from '../../src/cluster/open-cluster-store.ts'
import { WatchLog } from './store-suite.ts'

const encode = (text: string): string => Buffer.from(text).toString('base64')

test('a watch that breaks while it catches up goes on behind the last event that it was told', async () => {
  // etcd tells a backlog in several messages, all with the newest revision in their headers (mvcc/watchable_store.go, syncWatchers).
  const NEWEST = '9'
  const events = [3, 4, 7, 9].map((revision) => ({
    kv: { key: encode(`netloom/w/${revision}`), value: encode('x'), mod_revision: String(revision) }
  }))
  const starts: number[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (data) => (body += data))
    request.on('end', () => {
      if (request.url === '/v3/kv/range') return response.end(JSON.stringify({ header: { revision: '2' } }))
      const { create_request } = JSON.parse(body) as { create_request: { start_revision: string } }
      const from = Number(create_request.start_revision)
      starts.push(from)
      const due = events.filter(({ kv }) => Number(kv.mod_revision) >= from).slice(0, 2)
      const say = (result: object): boolean =>
        response.write(`${JSON.stringify({ result: { header: { revision: NEWEST }, ...result } })}\n`)
      say({ created: true })
      say({ events: due })
      // The connection breaks between the first two messages; the second one is the last.
      if (starts.length === 1) response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const store = openClusterStore(`etcd://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const log = new WatchLog()
    store.watch('w/', log)
    await log.until(() => starts.length === 2)
    await log.until(({ changes }) => changes.length === 4)
    assert.deepEqual([log.changes, log.lists.length, starts], [['w/3=x', 'w/4=x', 'w/7=x', 'w/9=x'], 1, [3, 5]])
  } finally {
    await store.close()
    server.closeAllConnections()
    server.close()
  }
})
