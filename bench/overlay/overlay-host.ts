/**
 * A Docker host of an overlay benchmark, as a daemon or a lab makes it: network controller, overlay driver, and an endpoint whose chain has
 * all that a container's has.
 *
 *   TAP -- dns-tap -- bridge -- vxlan -- underlay
 */
import { Random } from '../../src/engine/random.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { plugTap } from '../../src/lab/plug-tap.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { OverlayDriver } from '../../src/network/drivers/overlay-driver.ts'
import type { EngineHost } from '../../src/network/engine-host.ts'
import type { Underlay } from '../../src/network/underlay.ts'
import type { Uplink } from '../../src/network/uplink.ts'
import { NetworkNamespace } from '../../src/sandbox/network-namespace.ts'

/** Of all networks of the suite, so that what differs is the way and not the segments. */
export const INNER_MTU = 1450
export const SUBNET = '10.0.0.0/24'
const VNI = 256
const ID = 'a'.repeat(64)

/** A container: a network namespace that gets `eth0`. */
export interface Container {
  readonly netns: string
  readonly address: string
  readonly mac: string
}

export interface OverlayHostOptions {
  readonly engine: EngineHost
  /** Of the host on the underlay. */
  readonly vtep: string
  readonly underlay: () => Underlay
  readonly uplink?: Uplink
  readonly container: Container
  /** The container of the other host. */
  readonly peer: Omit<Container, 'netns'> & { readonly vtep: string }
}

/** Resolves when the container has its interface and the other host's is known. */
export async function overlayHost({ engine, vtep, underlay, uplink, container, peer }: OverlayHostOptions): Promise<void> {
  const driver = new OverlayDriver({ underlay, address: vtep })
  const controller = new NetworkController({
    engine,
    addresses: new AddressSpace(),
    random: new Random(vtep),
    drivers: [driver],
    log: console.error,
    ...(uplink !== undefined && { uplink })
  })
  await controller.start()
  driver.setVteps([peer.vtep])
  const network = await controller.createNetwork({ id: ID, name: 'bench', driver: 'overlay', subnet: SUBNET, mtu: INNER_MTU })
  driver.setVni(network, container.address, VNI)
  await plugContainer(controller, container)
  const { address, mac } = peer
  await controller.updateRemotes(ID, [{ id: 'b'.repeat(64), names: ['peer'], address, address6: '', mac, vtep: peer.vtep }], [])
}

/** Connects a namespace to the network `bench`. */
export async function plugContainer(controller: NetworkController, { netns, address, mac }: Container): Promise<void> {
  const network = controller.network('bench')
  const owner = await NetworkNamespace.open({ path: netns })
  const name = `c${address.replaceAll('.', '-')}`
  await plugTap(controller, network, owner, { name, address, mac }, { interfaceName: 'eth0', mtu: network.mtu, foreign: false })
}
