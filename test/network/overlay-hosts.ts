// Emulated hosts on one LAN, each with a controller that knows the overlay driver, in one engine under virtual time.
import { type Plain, Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { OverlayDriver } from '../../src/network/drivers/overlay-driver.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, type EndpointSpec, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { ScopedEngine } from '../../src/network/scoped-engine.ts'
import type { Underlay, UnderlayPart } from '../../src/network/underlay.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import type { ResolveResult } from '../../src/stack/resolver.ts'

const LAN = 'lan'

export class OverlayHosts {
  readonly engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  private isLaid = false

  /** `number` 1 or 2: its address is 192.0.2.NUMBER, and the other one is its next hop. */
  async host(number: number): Promise<OverlayHost> {
    if (!this.isLaid) await this.engine.patch({ elements: { [LAN]: { type: 'bridge', options: {} } } })
    this.isLaid = true
    return new OverlayHost(this.engine, number)
  }
}

export class OverlayHost {
  readonly address: string
  readonly controller: NetworkController
  readonly driver: OverlayDriver
  /** How often the underlay was opened and closed. */
  readonly underlays = { opened: 0, closed: 0 }
  private readonly engine: InlineEngine
  private readonly part: ScopedEngine
  private readonly name: string

  constructor(engine: InlineEngine, number: number) {
    this.engine = engine
    this.name = `host${number}`
    this.address = `192.0.2.${number}`
    this.driver = new OverlayDriver({ underlay: () => this.underlay(number), address: this.address })
    const options = { addresses: new AddressSpace(), random: new Random(this.name), drivers: [this.driver] }
    this.part = new ScopedEngine(engine, `${this.name}/`)
    this.controller = new NetworkController({ engine: this.part, ...options })
  }

  /** Takes all of it out of the engine. */
  end(): Promise<void> {
    return this.part.close()
  }

  /** Plugs in a virtual host. */
  plug(network: string, spec: EndpointSpec): Promise<Endpoint> {
    return this.controller.connect(network, spec, (begun, { mtu }) => ({
      type: 'host',
      options: { mac: begun.mac, addresses: endpointAddresses(begun), mtu }
    }))
  }

  async ping(from: Endpoint, address: string, more: Record<string, Plain> = {}): Promise<PingResult> {
    return (await this.command(from, 'ping', { address, timeoutMs: 100, ...more })) as PingResult
  }

  /** Addresses of a name as one endpoint gets them, sorted; the rcode where there are none. */
  async resolve(from: Endpoint, name: string): Promise<string> {
    const { addresses, rcode } = (await this.command(from, 'resolve', { name, family: 4 })) as ResolveResult
    return addresses.length > 0 ? [...addresses].sort().join(' ') : rcode
  }

  /** What an element of this host has counted. */
  counted(element: string): { readonly counters: Record<string, number>; readonly drops: Record<string, number> } {
    const { counters = {}, drops = {} } = this.engine.elementCounters(`${this.name}/${element}`) ?? {}
    return { counters, drops }
  }

  private command(from: Endpoint, verb: string, argument: Plain): Promise<Plain> {
    return this.engine.settle(this.engine.command(`${this.name}/${from.element}`, verb, argument))
  }

  private underlay(number: number): Underlay {
    const part: UnderlayPart = {
      elements: {},
      links: [],
      port: [`/${LAN}`, number],
      mac: `02:cc:00:00:00:0${number}`,
      nextHopMac: `02:cc:00:00:00:0${3 - number}`,
      mtu: 1500,
      address: this.address
    }
    return {
      kind: 'emulated',
      open: async () => {
        this.underlays.opened++
        return part
      },
      close: async () => {
        this.underlays.closed++
      }
    }
  }
}
