// Networks that the host no longer takes when the daemon starts again: the daemon starts all the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkError } from '../../src/network/network-error.ts'
import type { UplinkNetwork } from '../../src/network/uplink.ts'
import { VirtualUplink } from '../network/virtual-uplink.ts'
import { networkWorld } from './network-world.ts'

const BRIDGE_NAME = 'com.docker.network.bridge.name'

/** A host that refuses some names of interfaces. */
class PickyHost extends VirtualUplink {
  refused: RegExp = /^$/

  override async addNetwork(network: UplinkNetwork): Promise<null> {
    if (this.refused.test(network.bridgeName)) throw new NetworkError('conflict', `${network.bridgeName} is taken`, { fix: 'give it up' })
    return super.addNetwork(network)
  }
}

test('a name of the user’s that the host refuses: the network has the usual one', async () => {
  const first = await networkWorld()
  const { Id } = await first.networks.create({ Name: 'front', Options: { [BRIDGE_NAME]: 'a/b' } })
  await first.close()
  const host = new PickyHost()
  host.refused = /^a\/b$/
  const next = await networkWorld(first.store, [], host)
  assert.equal(next.controller.network(Id).bridgeName, `br-${Id.slice(0, 12)}`)
  assert.deepEqual(next.logged, [`a/b is taken; network front is br-${Id.slice(0, 12)} on this host`])
  assert.equal(next.networks.inspect('front').Options[BRIDGE_NAME], 'a/b', 'as asked for')
  await next.close()
})

test('a network that cannot be made: shown, told, tried again when somebody wants to be on it, and removed', async () => {
  const first = await networkWorld()
  const { Id } = await first.networks.create({ Name: 'front', IPAM: { Config: [{ Subnet: '10.9.0.0/24' }] } })
  await first.networks.create({ Name: 'back' })
  await first.close()
  const host = new PickyHost()
  host.refused = new RegExp(Id.slice(0, 12))
  const next = await networkWorld(first.store, [], host)
  assert.deepEqual(next.logged, [`network front cannot be made, and nobody can be on it: br-${Id.slice(0, 12)} is taken; give it up`])
  assert.equal(next.networks.inspect('front').IPAM.Config[0]!.Subnet, '10.9.0.0/24')
  assert.equal(next.controller.networks.has(Id), false)
  assert.equal(next.controller.networks.size, 2, 'bridge and back')
  await assert.rejects(next.networks.ready(next.networks.find('front')), { message: `br-${Id.slice(0, 12)} is taken` })
  host.refused = /^$/
  await next.networks.ready(next.networks.find('front'))
  assert.equal(next.controller.network(Id).pool.subnet, '10.9.0.0/24')
  await next.close()

  host.refused = new RegExp(Id.slice(0, 12))
  const last = await networkWorld(first.store, [], host)
  await last.networks.remove('front')
  assert.throws(() => last.networks.find('front'), { status: 404 })
  await last.close()
})
