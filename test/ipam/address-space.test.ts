/** The sequence of automatic subnets as recorded from a Docker daemon (net-pool-sequence). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { formatPrefix, parseCidr, prefixesOverlap, prefixOf } from '../../src/wire/cidr.ts'
import { seededRandom } from '../wire/seeded-random.ts'

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

test('a default route of the host says nothing of what is used', () => {
  const space = new AddressSpace()
  assert.equal(space.addDefaultPool('a', ['0.0.0.0/0', '::/0']).subnet, '172.17.0.0/16')
})

test('random pools come and go: an overlap is found exactly where there is one', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(seed)
    const space = new AddressSpace()
    const there = new Map<string, string>()
    let refused = 0
    for (let step = 0; step < 400; step++) {
      const name = `p${random(60)}`
      if (there.has(name)) {
        assert.equal(space.removePool(name), there.delete(name))
        continue
      }
      // Around the sign bit of 32, and in a corner of IPv6.
      const prefix =
        random(4) === 0
          ? prefixOf((0xfdn << 120n) + BigInt(random(64) << 3), 120 + random(6))
          : prefixOf(0x7fffff00 + random(512), 23 + random(8))
      const subnet = formatPrefix(prefix)
      const taken = [...there.values()].some((other) => prefixesOverlap(parseCidr(other), prefix))
      if (taken) {
        refused++
        assert.throws(() => space.addPool(name, { subnet, gateway: null }), { code: 'IPAM_OVERLAP' })
      } else {
        space.addPool(name, { subnet, gateway: null })
        there.set(name, subnet)
      }
    }
    assert.ok(refused > 20 && there.size > 0, `${refused} refused, ${there.size} there`)
  }
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
