import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'
import { type NetworkWorld, networkWorld } from './network-world.ts'

const filters = (fields: Record<string, string[]>): Filters => Filters.parse(JSON.stringify(fields))

describe('networks found, listed and pruned', () => {
  let world: NetworkWorld
  const listed = (fields: Record<string, string[]>): string[] =>
    world.networks
      .list(filters(fields))
      .map(({ Name }) => Name)
      .sort()

  beforeEach(async () => {
    world = await networkWorld()
    await world.networks.create({ Name: 'n1', Labels: { env: 'prod', tier: '1' } })
    await world.networks.create({ Name: 'n2', Labels: { env: 'test' } })
    await world.networks.create({ Name: 'n10', Internal: true })
  })
  afterEach(() => world.close())

  test('filters, as net-ls recorded them', () => {
    const cases: [Record<string, string[]>, string[]][] = [
      [{}, ['bridge', 'host', 'n1', 'n10', 'n2', 'none']],
      [{ driver: ['bridge'] }, ['bridge', 'n1', 'n10', 'n2']],
      [{ driver: ['null', 'host'] }, ['host', 'none']],
      [{ name: ['n1'] }, ['n1', 'n10']],
      [{ name: ['^n1$'] }, ['n1']],
      [{ name: ['n', 'host'] }, ['host', 'n1', 'n10', 'n2', 'none']],
      [{ label: ['env'] }, ['n1', 'n2']],
      [{ label: ['env=prod', 'tier=2'] }, []],
      [{ scope: ['local'] }, ['bridge', 'host', 'n1', 'n10', 'n2', 'none']],
      [{ scope: ['swarm'] }, []],
      [{ type: ['custom'] }, ['n1', 'n10', 'n2']],
      [{ type: ['builtin'] }, ['bridge', 'host', 'none']],
      [{ dangling: ['true'] }, ['n1', 'n10', 'n2']],
      [{ dangling: ['0'] }, ['bridge', 'host', 'none']],
      [{ id: [world.networks.find('n1').id.slice(0, 6)] }, ['n1']]
    ]
    for (const [fields, names] of cases) assert.deepEqual(listed(fields), names, JSON.stringify(fields))
    const refusals: [Record<string, string[]>, string, number?][] = [
      [{ type: ['nosuch'] }, "invalid filter: 'type'='nosuch'", 500],
      [{ dangling: ['nosuch'] }, `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`],
      [{ nosuch: ['1'] }, "Invalid filter 'nosuch'"]
    ]
    for (const [fields, message, status = 400] of refusals) assert.throws(() => listed(fields), { status, message })
  })

  test('a network by id, name and prefix; ambiguity in Docker’s three wordings', async () => {
    const { networks } = world
    const first = networks.find('n1')
    assert.equal(networks.find(first.id.slice(0, 5)), first)
    const second = await networks.create({ Name: 'n1' })
    assert.equal(second.Warning, `Network with name n1 (id : ${first.id}) already exists`)
    assert.throws(() => networks.inspect('n1'), { status: 400, message: '2 matches found based on name: network n1 is ambiguous' })
    await assert.rejects(networks.remove('n1'), { status: 400, message: 'network n1 is ambiguous (2 matches found based on name)' })
    assert.throws(() => networks.find('n1'), { status: 400, message: 'network n1 is ambiguous (2 matches found on name)' })
    // A name that is another's id: the id counts.
    const { Id } = await networks.create({ Name: first.id })
    assert.equal(networks.find(first.id), first)
    await networks.remove(Id)
    assert.throws(() => networks.inspect('n2', 'swarm'), { status: 404, message: 'network n2 not found' })
    assert.throws(() => networks.find(''), { status: 404, message: 'network  not found' })
  })

  test('of many requests for one name one is served', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 50 }, () => world.networks.create({ Name: 'same', CheckDuplicate: true }))
    )
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
    const removals = await Promise.allSettled(Array.from({ length: 50 }, () => world.networks.remove('same')))
    assert.equal(removals.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(listed({ name: ['same'] }), [])
    assert.equal([...world.store.list('network/')].length, 6)
  })

  test('prune: by label and age, never the daemon’s own; null when nothing went', async () => {
    const { networks } = world
    assert.deepEqual(await networks.prune(filters({ until: ['10m'] })), { NetworksDeleted: null })
    assert.deepEqual(await networks.prune(filters({ label: ['env=prod'] })), { NetworksDeleted: ['n1'] })
    assert.deepEqual(await networks.prune(filters({ 'label!': ['env'] })), { NetworksDeleted: ['n10'] })
    await assert.rejects(networks.prune(filters({ nosuch: ['1'] })), { message: "Invalid filter 'nosuch'" })
    await assert.rejects(networks.prune(filters({ until: ['yesterday'] })), { status: 500 })
    assert.deepEqual(await networks.prune(new Filters()), { NetworksDeleted: ['n2'] })
    assert.deepEqual(listed({}), ['bridge', 'host', 'none'])
  })

  test('configuration networks lend their configuration, and cannot go while it is used', async () => {
    const { networks } = world
    await networks.create({ Name: 'conf', ConfigOnly: true, IPAM: { Config: [{ Subnet: '10.40.0.0/24' }] }, Labels: { a: 'b' } })
    await networks.create({ Name: 'user', ConfigFrom: { Network: 'conf' } })
    const { IPAM, Labels, ConfigFrom } = networks.inspect('user')
    assert.deepEqual([IPAM.Config, Labels, ConfigFrom], [[{ Subnet: '10.40.0.0/24' }], { a: 'b' }, { Network: 'conf' }])
    await assert.rejects(networks.remove('conf'), {
      status: 403,
      message: 'error while removing network: configuration network "conf" is in use'
    })
    await networks.remove('user')
    await networks.remove('conf')
  })
})
