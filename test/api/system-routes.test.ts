// `/_ping`, `/version`, `/events` and what is outside, over a socket; texts as a dockerd 20.10 gave them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outsideRoutes } from '../../src/api/outside-routes.ts'
import { Router } from '../../src/api/router.ts'
import { systemRoutes } from '../../src/api/system-routes.ts'
import { EventLog } from '../../src/docker/event-log.ts'
import { RealClock } from '../../src/engine/clock.ts'
import { type RawClient, request, withServer } from './raw-client.ts'

async function withSystem(work: (client: () => RawClient, events: EventLog, now: () => bigint) => Promise<void>): Promise<void> {
  const clock = new RealClock()
  const events = new EventLog(clock)
  const now = (): bigint => clock.epochNs + BigInt(clock.now())
  const router = new Router()
  systemRoutes(router, { version: () => ({ Os: 'linux' }), info: async () => ({}), diskUsage: async () => ({}), now, events })
  outsideRoutes(router)
  await withServer(router, (client) => work(client, events, now))
}

/** Seconds with nine digits behind the point. */
const stamp = (ns: bigint): string => `${ns / 1_000_000_000n}.${(ns % 1_000_000_000n).toString().padStart(9, '0')}`
const publish = (events: EventLog, name: string): void => events.publish('network', 'create', { id: name, attributes: { name } })
const filters = (value: unknown): string => `filters=${encodeURIComponent(JSON.stringify(value))}`

test('ping, by GET and HEAD', () =>
  withSystem(async (client) => {
    const get = await client()
      .write(request('GET', '/_ping'))
      .until(/\r\n\r\nOK$/)
    for (const line of ['Api-Version: 1.41', 'Cache-Control: no-cache, no-store, must-revalidate', 'Pragma: no-cache', 'Ostype: linux']) {
      assert.ok(get.includes(`${line}\r\n`), line)
    }
    const head = await client()
      .write(request('HEAD', '/v1.24/_ping', undefined, { Connection: 'close' }))
      .end()
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n.*Content-Length: 0\r\n.*\r\n\r\n$/s)
    assert.match(
      await client().write(request('GET', '/version')).until(/\}\n$/),
      /"Os":"linux","Version":"20\.10\.24\S*","ApiVersion":"1\.41","MinAPIVersion":"1\.12"/
    )
  }))

test('events of the past end with the answer', () =>
  withSystem(async (client, events, now) => {
    publish(events, 'early')
    const between = now()
    publish(events, 'late')
    const all = await client()
      .write(request('GET', `/events?since=1&until=${stamp(now())}`))
      .until(/\r\n0\r\n\r\n$/)
    assert.match(all, /"name":"early".*"name":"late"/s)
    const some = await client()
      .write(request('GET', `/events?since=${stamp(between)}&until=${stamp(now())}&${filters({ type: ['network'] })}`))
      .until(/\r\n0\r\n\r\n$/)
    assert.match(some, /"name":"late"/)
    assert.doesNotMatch(some, /"name":"early"/)
    assert.doesNotMatch(
      await client()
        .write(request('GET', `/events?until=${stamp(now())}&${filters({ type: ['image'] })}`))
        .until(/\r\n0\r\n\r\n$/),
      /name/
    )
  }))

test('events as they happen, until the client goes', () =>
  withSystem(async (client, events) => {
    publish(events, 'before')
    const one = client().write(request('GET', `/events?${filters({ network: ['seen'] })}`))
    await one.until(/Transfer-Encoding: chunked/)
    while (events.listenerCount === 0) await new Promise(setImmediate)
    publish(events, 'hidden')
    publish(events, 'seen')
    assert.doesNotMatch(await one.until(/"name":"seen"/), /before|hidden/)
    one.close()
    while (events.listenerCount > 0) await new Promise(setImmediate)
  }))

test('events until a time to come', () =>
  withSystem(async (client, events, now) => {
    const one = client().write(request('GET', `/events?since=1&until=${stamp(now() + 300_000_000n)}`))
    while (events.listenerCount === 0) await new Promise(setImmediate)
    publish(events, 'meanwhile')
    assert.match(await one.until(/\r\n0\r\n\r\n$/), /"name":"meanwhile"/)
    assert.equal(events.listenerCount, 0)
  }))

test('a client that does not read its events is let go', () =>
  withSystem(async (client, events) => {
    const one = client().write(request('GET', '/events'))
    await one.until(/chunked/)
    while (events.listenerCount === 0) await new Promise(setImmediate)
    one.socket.pause()
    const attributes = { name: 'x'.repeat(64 * 1024) }
    for (let index = 0; index < 200; index++) events.publish('network', 'create', { id: '', attributes })
    while (events.listenerCount > 0) await new Promise(setImmediate)
  }))

const REFUSED: readonly [method: string, target: string, pattern: RegExp][] = [
  ['GET', '/events?since=x', / 500 .*"strconv\.ParseInt: parsing \\"x\\": invalid syntax"/s],
  ['GET', '/events?until=2026-11-21', / 500 .*parsing \\"2026-11-21\\": invalid syntax/s],
  ['GET', '/events?since=1.x&until=1', / 500 .*parsing \\"x\\": invalid syntax/s],
  ['GET', '/events?since=99999999999999999999', / 500 .*parsing \\"99999999999999999999\\": value out of range/s],
  ['GET', '/events?since=100&until=50', / 400 .*"`since` time \(100\) cannot be after `until` time \(50\)"/s],
  ['GET', '/events?filters=x', / 500 .*invalid character 'x' looking for beginning of value/s],
  ['POST', '/swarm/leave?force=1', / 503 .*This node is not part of a swarm/s],
  ['POST', '/swarm/init', / 501 .*swarm mode is not part of netloom.*--cluster-store etcd:\/\/HOST:2379/s],
  ['GET', '/nodes', / 503 .*This node is not a swarm manager\./s],
  ['POST', '/build?t=x', / 501 .*image builds are outside of what netloom does/s],
  ['POST', '/auth', / 501 .*registries are outside of what netloom does/s],
  ['POST', '/v1.41/volumes/create', / 501 .*named volumes are outside of what netloom does/s],
  ['GET', '/volumes', / 200 .*\{"Volumes":\[\],"Warnings":null\}/s],
  ['POST', '/volumes/prune', / 200 .*"VolumesDeleted":\[\]/s],
  ['OPTIONS', '/anything/at/all', / 200 /]
]
for (const [method, target, pattern] of REFUSED) {
  test(`${method} ${target}`, () =>
    withSystem(async (client) => {
      assert.match(
        await client()
          .write(request(method, target, undefined, { Connection: 'close' }))
          .end(),
        pattern
      )
    }))
}
