/** A way out for labs in tests that leads into one more sandbox: real processes stand for the world. */
import { tapAttachment } from '../../src/lab/plug-tap.ts'
import type { Uplink, UplinkPart } from '../../src/network/uplink.ts'
import { Sandbox } from '../../src/sandbox/sandbox.ts'

export const WORLD_ADDRESS = '198.51.100.1'
export const OUR_ADDRESS = '198.51.100.2'

export class SandboxUplink implements Uplink {
  readonly kind = 'interface'
  readonly world: Sandbox

  constructor(world: Sandbox) {
    this.world = world
  }

  static async create(): Promise<SandboxUplink> {
    return new SandboxUplink(await Sandbox.create({ name: 'world', hostname: 'world' }))
  }

  async start(): Promise<UplinkPart> {
    const tap = await this.world.openTap({ name: 'eth0' })
    await this.world.configureInterface({ name: 'eth0', mac: '02:cc:00:00:00:01', mtu: 1500, address: `${WORLD_ADDRESS}/24` })
    return {
      elements: { 'uplink/world': tapAttachment(tap, 'world/eth0', 1500) },
      links: [],
      port: ['uplink/world', 0],
      interface: { name: 'world', mac: '02:cc:00:00:00:02', addresses: [`${OUR_ADDRESS}/24`], mtu: 1500, snat: OUR_ADDRESS },
      routes: { '0.0.0.0/0': { via: WORLD_ADDRESS } },
      hostAddresses: [OUR_ADDRESS]
    }
  }

  async addNetwork(): Promise<null> {
    return null
  }

  async removeNetwork(): Promise<void> {}

  async publish(): Promise<void> {}

  async unpublish(): Promise<void> {}

  async close(): Promise<void> {}
}
