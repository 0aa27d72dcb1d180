/**
 * Bridge networks, as the controller makes them: their subnets, and what Docker's bridge driver refuses.
 */
import { ApiError } from '../../api/api-error.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { Network, NetworkSpec } from '../../network/network.ts'
import { NetworkError } from '../../network/network-error.ts'
import { BridgeOption, boolOption, bridgeName, checkBridgeOptions } from './bridge-options.ts'
import { BRIDGE, DockerNetwork } from './docker-network.ts'
import { checkPools, createError, type IpamRequest, noPool, poolSpec } from './ipam-request.ts'
import { networkLink } from './link-options.ts'
import { NO_SWARM } from './network-checks.ts'
import type { NetworkRecord } from './network-record.ts'

export class BridgeNetworks {
  private readonly controller: NetworkController
  private readonly networks: () => Iterable<DockerNetwork>
  private readonly log: (message: string) => void

  constructor(controller: NetworkController, networks: () => Iterable<DockerNetwork>, log: (message: string) => void) {
    this.controller = controller
    this.networks = networks
    this.log = log
  }

  /** Makes the network and says what it got. Throws ApiError. */
  async plug(asked: NetworkRecord, scope: string): Promise<NetworkRecord> {
    const request = wanted(asked)
    checkPools(request.v4, asked.name)
    const refusal = refusalOf(() => this.check(asked, request, scope))
    if (refusal !== undefined) {
      // All this comes after the IPv4 subnet was given: an automatic one that is given back has used up its turn.
      await this.make(asked, poolSpec({ ...request, v6: [] }))
      await this.controller.removeNetwork(asked.id)
      throw refusal
    }
    const { pool, pool6 } = await this.make(asked, { ...poolSpec(request), bridgeName: bridgeName(asked.options, asked.id) })
    return {
      ...asked,
      pool: { subnet: pool.subnet, gateway: pool.gateway ?? '' },
      pool6: pool6 === null ? null : { subnet: pool6.subnet, gateway: pool6.gateway ?? '' }
    }
  }

  /** After the daemon's start: the same subnets and gateways again. Where the host refuses the interface's name it gets the usual one. */
  async restore(record: NetworkRecord): Promise<void> {
    const { pool, pool6, name, id } = record
    const pools = {
      ...poolSpec(wanted(record)),
      subnet: pool!.subnet,
      gateway: pool!.gateway || null,
      ...(pool6 !== null && { subnet6: pool6.subnet, gateway6: pool6.gateway || null })
    }
    const [chosen, usual] = [bridgeName(record.options, id), bridgeName({}, id)]
    try {
      await this.make(record, { ...pools, bridgeName: chosen })
    } catch (error) {
      if (!(error instanceof NetworkError) || chosen === usual) throw error
      await this.make(record, { ...pools, bridgeName: usual })
      this.log(`${error.message}; network ${name} is ${usual} on this host`)
    }
  }

  private check(asked: NetworkRecord, { v4, v6 }: IpamRequest, scope: string): void {
    checkPools(v6, asked.name)
    if (asked.enableIpv6 && v6.length === 0) throw noPool('IPv6')
    checkBridgeOptions(asked.options)
    if (v4.length > 1 || v6.length > 1) throw ApiError.forbidden("bridge driver doesn't support multiple subnets")
    this.checkName(asked)
    if (scope !== '' && scope !== 'local') throw ApiError.internal(NO_SWARM)
  }

  /** No bridge exists on the host, but its name is kept and shown, and two of one name could not be told apart. */
  private checkName({ id, options }: NetworkRecord): void {
    const name = bridgeName(options, id)
    for (const { record, isBridge } of this.networks()) {
      if (!isBridge || bridgeName(record.options, record.id) !== name) continue
      throw ApiError.forbidden(
        `cannot create network ${id} (${name}): conflicts with network ${record.id} (${name}): networks have same bridge name`
      )
    }
  }

  private async make(record: NetworkRecord, pools: Partial<NetworkSpec>): Promise<Network> {
    const { id, name, internal } = record
    const { icc, mtu, masquerade } = new DockerNetwork(record)
    const link = networkLink(record)
    // Docker's links open ports on the default bridge alone, as there.
    const spec = { id, name, internal, icc, iccRules: name === BRIDGE, mtu, masquerade, ...(link !== undefined && { link }), ...pools }
    try {
      return await this.controller.createNetwork(spec).catch((error) => this.makeBeside(record, spec, error))
    } catch (error) {
      throw createError(error)
    }
  }

  /** On a host that has a docker0 already, that of a Docker daemon say, the default bridge's interface is called as others are. */
  private async makeBeside(record: NetworkRecord, spec: NetworkSpec, error: Error): Promise<Network> {
    const isTaken =
      error instanceof NetworkError && error.code === 'conflict' && boolOption(record.options, BridgeOption.defaultBridge, false)
    if (!isTaken) throw error
    const network = await this.controller.createNetwork({ ...spec, bridgeName: bridgeName({}, record.id) })
    this.log(`${error.message}; the default bridge is ${network.bridgeName} on this host`)
    return network
  }
}

function wanted({ ipamConfig, ipamConfig6, enableIpv6 }: NetworkRecord): IpamRequest {
  return { v4: ipamConfig, v6: enableIpv6 ? ipamConfig6 : [] }
}

function refusalOf(check: () => void): unknown {
  try {
    check()
    return undefined
  } catch (error) {
    return error
  }
}
