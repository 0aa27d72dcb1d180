/**
 * The underlay of an emulated host's VTEP: the host's own router, which resolves next hops and gives it what comes for the host's
 * address at the VXLAN port.
 *
 *   vxlan 0 -- gateway/router 1024 (service) ... gateway/router 0 -- nat -- lan/NAME
 */

import { TAP_SPEED } from '../capture-point.ts'
import type { EngineHost } from '../engine-host.ts'
import { NAT_INTERFACES_MAX } from '../gateway.ts'
import { ROUTER_ELEMENT } from '../gateway-part.ts'
import { NetworkError } from '../network-error.ts'
import type { Underlay, UnderlayPart, UnderlayTarget } from '../underlay.ts'
import type { EmulatedInterface } from './emulated-interface.ts'

/** Beyond the interfaces of networks: it has no NAT. */
const SERVICE_INTERFACE = NAT_INTERFACES_MAX

/** Of the router towards the VTEP. Nobody else sees it. */
const ROUTER_MAC = '02:6e:6c:00:00:01'

export class EmulatedUnderlay implements Underlay {
  readonly kind = 'emulated'
  private readonly engine: EngineHost
  private readonly eth: EmulatedInterface
  private isOpen = false

  /** @param engine the host's part of it; its gateway runs when `open` is called */
  constructor(engine: EngineHost, eth: EmulatedInterface) {
    this.engine = engine
    this.eth = eth
  }

  async open({ address, port }: UnderlayTarget): Promise<UnderlayPart> {
    const { eth } = this
    if (address !== eth.address && address !== eth.address6) {
      throw new NetworkError('invalid', `${address} is not an address of ${eth.name}`, { fix: `advertise ${eth.address}` })
    }
    const service = { name: 'vtep', mac: ROUTER_MAC, addresses: [], mtu: eth.mtu, answers: false, noDecrement: true, service: port }
    await this.tell(service)
    this.isOpen = true
    return {
      elements: {},
      links: [],
      port: [ROUTER_ELEMENT, SERVICE_INTERFACE],
      mac: eth.mac,
      nextHopMac: ROUTER_MAC,
      mtu: eth.mtu,
      speed: TAP_SPEED,
      address
    }
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.tell(null)
  }

  private async tell(spec: object | null): Promise<void> {
    await this.engine.patch({ updates: [{ element: ROUTER_ELEMENT, change: { interfaces: { [SERVICE_INTERFACE]: spec } } }] })
  }
}
