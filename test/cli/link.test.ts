/** `netloom link set` against the routes of links: what files of traces and tables come to the daemon as. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { linkRoutes } from '../../src/api/link-routes.ts'
import { Logger } from '../../src/api/logger.ts'
import { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'
import { readLinkText } from '../../src/network/link-text.ts'
import { temporaryFolder } from '../capture/judge.ts'
import { runHere } from './fake-world.ts'

test('an empty file of a trace or a table is refused, and no link without one is set', async (t) => {
  const folder = temporaryFolder(t)
  const set: object[] = []
  const router = new Router()
  linkRoutes(router, {
    links: () => [],
    setLink: async (wish) => {
      set.push(readLinkText(wish)!)
      return []
    }
  })
  const host = `unix://${path.join(folder, 'netloom.sock')}`
  const server = new ApiServer(router, Logger.silent())
  await server.listen({ path: path.join(folder, 'netloom.sock') })
  t.after(() => server.close())
  const file = (text: string): string => {
    writeFileSync(path.join(folder, 'file'), text)
    return path.join(folder, 'file')
  }
  const run = (...args: string[]) => runHere(['link', 'set', ...args], { NETLOOM_HOST: host })
  const trace = await run('--trace', file(''), 'web', 'delay', '1ms')
  assert.equal(trace.code, 1)
  assert.match(trace.stderr, /the trace has no line with a time/)
  const table = await run('--distribution', file(''), 'web', 'delay', '9ms', '1ms')
  assert.equal(table.code, 1)
  assert.match(table.stderr, /distribution/)
  assert.deepEqual(set, [])
  assert.equal((await run('--trace', file('0s 1mbit'), 'web')).code, 0)
  assert.deepEqual(set, [{ schedule: { points: [{ atNs: 0, bitsPerSecond: 1e6 }] } }])
})
