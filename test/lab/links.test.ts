/** Emulated links in a lab: set when a host comes, changed and cleared while it runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab, type LabHost } from '../../src/index.ts'
import { LinkControl } from '../../src/network/link-control.ts'

const virtual = { clock: 'virtual', seed: 5 } as const

/** Round trips of three echoes, milliseconds. */
async function rtt(lab: Lab, from: LabHost, to: string): Promise<number[]> {
  let times: readonly number[] = []
  await lab.run(async () => {
    times = (await from.ping(to, { count: 3, intervalMs: 500 })).rttNs
  })
  return times.map((ns) => ns / 1e6)
}

test('a delay is there in both directions, is changed live, and cleared', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a', { link: 'delay 10ms' })
  await lan.host('b')
  await rtt(lab, a, 'b')
  assert.deepEqual(await rtt(lab, a, 'b'), [20, 20, 20])
  await lan.setLink('b', { out: 'delay 5ms' })
  assert.deepEqual(await rtt(lab, a, 'b'), [25, 25, 25])
  await lan.setLink('a', { in: null })
  assert.deepEqual(await rtt(lab, a, 'b'), [15, 15, 15])
  await lan.setLinks(null)
  assert.deepEqual(await rtt(lab, a, 'b'), [0, 0, 0])
})

test("a network's link is that of every endpoint, also of those that come", async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  await lan.setLinks('delay 2ms')
  await lan.host('b')
  await rtt(lab, a, 'b')
  assert.deepEqual(await rtt(lab, a, 'b'), [8, 8, 8])
})

test('a link that is down, a link that loses, and what was counted', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  const b = await lan.host('b')
  await rtt(lab, a, 'b')
  const control = new LinkControl(lab.controller)
  assert.deepEqual(control.links(), [])
  await control.setLink({ target: 'b', direction: 'in', words: ['loss', 'nth', '4', 'match', 'protocol', 'icmp'] })
  await lab.run(async () => assert.equal((await a.ping(b.address, { count: 8, intervalMs: 10 })).received, 6))
  const [row] = control.links()
  assert.deepEqual([row?.network, row?.endpoint, row?.out, row?.in], ['lan', 'b', '', 'loss nth 4 match protocol icmp'])
  assert.deepEqual([row?.counters['in.lost'], row?.counters['out.lost']], [2, 0])
  // As captures of a lab call it, on the host that it is on.
  await new LinkControl(lab.controller, undefined, 'host1').setLink({ target: 'host1/lan/b', words: ['down'] })
  await assert.rejects(new LinkControl(lab.controller, undefined, 'host2').setLink({ target: 'host1/lan/b', words: [] }), {
    code: 'not-found',
    message: /is called host1\/lan\/b/
  })
  await lab.run(async () => assert.equal((await a.ping(b.address, { count: 2, intervalMs: 10 })).received, 0))
  await control.setLink({ target: 'lan', words: [] })
  await lab.run(async () => assert.equal((await a.ping(b.address, { count: 2, intervalMs: 10 })).received, 2))
})

test('a trace says how the link changes', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  await lan.host('b')
  await rtt(lab, a, 'b')
  const trace = '# mobile\n0s - 1ms -\n600ms - 20ms - # worse\n1100ms - 3ms -\nend 10s\n'
  await new LinkControl(lab.controller).setLink({ target: 'b', direction: 'in', words: [], trace })
  assert.deepEqual(await rtt(lab, a, 'b'), [1, 1, 20])
  for (const [text, message] of [
    ['', /has no line with a time/],
    ['0s fast - -', /line 1 of the trace: rate: 'fast'/],
    ['0s - - - -', /one word too many/],
    ['end 1s\n0s - - -', /line 2 of the trace: nothing comes after/],
    ['5s - - -\n1s - - -', /line 2 of the trace: 1s is not later than the line before/]
  ] as const) {
    await assert.rejects(new LinkControl(lab.controller).setLink({ target: 'b', words: [], trace: text }), { code: 'invalid', message })
  }
})

test('what cannot be is refused, and nothing changes', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a', { link: { out: 'delay 10ms' } })
  await lan.host('b')
  await rtt(lab, a, 'b')
  await assert.rejects(lan.setLink('a', 'delay 5'.concat('mm')), { code: 'invalid', message: /'5mm' is no number/ })
  await assert.rejects(lan.setLink('a', { out: { mtu: 5 } }), { code: 'invalid', message: /mtu 5 must be/ })
  await assert.rejects(lan.setLink('nobody', 'down'), { code: 'not-found' })
  await assert.rejects(lan.host('c', { link: 'loss 200%' }), { code: 'invalid' })
  await assert.rejects(new LinkControl(lab.controller).setLink({ target: 'nobody', words: ['down'] }), {
    code: 'not-found',
    message: 'no container, endpoint or network is called nobody'
  })
  assert.deepEqual(await rtt(lab, a, 'b'), [10, 10, 10])
})

test('a host that leaves takes its link with it, frames under way and all', async () => {
  await using lab = await Lab.create(virtual)
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a', { link: 'delay 100ms' })
  await lan.host('b')
  const ping = a.ping('192.0.2.3', { count: 1, timeoutMs: 50 })
  await lab.run(() => ping)
  await a.remove()
  await lan.host('a')
  assert.equal(new LinkControl(lab.controller).links().length, 0)
})
