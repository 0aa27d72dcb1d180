import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EventMessage, eventJson } from '../../src/api/event-message.ts'
import { Filters } from '../../src/api/filters.ts'
import { EventLog } from '../../src/docker/event-log.ts'
import { VirtualClock } from '../../src/engine/clock.ts'

const ALL = new Filters()
const of = (value: unknown): Filters => Filters.parse(JSON.stringify(value))

/** Four events, a second apart. */
function sample(): { log: EventLog; clock: VirtualClock } {
  const clock = new VirtualClock()
  const log = new EventLog(clock)
  const later = (): void => clock.advanceTo(clock.now() + 1e9)
  log.publish('network', 'create', { id: 'n'.repeat(64), attributes: { name: 'front', type: 'bridge' } })
  later()
  log.publish('container', 'create', { id: 'c'.repeat(64), attributes: { name: 'web', image: 'shop/web:1.2', stage: 'test' } })
  later()
  log.publish('network', 'connect', { id: 'n'.repeat(64), attributes: { name: 'front', type: 'bridge', container: 'c'.repeat(64) } })
  later()
  log.publish('container', 'exec_create: sh -c ls', { id: 'c'.repeat(64), attributes: { name: 'web', image: 'shop/web:1.2' } })
  return { log, clock }
}

const actions = (messages: readonly EventMessage[]): string => messages.map(({ Type, Action }) => `${Type} ${Action}`).join(', ')

test('an event in Docker’s form, with every digit of its time', () => {
  const { log, clock } = sample()
  const [network, container] = log.history(ALL, 0n)
  const seconds = Number(clock.epochNs / 1_000_000_000n)
  assert.equal(
    eventJson(network!),
    `{"Type":"network","Action":"create","Actor":{"ID":"${'n'.repeat(64)}","Attributes":{"name":"front","type":"bridge"}},"scope":"local","time":${seconds},"timeNano":${clock.epochNs}}`
  )
  const read = JSON.parse(eventJson(container!))
  assert.deepEqual([read.status, read.id, read.from, read.time], ['create', 'c'.repeat(64), 'shop/web:1.2', seconds + 1])
})

test('since and until are inclusive', () => {
  const { log, clock } = sample()
  const at = (second: number): bigint => clock.epochNs + BigInt(second) * 1_000_000_000n
  assert.equal(log.history(ALL, at(0)).length, 4)
  assert.equal(actions(log.history(ALL, at(1), at(2))), 'container create, network connect')
  assert.equal(actions(log.history(ALL, at(1) + 1n, at(2) - 1n)), '')
})

const FILTERED: readonly [filters: unknown, seen: string][] = [
  [{ type: ['network'] }, 'network create, network connect'],
  [{ type: ['network', 'container'], event: ['create'] }, 'network create, container create'],
  [{ event: ['exec_create'] }, 'container exec_create: sh -c ls'],
  [{ event: ['exec'] }, ''],
  [{ container: ['web'] }, 'container create, container exec_create: sh -c ls'],
  [{ container: ['ccc'] }, 'container create, container exec_create: sh -c ls'],
  [{ network: ['front'] }, 'network create, network connect'],
  [{ network: ['back'] }, ''],
  [{ image: ['shop/web'] }, 'container create, container exec_create: sh -c ls'],
  [{ image: ['shop/web:1.2'] }, 'container create, container exec_create: sh -c ls'],
  [{ image: ['shop/web:1.3'] }, ''],
  [{ label: ['stage=test'] }, 'container create'],
  [{ scope: ['swarm'] }, ''],
  [{ bogus: ['x'] }, 'network create, container create, network connect, container exec_create: sh -c ls']
]
for (const [filters, seen] of FILTERED) {
  test(`filters ${JSON.stringify(filters)}`, () => assert.equal(actions(sample().log.history(of(filters), 0n)), seen))
}

test('the last 1,024 are kept', () => {
  const log = new EventLog(new VirtualClock())
  for (let index = 0; index < 1500; index++) log.publish('network', String(index), { id: '', attributes: {} })
  const kept = log.history(ALL, 0n)
  assert.equal(kept.length, 1024)
  assert.equal(kept[0]!.Action, '476')
  assert.equal(kept.at(-1)!.Action, '1499')
})

test('listeners hear what comes and what they asked for, until they stop', () => {
  const { log } = sample()
  const heard: string[] = []
  const stop = log.listen(of({ type: ['container'] }), ({ Action }) => heard.push(Action))
  assert.equal(log.listenerCount, 1)
  log.publish('network', 'destroy', { id: '', attributes: {} })
  const attributes = { name: 'web' }
  log.publish('container', 'die', { id: '', attributes })
  attributes.name = 'changed later'
  stop()
  log.publish('container', 'destroy', { id: '', attributes: {} })
  assert.deepEqual(heard, ['die'])
  assert.equal(log.listenerCount, 0)
  assert.equal(log.history(of({ event: ['die'] }), 0n)[0]!.Actor.Attributes['name'], 'web')
})
