/** Semantics as recorded from a Docker daemon: net-ipam, net-exhaustion, net-ip-errors, net-ip-reuse, net-create-errors. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AddressPool, type PoolOptions } from '../../src/ipam/address-pool.ts'
import { IpamError, type IpamErrorCode } from '../../src/ipam/ipam-error.ts'

function refused(code: IpamErrorCode, field: string, value: string, act: () => unknown): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof IpamError)
    assert.deepEqual({ code: error.code, field: error.field, value: error.value }, { code, field, value })
    assert.ok(error.message.includes(field) && error.message.includes(value))
    return true
  })
}

function take(pool: AddressPool, count: number): string[] {
  return Array.from({ length: count }, () => pool.requestAddress())
}

describe('gateway, range, auxiliary', () => {
  const cases: readonly [string, PoolOptions, string | null, string[]][] = [
    ['gateway named', { subnet: '10.50.0.0/24', gateway: '10.50.0.254' }, '10.50.0.254', ['10.50.0.1', '10.50.0.2']],
    ['range gives the gateway too', { subnet: '10.51.0.0/16', ipRange: '10.51.7.0/24' }, '10.51.7.0', ['10.51.7.1', '10.51.7.2']],
    ['range, gateway outside it', { subnet: '10.52.0.0/16', ipRange: '10.52.7.0/24', gateway: '10.52.0.1' }, '10.52.0.1', ['10.52.7.0']],
    ['auxiliary', { subnet: '10.53.0.0/24', auxiliary: { one: '10.53.0.2', two: '10.53.0.4' } }, '10.53.0.1', ['10.53.0.3', '10.53.0.5']],
    ['subnet in the middle', { subnet: '10.54.0.64/26' }, '10.54.0.65', ['10.54.0.66']],
    ['range in the middle', { subnet: '10.55.0.64/26', ipRange: '10.55.0.96/29' }, '10.55.0.96', ['10.55.0.97']],
    ['host bits in the subnet', { subnet: '10.9.0.5/24' }, '10.9.0.1', ['10.9.0.2']],
    ['no gateway', { subnet: '10.9.0.0/24', gateway: null }, null, ['10.9.0.1']],
    ['IPv6', { subnet: 'fd00:28::/64' }, 'fd00:28::1', ['fd00:28::2', 'fd00:28::3']]
  ]
  for (const [name, options, gateway, first] of cases) {
    test(name, () => {
      const pool = new AddressPool(options)
      assert.equal(pool.gateway, gateway)
      assert.deepEqual(take(pool, first.length), first)
    })
  }

  test('a preferred address may be outside the range', () => {
    const pool = new AddressPool({ subnet: '10.51.0.0/16', ipRange: '10.51.7.0/24' })
    assert.equal(pool.requestAddress('10.51.200.9'), '10.51.200.9')
    refused('IPAM_IN_USE', 'ip', '10.51.200.9', () => pool.requestAddress('10.51.200.9'))
  })

  test('an IPv6 address has one form', () => {
    const pool = new AddressPool({ subnet: '2001:db8::/64' })
    assert.equal(pool.requestAddress('2001:0DB8:0::99'), '2001:db8::99')
    assert.equal(pool.isTaken('2001:db8::99'), true)
    assert.equal(pool.requestAddress('2001:db8::ffff:ffff:ffff:ffff'), '2001:db8::ffff:ffff:ffff:ffff') // IPv6 has no broadcast
  })
})

describe('exhaustion', () => {
  for (const [subnet, options, hosts] of [
    ['10.60.0.0/30', {}, 1],
    ['10.61.0.0/29', {}, 5],
    ['10.62.0.0/24', { ipRange: '10.62.0.8/30' }, 3]
  ] as const) {
    test(`${subnet} has room for ${hosts}`, () => {
      const pool = new AddressPool({ subnet, ...options })
      const got = take(pool, hosts)
      assert.equal(new Set(got).size, hosts)
      refused('IPAM_EXHAUSTED', 'ip', '', () => pool.requestAddress())
      pool.release(got[0])
      assert.equal(pool.requestAddress(), got[0])
    })
  }
  for (const subnet of ['10.63.0.0/31', '10.64.0.0/32']) {
    test(`${subnet} has no room for a gateway`, () => refused('IPAM_EXHAUSTED', 'gateway', '', () => new AddressPool({ subnet })))
  }
})

test('the lowest free address, also after releases', () => {
  const pool = new AddressPool({ subnet: '10.70.0.0/24' })
  assert.deepEqual(take(pool, 3), ['10.70.0.2', '10.70.0.3', '10.70.0.4'])
  pool.release('10.70.0.3')
  assert.equal(pool.requestAddress(), '10.70.0.3')
  pool.release('10.70.0.2')
  pool.release('10.70.0.4')
  assert.deepEqual(take(pool, 3), ['10.70.0.2', '10.70.0.4', '10.70.0.5'])
  pool.requestAddress('10.70.0.7')
  assert.deepEqual(take(pool, 2), ['10.70.0.6', '10.70.0.8'])
})

describe('refusals', () => {
  const pool = new AddressPool({ subnet: '10.80.0.0/24' })
  for (const address of ['10.80.0.1', '10.80.0.0', '10.80.0.255']) {
    test(`${address} belongs to nobody`, () => {
      refused('IPAM_IN_USE', 'ip', address, () => pool.requestAddress(address))
      assert.equal(pool.release(address), false)
      assert.equal(pool.isTaken(address), true)
    })
  }
  test('other subnet, other family, nonsense', () => {
    refused('IPAM_OUTSIDE', 'ip', '10.81.0.5', () => pool.requestAddress('10.81.0.5'))
    refused('IPAM_OUTSIDE', 'ip', 'fd00::5', () => pool.requestAddress('fd00::5'))
    refused('IPAM_INVALID', 'ip', 'nonsense', () => pool.requestAddress('nonsense'))
    refused('IPAM_INVALID', 'ip', '10.80.0.05', () => pool.release('10.80.0.05'))
  })
  const pools: readonly [PoolOptions, IpamErrorCode, string, string][] = [
    [{ subnet: '10.9.0.0' }, 'IPAM_INVALID', 'subnet', '10.9.0.0'],
    [{ subnet: '10.9.0.0/33' }, 'IPAM_INVALID', 'subnet', '10.9.0.0/33'],
    [{ subnet: '10.11.0.0/24', gateway: '10.12.0.1' }, 'IPAM_OUTSIDE', 'gateway', '10.12.0.1'],
    [{ subnet: '10.11.0.0/24', gateway: '10.11.0.0' }, 'IPAM_IN_USE', 'gateway', '10.11.0.0'],
    [{ subnet: '10.12.0.0/24', gateway: '10.12.0.255' }, 'IPAM_IN_USE', 'gateway', '10.12.0.255'],
    [{ subnet: '10.13.0.0/24', gateway: '10.13.0.1/24' }, 'IPAM_INVALID', 'gateway', '10.13.0.1/24'],
    [{ subnet: '10.15.0.0/24', ipRange: '10.16.0.0/25' }, 'IPAM_OUTSIDE', 'ip-range', '10.16.0.0/25'],
    [{ subnet: '10.15.0.0/24', ipRange: '10.0.0.0/8' }, 'IPAM_OUTSIDE', 'ip-range', '10.0.0.0/8'],
    [{ subnet: '10.17.0.0/24', auxiliary: { a: '10.18.0.5' } }, 'IPAM_OUTSIDE', 'aux-address a', '10.18.0.5'],
    [{ subnet: '10.17.0.0/24', auxiliary: { a: '10.17.0.1' } }, 'IPAM_IN_USE', 'aux-address a', '10.17.0.1'],
    [{ subnet: '10.17.2.0/24', gateway: '10.17.2.9', auxiliary: { a: '10.17.2.9' } }, 'IPAM_IN_USE', 'aux-address a', '10.17.2.9']
  ]
  for (const [options, code, field, value] of pools) {
    test(`pool ${JSON.stringify(options)}`, () => refused(code, field, value, () => new AddressPool(options)))
  }
})

test('100,000 addresses of a /8 are one run of state', () => {
  const pool = new AddressPool({ subnet: '10.0.0.0/8' })
  for (let i = 0; i < 100_000; i++) pool.requestAddress()
  assert.equal(pool.requestAddress(), '10.1.134.162')
  assert.deepEqual(pool.toState().taken, ['10.0.0.0-10.1.134.162', '10.255.255.255-10.255.255.255'])
  assert.equal(pool.used, 100_004n)
})

test('state goes to JSON and back', () => {
  for (const options of [
    { subnet: '10.53.0.0/24', ipRange: '10.53.0.0/25', auxiliary: { one: '10.53.0.2' } },
    { subnet: 'fd00::/64' },
    { subnet: '10.9.0.0/24', gateway: null }
  ]) {
    const pool = new AddressPool(options)
    const [first] = take(pool, 5)
    pool.release(first)
    const again = AddressPool.fromState(JSON.parse(JSON.stringify(pool.toState())))
    assert.deepEqual(again.toState(), pool.toState())
    assert.equal(again.requestAddress(), first)
    if (again.gateway !== null) assert.equal(again.release(again.gateway), false)
  }
})

test('state that nobody wrote is refused', () => {
  const state = new AddressPool({ subnet: '10.9.0.0/24' }).toState()
  assert.throws(() => AddressPool.fromState({ ...state, taken: ['10.9.0.7'] }), { code: 'IPAM_INVALID' })
  assert.throws(() => AddressPool.fromState({ ...state, taken: ['10.9.0.7-10.9.0.3'] }), { code: 'IPAM_INVALID' })
  assert.throws(() => AddressPool.fromState({ ...state, taken: ['10.8.0.7-10.9.0.3'] }), { code: 'IPAM_OUTSIDE' })
})
