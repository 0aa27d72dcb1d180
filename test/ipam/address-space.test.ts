/** The sequence of automatic subnets as recorded from a Docker daemon (net-pool-sequence). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressSpace } from '../../src/ipam/address-space.ts'

test('the recorded sequence', () => {
  const space = new AddressSpace()
  const next = (name: string): string => space.addDefaultPool(name).subnet
  assert.equal(next('bridge'), '172.17.0.0/16')
  assert.deepEqual(['n01', 'n02', 'n03'].map(next), ['172.18.0.0/16', '172.19.0.0/16', '172.20.0.0/16'])
  space.removePool('n02')
  assert.equal(next('n04'), '172.21.0.0/16')
  space.removePool('n04')
  assert.equal(next('n05'), '172.22.0.0/16')
  space.addPool('manual', { subnet: '172.23.0.0/16' })
  assert.deepEqual(['n06', 'n07'].map(next), ['172.24.0.0/16', '172.25.0.0/16'])
  space.addPool('manual2', { subnet: '172.29.128.0/24' })
  assert.deepEqual(
    ['n08', 'n09', 'n10', 'n11', 'n12', 'n13', 'n14'].map(next),
    ['172.26', '172.27', '172.28', '172.30', '172.31'].map((net) => `${net}.0.0/16`).concat(['192.168.0.0/20', '192.168.16.0/20'])
  )
  for (let i = 15; i <= 28; i++) assert.equal(next(`n${i}`), `192.168.${(i - 13) * 16}.0/20`)
  assert.deepEqual(['n29', 'n30'].map(next), ['172.19.0.0/16', '172.21.0.0/16'])
  assert.throws(() => next('n31'), { code: 'IPAM_NO_POOL', field: 'subnet' })
  space.removePool('n11')
  assert.equal(next('n36'), '172.30.0.0/16')
})

test('what the host has is skipped', () => {
  const space = new AddressSpace()
  assert.equal(space.addDefaultPool('a', ['172.17.9.0/24', '172.18.0.0/15', '192.0.2.0/24']).subnet, '172.20.0.0/16')
})

test('pools of one space never overlap', () => {
  const space = new AddressSpace()
  space.addPool('one', { subnet: '10.10.0.0/24' })
  for (const subnet of ['10.10.0.0/24', '10.10.0.128/25', '10.10.0.0/16', '0.0.0.0/0']) {
    assert.throws(() => space.addPool('two', { subnet }), { code: 'IPAM_OVERLAP', field: 'subnet', value: subnet })
    assert.equal(space.get('two'), undefined)
  }
  assert.equal(space.addPool('two', { subnet: '10.10.1.0/24' }).gateway, '10.10.1.1')
  assert.throws(() => space.addPool('two', { subnet: '10.99.0.0/24' }), { code: 'IPAM_NAME' })
  assert.equal(space.addPool('six', { subnet: 'fd00::/64' }).gateway, 'fd00::1')
})

test('state goes to JSON and back, the position included', () => {
  const space = new AddressSpace()
  space.addDefaultPool('a').requestAddress()
  space.addDefaultPool('b')
  space.removePool('b')
  const again = AddressSpace.fromState(JSON.parse(JSON.stringify(space.toState())))
  assert.deepEqual(again.toState(), space.toState())
  assert.equal(again.get('a')?.requestAddress(), '172.17.0.3')
  assert.equal(again.addDefaultPool('c').subnet, '172.19.0.0/16')
})
