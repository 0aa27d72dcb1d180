/** An uplink that ends in a TAP of a test's own namespace, which is the world: another kernel's view of what leaves and comes. */
import { loadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import type { Uplink, UplinkPart } from '../../src/network/uplink.ts'
import { NoUplink } from '../../src/network/uplinks/no-uplink.ts'
import type { TestNamespace } from './test-namespace.ts'

export const WORLD_ADDRESS = '192.0.2.60'
export const OUR_ADDRESS = '192.0.2.50'

export class TapUplink implements Uplink {
  readonly kind = 'interface'
  private readonly world: TestNamespace
  private readonly mtu: number
  private readonly none = new NoUplink()
  addNetwork = this.none.addNetwork
  removeNetwork = this.none.removeNetwork
  publish = this.none.publish
  unpublish = this.none.unpublish
  close = this.none.close

  constructor(world: TestNamespace, mtu = 1500) {
    this.world = world
    this.mtu = mtu
  }

  async start(): Promise<UplinkPart> {
    const { world, mtu } = this
    const { fd, vnetHeaderLength, offloads } = openTap(loadNative(), { netns: world.fd, name: 'wan0' })
    for (const command of [
      `link set wan0 mtu ${mtu} up`,
      `address add ${WORLD_ADDRESS}/24 dev wan0`,
      'address add 2001:db8:2::60/64 dev wan0 nodad',
      'link set lo up'
    ]) {
      world.run('ip', ...command.split(' '))
    }
    return {
      elements: { 'uplink/wan0': { type: 'tap', options: { fd, name: 'wan0', mtu, vnetHeaderLength, offloads } } },
      links: [],
      port: ['uplink/wan0', 0],
      interface: {
        name: 'wan0',
        mac: '02:cc:00:00:00:50',
        addresses: [`${OUR_ADDRESS}/24`, '2001:db8:2::50/64'],
        mtu,
        snat: OUR_ADDRESS,
        snat6: '2001:db8:2::50'
      },
      routes: { '0.0.0.0/0': { via: WORLD_ADDRESS }, '::/0': { via: '2001:db8:2::60' } },
      hostAddresses: [OUR_ADDRESS]
    }
  }
}
