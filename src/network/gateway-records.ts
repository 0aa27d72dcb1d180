/**
 * What NAT, router and divert elements are told of networks, endpoints, ports and the uplink: parts of `Element.update` changes.
 */
import type { ElementUpdate } from '../engine/index.ts'
import { addressFamily, parseMac } from '../wire/address.ts'
import { formatPrefix } from '../wire/cidr.ts'
import type { Endpoint } from './endpoint.ts'
import { DIVERT_ELEMENT, NAT_ELEMENT, type NetworkGateway, ROUTER_ELEMENT, UPLINK_INTERFACE } from './gateway-part.ts'
import type { Network } from './network.ts'
import type { UplinkPart, UplinkPort } from './uplink.ts'

/** In the first 16 bits of a MAC. */
const GROUP_BIT = 0x0100

/** The way out. */
export function uplinkRecords({ interface: station, routes }: UplinkPart): ElementUpdate[] {
  const { name, mac, addresses, mtu, snat, snat6, noDecrement, proxyArp } = station
  const nat = { role: 'uplink', name, subnets: [], masquerade: false, internal: false, icc: true, ...given({ snat, snat6 }) }
  const masquerade = snat !== undefined || snat6 !== undefined
  const router = { name, mac, addresses, mtu, answers: true, masquerade, ...given({ noDecrement, proxyArp }) }
  const ways = Object.entries(routes).map(([prefix, { via }]) => [prefix, { interface: UPLINK_INTERFACE, ...given({ via }) }])
  return [
    { element: NAT_ELEMENT, change: { interfaces: { [UPLINK_INTERFACE]: nat } } },
    { element: ROUTER_ELEMENT, change: { interfaces: { [UPLINK_INTERFACE]: router }, routes: Object.fromEntries(ways) } }
  ]
}

/** A network's interface, or its end. */
export function networkRecords(network: Network, gateway: NetworkGateway, ends: boolean): ElementUpdate[] {
  const { interface: number, tap, mac } = gateway
  const updates: ElementUpdate[] = [
    { element: NAT_ELEMENT, change: { interfaces: { [number]: ends ? null : natInterface(network) } } },
    { element: ROUTER_ELEMENT, change: { interfaces: { [number]: ends ? null : routerInterface(network, gateway) } } }
  ]
  if (tap !== null) updates.push({ element: DIVERT_ELEMENT, change: { gateways: { [number]: ends ? null : mac } } })
  return updates
}

function natInterface({ element, pool, pool6, masquerade, internal, icc }: Network): object {
  const subnets = [pool, pool6].flatMap((each) => (each === null ? [] : [formatPrefix(each.prefix)]))
  const gateways = given({ gateway: pool.gateway ?? undefined, gateway6: pool6?.gateway ?? undefined })
  return { role: 'network', name: element, subnets, ...gateways, masquerade, internal, icc }
}

function routerInterface(network: Network, { mac, tap }: NetworkGateway): object {
  // A kernel interface with the same address and MAC speaks for the gateway where there is one.
  return { name: network.element, mac, addresses: gatewayAddresses(network), mtu: network.mtu, answers: tap === null }
}

/** With prefix lengths, IPv4 first. */
export function gatewayAddresses({ pool, pool6 }: Pick<Network, 'pool' | 'pool6'>): string[] {
  return [pool, pool6].flatMap((each) => (each?.gateway == null ? [] : [`${each.gateway}/${each.prefix.length}`]))
}

/**
 * Whose address is whose: the router lets nobody else claim it. A MAC that no station can have is left to the kernel of the
 * endpoint, which refuses it in words that are compared; one that we do not know is asked for (ARP, ND).
 */
export function endpointRecords({ address, address6, mac, ownMac }: Endpoint, ends: boolean): ElementUpdate[] {
  if (ownMac) return []
  const { hi, lo } = parseMac(mac)
  if ((hi & GROUP_BIT) !== 0 || (hi === 0 && lo === 0)) return []
  const bindings = Object.fromEntries([address, address6].filter((each) => each !== '').map((each) => [each, ends ? null : mac]))
  return [{ element: ROUTER_ELEMENT, change: { bindings } }]
}

/** What published ports depend on beside themselves. */
interface PortWorld {
  interfaceOf(port: UplinkPort): number
  /** See UplinkPart. */
  readonly servesLoopback: boolean
}

/** Published ports, or their end. */
export function portRecords(ports: readonly UplinkPort[], world: PortWorld, ends: boolean): ElementUpdate[] {
  const translated = ports.map((port) => [port.key, ends ? null : natPort(port, world)])
  const diverted = ports.map((port) => [port.key, ends ? null : divertPort(port)])
  return [
    { element: NAT_ELEMENT, change: { published: Object.fromEntries(translated) } },
    { element: DIVERT_ELEMENT, change: { published: Object.fromEntries(diverted) } }
  ]
}

/** All addresses of the host. */
export function hostRecords(addresses: readonly string[]): ElementUpdate[] {
  return [
    { element: NAT_ELEMENT, change: { local: addresses } },
    { element: DIVERT_ELEMENT, change: { hosts: addresses } }
  ]
}

function natPort(port: UplinkPort, { interfaceOf, servesLoopback }: PortWorld): object {
  const { protocol, port: from, target, targetPort } = port
  const address = translatedAddress(port)
  const onlyLocal = address !== null && isLoopback(address) && !servesLoopback
  return { protocol, address, port: from, target, targetPort, interface: interfaceOf(port), ...(onlyLocal && { onlyLocal }) }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** Only what the NAT translates is diverted: the other family's addresses are served by the host's own sockets. */
function divertPort(port: UplinkPort): object {
  const address = translatedAddress(port) ?? (addressFamily(port.target) === 4 ? '0.0.0.0' : '::')
  return { protocol: port.protocol, address, port: port.port }
}

/**
 * The destination that frames must have; null: any of the host's of the target's family. No frame ever has a loopback address: it
 * stands for a port that only a socket of the uplink serves, whose own frames to the target, if any, the NAT must let pass.
 */
export function translatedAddress({ address, target }: UplinkPort): string | null {
  const family = addressFamily(target)
  if (addressFamily(address) !== family) return family === 4 ? '127.0.0.1' : '::1'
  return address === '0.0.0.0' || address === '::' ? null : address
}

/** Without what is undefined: absent members are defaults. */
function given<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>
}
