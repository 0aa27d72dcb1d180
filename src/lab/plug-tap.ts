/**
 * Gives a namespace, ours or somebody else's, an interface whose other end is on a network of the lab.
 */
import { loadNative } from '../io/load-native.ts'
import type { OpenedTap } from '../io/native-binding.ts'
import type { NetworkController } from '../network/controller.ts'
import type { Endpoint, EndpointSpec } from '../network/endpoint.ts'
import type { Network } from '../network/network.ts'
import { gatewaysOf } from '../network/topology-builder.ts'
import type { InterfaceOptions, ResolverRoute } from '../sandbox/interface-config.ts'
import { DNS_SERVICE_MAC } from '../stack/host-config.ts'
import { addressFamily } from '../wire/address.ts'

/** What a Sandbox and a NetworkNamespace have in common. */
export interface InterfaceOwner {
  openTap(options: { readonly name: string }): OpenedTap | Promise<OpenedTap>
  configureInterface(options: InterfaceOptions): Promise<void>
  routeResolver(route: ResolverRoute): Promise<void>
}

export interface PlugOptions {
  /** The interface's name, `eth0`. */
  readonly interfaceName: string
  readonly mtu: number
  /** The namespace is somebody else's: a default route and a way to 127.0.0.11 that it has already stay. */
  readonly foreign: boolean
}

/** Creates the TAP, connects it, then configures the interface: addresses, default routes, the way to 127.0.0.11. */
export async function plugTap(
  controller: NetworkController,
  network: Network,
  owner: InterfaceOwner,
  spec: EndpointSpec,
  { interfaceName, mtu, foreign }: PlugOptions
): Promise<Endpoint> {
  const tap = await owner.openTap({ name: interfaceName })
  let handedOver = false
  const endpoint = await controller
    .connect(network.name, spec, () => {
      handedOver = true
      return tapAttachment(tap, `${spec.name}/${tap.name}`, mtu)
    })
    .catch((error) => {
      // Once the engine had it, the descriptor is the element's to close: closing it twice could hit somebody else's.
      if (!handedOver) loadNative().closeFd(tap.fd)
      throw error
    })
  try {
    const gateways = network.internal ? [] : gatewaysOf(network)
    await owner.configureInterface({
      name: tap.name,
      mac: endpoint.mac,
      mtu,
      address: `${endpoint.address}/${endpoint.prefixLength}`,
      gateway: gateways.find((address) => addressFamily(address) === 4),
      keepDefaultRoute: foreign,
      ...(endpoint.address6 !== '' && {
        address6: `${endpoint.address6}/${endpoint.prefixLength6}`,
        gateway6: gateways.find((address) => addressFamily(address) === 6),
        ignoreAdvertisements: network.gateway !== null && foreign !== true
      })
    })
    await owner.routeResolver({ device: tap.name, source: endpoint.address, serviceMac: DNS_SERVICE_MAC, keep: foreign })
    return endpoint
  } catch (error) {
    await controller.disconnect(network.name, endpoint.name)
    throw error
  }
}

/** The engine's end of an open TAP; the element closes the descriptor. */
export function tapAttachment(tap: OpenedTap, name: string, mtu: number): { type: string; options: unknown } {
  const { fd, vnetHeaderLength, offloads } = tap
  return { type: 'tap', options: { fd, name, mtu, vnetHeaderLength, offloads } }
}
