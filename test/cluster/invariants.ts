// What must hold in the store whatever happened, once everybody is back.
import assert from 'node:assert/strict'
import { reservationOf } from '../../src/cluster/cluster-keys.ts'
import type { ClusterNetwork, EndpointRecord } from '../../src/cluster/cluster-records.ts'
import type { MemoryClusterServer } from '../../src/cluster/memory-cluster-store.ts'
import { AddressPool } from '../../src/ipam/address-pool.ts'

/** Books and records say the same: no address twice, none leaked; names, subnets and VNIs of what is there and nothing else. */
export function checkStore(server: MemoryClusterServer): { networks: ClusterNetwork[]; endpoints: EndpointRecord[] } {
  const parse = <T>(prefix: string): T[] => server.list(prefix).map(({ value }) => JSON.parse(value) as T)
  const networks = parse<ClusterNetwork>('live/networks/')
  const endpoints = parse<EndpointRecord>('live/endpoints/')
  const used = endpoints.map(({ networkId, address }) => `${networkId} ${address}`)
  assert.equal(new Set(used).size, used.length, `an address is given twice: ${used}`)
  const reserved = server.list('reserved/').map(({ key }) => reservationOf(key))
  assert.deepEqual(
    reserved.map(({ hostId, networkId, address }) => `${hostId} ${networkId} ${address}`).sort(),
    endpoints.map(({ hostId, networkId, address }) => `${hostId} ${networkId} ${address}`).sort(),
    'reservations'
  )
  for (const network of networks) {
    for (const { subnet, ipRange, gateway, auxiliary } of network.subnets) {
      const state = server.get(`pools/${network.id}/${encodeURIComponent(subnet)}`)
      assert.ok(state !== undefined, `pool of ${subnet}`)
      const expected = new AddressPool({ subnet, gateway, auxiliary, ...(ipRange === null ? {} : { ipRange }) })
      for (const endpoint of endpoints)
        if (endpoint.networkId === network.id && endpoint.subnet === subnet) expected.requestAddress(endpoint.address)
      assert.deepEqual(JSON.parse(state.value).taken, expected.toState().taken, `addresses in use of ${subnet}`)
    }
  }
  const sorted = (texts: readonly string[]): string[] => [...texts].sort()
  assert.deepEqual(
    sorted(server.list('names/networks/').map(({ value }) => JSON.parse(value))),
    sorted(networks.map(({ id }) => id)),
    'names of networks'
  )
  assert.deepEqual(
    sorted(server.list('names/endpoints/').map(({ value }) => JSON.parse(value))),
    sorted(endpoints.map(({ id }) => id)),
    'names of endpoints'
  )
  assert.deepEqual(
    sorted(JSON.parse(server.get('subnets')?.value ?? '[]')),
    sorted(networks.flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet))),
    'subnets'
  )
  const vnis = networks.flatMap(({ subnets }) => subnets.flatMap(({ vni }) => (vni === null ? [] : [vni])))
  const runs: string[] = JSON.parse(server.get('vnis')?.value ?? '[]')
  const taken = runs.flatMap((run) => {
    const [first, last] = run.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
  assert.deepEqual(
    taken,
    vnis.sort((a, b) => a - b),
    'VNIs'
  )
  assert.equal(new Set(vnis).size, vnis.length, 'a VNI is given twice')
  return { networks, endpoints }
}
