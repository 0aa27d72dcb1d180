/**
 * The way out of an emulated host: the host's router is the station that has `eth0`'s address on a LAN of the lab.
 *
 *   nat -- 4096 | uplink/eth0 | 0 -- lan/NAME -- other hosts, routers, stations
 *
 * Nothing of the machine is used: what is not in the lab is unreachable, and published ports answer in the lab alone.
 */
import { TrunkPort } from '../../elements/vlan/vlan-trunk.ts'
import { TAP_SPEED } from '../capture-point.ts'
import { NetworkError } from '../network-error.ts'
import { type Uplink, type UplinkPart, type UplinkPort, UplinkPortError } from '../uplink.ts'
import type { EmulatedInterface } from './emulated-interface.ts'

export interface EmulatedUplinkOptions {
  readonly interface: EmulatedInterface
  /** CIDR -> next hop on the LAN: `0.0.0.0/0` -> `172.16.0.254`. */
  readonly routes: Readonly<Record<string, string>>
}

export class EmulatedUplink implements Uplink {
  readonly kind = 'emulated'
  private readonly options: EmulatedUplinkOptions

  constructor(options: EmulatedUplinkOptions) {
    this.options = options
  }

  async start(): Promise<UplinkPart> {
    const { interface: eth, routes } = this.options
    if (eth.address === undefined) throw new NetworkError('invalid', `${eth.name} has no IPv4 address`)
    const own = [eth.address, eth.address6].filter((address) => address !== undefined)
    return {
      elements: { [eth.trunk]: { type: 'vlan-trunk' } },
      links: [{ a: eth.wire, b: [eth.trunk, TrunkPort.cable] }],
      port: [eth.trunk, TrunkPort.stack],
      interface: {
        name: eth.name,
        mac: eth.mac,
        addresses: eth.addresses,
        mtu: eth.mtu,
        speed: TAP_SPEED,
        snat: eth.address,
        ...(eth.address6 !== undefined && { snat6: eth.address6 })
      },
      routes: Object.fromEntries(Object.entries(routes).map(([prefix, via]) => [prefix, { via }])),
      hostAddresses: own
    }
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  /** Nobody but the host's containers listens there. */
  async publish(ports: readonly UplinkPort[]): Promise<void> {
    const { address, address6 } = this.options.interface
    for (const port of ports) {
      const isOurs = ['0.0.0.0', '::', '127.0.0.1', '::1', address, address6].includes(port.address)
      if (!isOurs) throw new UplinkPortError(port, 'EADDRNOTAVAIL')
    }
  }

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {}
}
