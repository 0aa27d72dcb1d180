/** A network as the API shows it. */
import type { EndpointResource, IpamPoolConfig, NetworkResource } from '../../api/network-json.ts'
import type { DockerNetwork } from './docker-network.ts'
import type { NetworkEndpoint, PoolRecord } from './network-record.ts'

/** The list shows no containers, whatever is connected; inspect does. */
export function networkResource(network: DockerNetwork, withContainers: boolean): NetworkResource {
  const { record } = network
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: network.scope,
    Driver: record.driver,
    EnableIPv6: record.enableIpv6,
    IPAM: {
      Driver: record.ipamDriver,
      Options: record.ipamOptions === null ? null : { ...record.ipamOptions },
      Config: ipamConfig(network)
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: record.configFrom },
    ConfigOnly: record.configOnly,
    Containers: withContainers ? containers(network) : {},
    Options: { ...record.options },
    Labels: { ...record.labels }
  }
}

/** As asked for; a family for which nothing was asked shows what it got. */
function ipamConfig({ record }: DockerNetwork): IpamPoolConfig[] {
  const asked = record.ipamConfig.length > 0 ? record.ipamConfig : given(record.pool)
  return [...asked, ...(record.ipamConfig6.length > 0 ? record.ipamConfig6 : given(record.pool6))]
}

function given(pool: PoolRecord | null): IpamPoolConfig[] {
  if (pool === null) return []
  return [{ Subnet: pool.subnet, ...(pool.gateway !== '' && { Gateway: pool.gateway }) }]
}

function containers({ endpoints }: DockerNetwork): Record<string, EndpointResource> {
  const result: Record<string, EndpointResource> = {}
  for (const owner of [...endpoints.keys()].sort()) result[owner] = endpointResource(endpoints.get(owner)!)
  return result
}

function endpointResource(endpoint: NetworkEndpoint): EndpointResource {
  return {
    Name: endpoint.name,
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: endpoint.address === '' ? '' : `${endpoint.address}/${endpoint.prefixLength}`,
    IPv6Address: endpoint.address6 === '' ? '' : `${endpoint.address6}/${endpoint.prefixLength6}`
  }
}
