import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../src/api/api-error.ts'
import type { NetworkEndpoint } from '../../src/docker/network/network-record.ts'
import { Random } from '../../src/engine/index.ts'
import { ContainerWorld, type TestContainer, VirtualInterfaces } from './container-world.ts'
import { networkWorld } from './network-world.ts'

const NETWORKS = ['a', 'b', 'c', 'bridge']

/** What must hold whenever no request is under way. */
function check(docker: ContainerWorld): void {
  const { networks, controller, store } = docker.world
  const shown = new Set<string>()
  for (const container of docker.all()) {
    for (const { networkId, network, endpoint } of container.networking.attachments) {
      assert.ok(container.state.Running || endpoint === null, `${container.name} has an endpoint on ${network} and does not run`)
      if (endpoint === null) continue
      shown.add(`${networkId}/${container.id}/${endpoint.address}`)
      const plugged = controller.network(networkId).endpoints.get(container.name)
      assert.deepEqual([plugged?.id, plugged?.address, plugged?.mac], [endpoint.endpointId, endpoint.address, endpoint.mac])
    }
  }
  const known = [...networks.all()].flatMap(({ endpoints }) => [...endpoints.values()])
  const stored = Array.from(store.list<NetworkEndpoint>('endpoint/'), ([, endpoint]) => endpoint)
  const key = ({ networkId, owner, address }: NetworkEndpoint): string => `${networkId}/${owner}/${address}`
  assert.deepEqual(new Set(known.map(key)), shown)
  assert.deepEqual(new Set(stored.map(key)), shown)
  const addresses = known.map(({ networkId, address }) => `${networkId} ${address}`)
  assert.equal(new Set(addresses).size, addresses.length, 'no address is had twice')
}

test('random connects, disconnects, starts and stops, several at once: nothing is lost, leaked or given twice', async () => {
  const world = await networkWorld()
  const docker = new ContainerWorld(world, { interfaces: new VirtualInterfaces(world.controller) })
  // Small ones, so that they run out of addresses.
  for (const [index, Name] of ['a', 'b', 'c'].entries()) {
    await world.networks.create({ Name, IPAM: { Config: [{ Subnet: `10.9.${index}.0/29` }] } })
  }
  const published = { ExposedPorts: { '80/tcp': {} }, HostConfig: { PublishAllPorts: true } }
  const containers = Array.from({ length: 8 }, (_, index) => docker.create(`k${index}`, published))
  const random = new Random(20)
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!
  const outcomes = { done: 0, refused: 0 }
  const step = async (container: TestContainer): Promise<void> => {
    const network = pick(NETWORKS)
    const action = pick(['connect', 'connect', 'disconnect', 'start', 'start', 'stop'])
    try {
      if (action === 'connect') await docker.service.connect(container, network, null)
      else if (action === 'disconnect') await docker.service.disconnect(container, network, false)
      else if (action === 'start' && !container.state.Running) await docker.start(container)
      else if (action === 'stop' && container.state.Running) await docker.stop(container)
      outcomes.done++
    } catch (error) {
      assert.ok(error instanceof ApiError, `${action} ${container.name} ${network}: ${(error as Error).stack}`)
      outcomes.refused++
    }
  }
  for (let round = 0; round < 150; round++) {
    await Promise.all(containers.map(step))
    check(docker)
  }
  assert.ok(outcomes.done > 400 && outcomes.refused > 100, JSON.stringify(outcomes))
  for (const container of containers) await docker.remove(container)
  check(docker)
  for (const name of ['a', 'b', 'c']) {
    assert.equal(
      docker.service.settings(await docker.run('probe', { HostConfig: { NetworkMode: name } })).Networks[name]!.IPAddress.slice(-2),
      '.2'
    )
    await docker.remove(docker.find('probe'))
    await world.networks.remove(name)
  }
  await docker.close()
})
