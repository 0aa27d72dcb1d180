/**
 * macvlan and ipvlan networks, as the controller makes them: subnets, the interface that they stand on, and what Docker's drivers
 * refuse (libnetwork: drivers/macvlan, drivers/ipvlan).
 */
import { ApiError } from '../../api/api-error.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { IpvlanNetworkOptions, MacvlanNetworkOptions } from '../../network/drivers/parent-options.ts'
import type { Network, NetworkSpec } from '../../network/network.ts'
import { NetworkError } from '../../network/network-error.ts'
import { BridgeOption } from './bridge-options.ts'
import { DockerNetwork, ParentOption } from './docker-network.ts'
import { checkPools, createError, furtherSubnets, type IpamRequest, noPool, poolSpec } from './ipam-request.ts'
import { networkLink } from './link-options.ts'
import { NO_SWARM } from './network-checks.ts'
import type { NetworkRecord } from './network-record.ts'

export class ParentNetworks {
  private readonly controller: NetworkController

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  /** Makes the network and says what it got. Throws ApiError. */
  async plug(asked: NetworkRecord, scope: string): Promise<NetworkRecord> {
    const request = wanted(asked)
    checkPools([...request.v4, ...request.v6], asked.name)
    if (asked.enableIpv6 && request.v6.length === 0) throw noPool('IPv6')
    if (scope !== '' && scope !== 'local') throw ApiError.internal(NO_SWARM)
    const { pool, pool6 } = await this.make(asked, poolSpec(request))
    return {
      ...asked,
      pool: { subnet: pool.subnet, gateway: pool.gateway ?? '' },
      pool6: pool6 === null ? null : { subnet: pool6.subnet, gateway: pool6.gateway ?? '' }
    }
  }

  /** After the daemon's start: the same subnets again. */
  async restore(record: NetworkRecord): Promise<void> {
    await this.make(record, { ...poolSpec(wanted(record)), subnet: record.pool!.subnet })
  }

  private async make(record: NetworkRecord, pools: Partial<NetworkSpec>): Promise<Network> {
    const { id, name, driver, options } = record
    const mtu = Number(options[BridgeOption.mtu])
    const link = networkLink(record)
    const spec: NetworkSpec = {
      id,
      name,
      driver,
      internal: new DockerNetwork(record).isClosed,
      driverOptions: driverOptions(record),
      ...(link !== undefined && { link }),
      ...(mtu > 0 && { mtu }),
      ...pools,
      subnets: furtherSubnets(wanted(record))
    }
    try {
      return await this.controller.createNetwork(spec)
    } catch (error) {
      if (!(error instanceof NetworkError)) throw createError(error)
      throw ApiError.internal(error.fix === undefined || IN_WORDS.has(error.code) ? error.message : `${error.message}: ${error.fix}`, {
        cause: error
      })
    }
  }
}

/** Errors whose messages are Docker's own, word for word. */
const IN_WORDS: ReadonlySet<string> = new Set(['invalid', 'not-found', 'conflict'])

/** Options that Docker's drivers do not know pass unread. */
export function driverOptions({
  driver,
  options
}: Pick<NetworkRecord, 'driver' | 'options'>): MacvlanNetworkOptions | IpvlanNetworkOptions {
  const parent = options[ParentOption.parent]
  // Checked where they are used, in Docker's words.
  if (driver === 'macvlan') return { parent, mode: (options[ParentOption.macvlanMode] || undefined) as MacvlanNetworkOptions['mode'] }
  const mode = (options[ParentOption.ipvlanMode] || undefined) as IpvlanNetworkOptions['mode']
  return { parent, mode, flag: (options[ParentOption.ipvlanFlag] || undefined) as IpvlanNetworkOptions['flag'] }
}

function wanted({ ipamConfig, ipamConfig6, enableIpv6 }: NetworkRecord): IpamRequest {
  return { v4: ipamConfig, v6: enableIpv6 ? ipamConfig6 : [] }
}
