/** An uplink for tests under a virtual clock: the world is one virtual host on our link, and everything that the uplink is asked is written down. */
import type { Uplink, UplinkNetwork, UplinkPart, UplinkPort, UplinkWorld } from '../../src/network/uplink.ts'

export const WORLD_ELEMENT = 'uplink/world'
export const WORLD_ADDRESS = '192.0.2.60'
export const OUR_ADDRESS = '192.0.2.50'

export class VirtualUplink implements Uplink {
  readonly kind = 'interface'
  /** Calls in their order: 'publish web', 'add front'. */
  readonly calls: string[] = []
  /** What it knows to be in the way. */
  inTheWay: string[] = []
  /** Thrown by the next call that begins so. */
  failures: Record<string, Error> = {}
  world: UplinkWorld | null = null
  /** What the world's host has besides its address: options of the element type `host`. */
  private readonly hostOptions: object

  constructor(hostOptions: object = {}) {
    this.hostOptions = hostOptions
  }

  async start(world: UplinkWorld): Promise<UplinkPart> {
    this.call('start', '')
    this.world = world
    return virtualPart(this.hostOptions)
  }

  async addNetwork({ name, gateway, mac }: UplinkNetwork): Promise<null> {
    this.call('add', `${name} ${gateway} ${mac}`)
    return null
  }

  async removeNetwork(id: string): Promise<void> {
    this.call('remove', id.slice(0, 4))
  }

  async publish(ports: readonly UplinkPort[]): Promise<void> {
    this.call('publish', ports.map(({ key }) => key).join(' '))
  }

  async unpublish(keys: readonly string[]): Promise<void> {
    this.call('unpublish', keys.join(' '))
  }

  obstacles(): readonly string[] {
    return this.inTheWay
  }

  async close(): Promise<void> {
    this.call('close', '')
  }

  private call(verb: string, what: string): void {
    this.calls.push(`${verb} ${what}`.trim())
    const failure = this.failures[verb]
    delete this.failures[verb]
    if (failure !== undefined) throw failure
  }
}

/** The part of the graph that it gives. */
export function virtualPart(hostOptions: object = {}): UplinkPart {
  const options = { mac: '02:cc:00:00:00:60', addresses: [`${WORLD_ADDRESS}/24`, '2001:db8:2::60/64'], ...hostOptions }
  return {
    elements: { [WORLD_ELEMENT]: { type: 'host', options } },
    links: [],
    port: [WORLD_ELEMENT, 0],
    interface: {
      name: 'world',
      mac: '02:cc:00:00:00:50',
      addresses: [`${OUR_ADDRESS}/24`, '2001:db8:2::50/64'],
      mtu: 1500,
      speed: 2_500_000_000,
      snat: OUR_ADDRESS
    },
    routes: { '0.0.0.0/0': { via: WORLD_ADDRESS } },
    hostAddresses: [OUR_ADDRESS]
  }
}
