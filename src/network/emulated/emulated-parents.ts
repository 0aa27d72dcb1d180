/**
 * Parents of macvlan and ipvlan networks on an emulated host: its `eth0`, and VLANs of it.
 *
 *   lan/NAME -- 0 | uplink/eth0 | 4096 -- nat          the host's own stack
 *                 |             | 1, 4097 -- macvlan, ipvlan on eth0
 *                 |             | 31 ------- macvlan, ipvlan on eth0.30
 *
 * The trunk stands there anyway (EmulatedUplink): a parent is a port of it, and nothing has to be opened.
 */
import { TrunkPort, vlanPort } from '../../elements/vlan/vlan-trunk.ts'
import { NetworkError } from '../network-error.ts'
import { type Parent, type ParentInterfaces, type ParentUser, parseVlanParent } from '../parents.ts'
import type { EmulatedInterface } from './emulated-interface.ts'

interface Held {
  readonly driver: ParentUser['driver']
  readonly vlan: number | null
}

export class EmulatedParents implements ParentInterfaces {
  /** The uplink's names are reserved already. */
  readonly reserved = []
  private readonly eth: EmulatedInterface
  /** By network id. */
  private readonly held = new Map<string, Held>()

  constructor(eth: EmulatedInterface) {
    this.eth = eth
  }

  async acquire(name: string, { network, driver }: ParentUser): Promise<Parent> {
    const { eth } = this
    const vlan = name === eth.name ? null : parseVlanParent(name, (wanted) => wanted === eth.name).vlan
    this.checkAlone(name, vlan, driver)
    this.held.set(network, { driver, vlan })
    const { mac, mtu, trunk } = eth
    const common = { name, mac, mtu, part: { elements: {}, links: [] } }
    if (vlan === null) return { ...common, port: [trunk, TrunkPort.untagged], stack: [trunk, TrunkPort.besideStack] }
    // The host has no address on a VLAN.
    return { ...common, port: [trunk, vlanPort(vlan)], station: { addresses: [], routes: {} } }
  }

  async release(_name: string, network: string): Promise<void> {
    this.held.delete(network)
  }

  /** As the kernel: who shares a MAC with the parent and who does not cannot both stand on it. */
  private checkAlone(name: string, vlan: number | null, driver: ParentUser['driver']): void {
    const other = [...this.held.values()].find((each) => each.vlan === vlan && each.driver !== driver)
    if (other === undefined) return
    throw new NetworkError('conflict', `failed to create the ${driver} port: device or resource busy`, {
      fix: `a network of driver ${other.driver} stands on ${name} already: take a VLAN of it`
    })
  }
}
