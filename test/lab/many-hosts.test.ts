import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab, type LabHost } from '../../src/index.ts'

test('300 hosts on one network: the first knows the last by name and reaches it', async () => {
  await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
  const lan = await lab.network('lan', { subnet: '10.0.0.0/16' })
  const hosts: LabHost[] = []
  for (let i = 0; i < 300; i++) hosts.push(await lan.host(`h${i}`))
  const [first, last] = [hosts[0], hosts[299]]
  assert.equal(new Set(hosts.map(({ address }) => address)).size, 300)
  assert.deepEqual(await lab.run(() => first.resolve('h299')), [last.address])
  const { sent, received } = await lab.run(() => first.ping('h299', { count: 2 }))
  assert.deepEqual([sent, received], [2, 2])
  assert.equal(await lab.framesInUse(), 0)
})
