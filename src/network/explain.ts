/**
 * The way of a synthetic frame through the live tables, without sending it: which element would do what with it, and how it ends.
 *
 * Each step asks an element's `explain`, which changes nothing: no address is learned, no neighbor asked, no flow opened, nothing
 * counted. What goes before a frame (ARP) is taken for done where somebody has the address.
 */
import type { NetworkController } from './controller.ts'
import type { Membership } from './dns-records.ts'
import {
  addressOf,
  endpointsNamed,
  gatewayOf,
  groupMac,
  isGateway,
  isLoopback,
  isOnLink,
  ownerOf,
  parseTarget,
  resolverOf,
  sourceFor
} from './explain-target.ts'
import { DIVERT_ELEMENT, NAT_ELEMENT, type NetworkGateway, ROUTER_ELEMENT, UPLINK_INTERFACE } from './gateway-part.ts'
import type { Network } from './network.ts'
import { type SyntheticPacket, syntheticFrame } from './synthetic-frame.ts'
import { filterName } from './topology-builder.ts'

export interface ExplainHop {
  readonly element: string
  /** What it would do. */
  readonly text: string
}

export interface Explanation {
  readonly protocol: 'icmp' | 'tcp' | 'udp'
  /** Addresses as they are when the frame is sent. */
  readonly source: string
  readonly destination: string
  readonly hops: readonly ExplainHop[]
  /**
   * `delivered` to an endpoint, or by its own lo; `leaves` by the uplink; `local`: for the gateway or the DNS service; `host`: for the host's
   * own stack;
   * `unreachable`: the sender is told so, or nobody answers its ARP; `dropped`.
   */
  readonly verdict: 'delivered' | 'leaves' | 'local' | 'host' | 'unreachable' | 'dropped'
  /** Name of the drop reason; null where there is none. */
  readonly reason: string | null
  /** One sentence. */
  readonly text: string
}

type End = Pick<Explanation, 'verdict' | 'reason' | 'text'>

/** Answers of elements. */
interface FilterAnswer {
  readonly passes: boolean
  readonly reason: string | null
  readonly why: string | null
}
interface BridgeAnswer {
  /** null: to all, or to nobody. */
  readonly port: number | null
  readonly reason: string | null
  readonly text: string
}
interface NatAnswer {
  readonly verdict: 'forward' | 'local' | 'drop'
  readonly reason: string | null
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly steps: readonly string[]
}
interface RouterAnswer {
  readonly verdict: 'forward' | 'resolve' | 'local' | 'drop'
  readonly reason: string | null
  readonly error: string | null
  readonly egress: number | null
  readonly egressName: string | null
  readonly nextHop: string | null
  readonly steps: readonly string[]
}

/** Where a station of no known MAC is sent to in a frame that is only looked at. */
const UNKNOWN_MAC = '02:00:00:00:00:00'
const EPHEMERAL = 49_152
const DNS_PORT = 53

type Target = Omit<SyntheticPacket, 'source' | 'sourcePort'>

/** Throws NetworkError `not-found` and `invalid` for who and what cannot be. */
export async function explain(controller: NetworkController, from: string, to: string): Promise<Explanation> {
  const sandbox = endpointsNamed(controller, from)
  const { host, port, protocol } = parseTarget(to)
  const destination = addressOf(controller, host, sandbox)
  return new Walk(controller).from(sandbox, { protocol, destination, destinationPort: port })
}

class Walk {
  private readonly controller: NetworkController
  private readonly hops: ExplainHop[] = []

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  async from(sandbox: readonly Membership[], to: Target): Promise<Explanation> {
    const { destination, destinationPort, protocol } = to
    const isIpv6 = destination.includes(':')
    const source = ({ endpoint }: Membership): string => sourceFor(endpoint, destination)
    const port = destinationPort === 0 ? '' : `:${destinationPort}`
    const shown = `${isIpv6 && port !== '' ? `[${destination}]` : destination}${port}`
    const answer = (from: string, end: End): Explanation => ({ protocol, source: from, destination: shown, hops: this.hops, ...end })
    const asker = resolverOf(sandbox, destination)
    if (asker !== undefined) return answer(asker.endpoint.address, this.toResolver(asker, to))
    if (isLoopback(destination) || sandbox.some((membership) => source(membership) === destination)) {
      return answer(destination, delivered(`${destination} is its own address: by its lo, no frame leaves it`))
    }
    const usable = sandbox.filter((membership) => source(membership) !== '')
    const way =
      usable.find(({ network }) => isOnLink(network, destination)) ??
      usable.find(({ network }) => gatewayOf(network, isIpv6) !== null) ??
      usable.find(({ network }) => groupMac(network, destination) !== null)
    const packet = { ...to, source: way === undefined ? '' : source(way), sourcePort: EPHEMERAL }
    const end = way === undefined ? unreachable(`no interface of its sandbox has a way to ${destination}`) : await this.leave(way, packet)
    return answer(packet.source, end)
  }

  /** Its resolver's address, which the dns-tap takes out of what it sends. */
  private toResolver({ endpoint: { element } }: Membership, { protocol, destination, destinationPort }: Target): End {
    this.hop(element, `${destination} is that of the DNS service: to its MAC`)
    this.hop(`${element}/dns-tap`, 'to the DNS service')
    if (protocol !== 'icmp' && destinationPort === DNS_PORT) return { verdict: 'local', reason: null, text: 'the DNS service answers' }
    const text = `the DNS service answers on port ${DNS_PORT} only`
    return protocol === 'tcp' ? unreachable(`the sender is told: ${text}`) : dropped('dns.notDns', text)
  }

  /** Out of the endpoint, to the bridge. */
  private async leave({ network, endpoint }: Membership, packet: SyntheticPacket): Promise<End> {
    const { destination } = packet
    const group = groupMac(network, destination)
    if (group !== null) return this.toAll({ network, endpoint }, packet, group)
    const toGateway = isGateway(network, destination)
    const gateway = toGateway ? destination : gatewayOf(network, destination.includes(':'))
    const onLink = isOnLink(network, destination) && !toGateway
    const owner = onLink ? ownerOf(network, destination) : null
    if (onLink) this.hop(endpoint.element, `${destination} is on ${network.name} itself`)
    else this.hop(endpoint.element, `${toGateway ? 'to' : `${destination} is elsewhere: to`} the gateway ${gateway}`)
    if (onLink && owner === null) {
      const question = destination.includes(':') ? 'neighbor discovery' : 'ARP'
      return unreachable(`nobody on ${network.name} has ${destination}: ${question} is not answered`)
    }
    const mac = owner?.endpoint.mac ?? network.gateway?.mac ?? UNKNOWN_MAC
    const frame = syntheticFrame(packet, endpoint.mac, mac)
    const refused = await this.passFilter({ network, endpoint }, 0, frame)
    if (refused !== null) return refused
    if (owner !== null) return this.toEndpoint(owner, network.driver.port(network, endpoint)[1], packet, endpoint.mac)
    if (network.gateway !== null) return this.toGateway(network, network.gateway, packet, frame)
    this.hop(network.driver.element(network), 'to the gateway')
    if (toGateway) return { verdict: 'local', reason: null, text: 'the gateway answers' }
    return unreachable('the gateway is a virtual host that routes nothing: there is no uplink')
  }

  /** A broadcast or a group: nobody is asked for a MAC, and everybody on the link hears it. */
  private async toAll(from: Membership, packet: SyntheticPacket, mac: string): Promise<End> {
    const { network, endpoint } = from
    const kind = mac.startsWith('ff:') ? 'a broadcast' : 'a group'
    this.hop(endpoint.element, `${packet.destination} is ${kind}: to ${mac}`)
    const frame = syntheticFrame(packet, endpoint.mac, mac)
    const refused = await this.passFilter(from, 0, frame)
    if (refused !== null) return refused
    const others = [...network.endpoints.values()].filter((other) => other !== endpoint)
    const isIsolated = !network.icc && !(network.iccRules && network.gateway !== null)
    const isHeard = await this.isHeardByHost(network, frame)
    const host: End = { verdict: 'host', reason: null, text: `${kind}: the host's own stack gets it as from ${packet.source}` }
    if (others.length > 0 && isIsolated && !isHeard)
      return dropped('bridge.isolated', `inter-container communication is off on ${network.name}`)
    this.hop(network.driver.element(network), isIsolated ? 'to the gateway alone' : 'to all')
    const heard: string[] = []
    let last: End = isHeard ? host : dropped(null, `nobody else is on ${network.name}`)
    for (const other of isIsolated ? [] : others) {
      const end = await this.passFilter({ network, endpoint: other }, 1, frame)
      if (end === null) heard.push(other.name)
      else if (!isHeard) last = end
    }
    if (heard.length === 0) return last
    if (isHeard) heard.push('the host')
    return delivered(`${kind}: ${heard.join(', ')} on ${network.name} get it as from ${packet.source}`)
  }

  /** Whether the host is a station of the network and hears what goes to all. */
  private async isHeardByHost({ gateway }: Network, frame: Uint8Array): Promise<boolean> {
    if (gateway?.tap == null) return false
    const { to } = await this.ask<{ to: string | null }>(DIVERT_ELEMENT, { port: 3 * gateway.interface, frame })
    return to === 'both' || to === 'host'
  }

  private async passFilter(membership: Membership, port: 0 | 1, frame: Uint8Array): Promise<End | null> {
    if (membership.network.gateway === null) return null
    const element = filterName(membership.endpoint)
    const { passes, reason, why } = await this.ask<FilterAnswer>(element, { port, frame })
    this.hop(element, passes ? 'passes' : `refused: ${why}`)
    return passes ? null : dropped(reason, why ?? 'the filter refuses it')
  }

  /** From a port of the bridge to an endpoint. */
  private async toEndpoint(to: Membership, ingress: number, packet: SyntheticPacket, sourceMac: string): Promise<End> {
    const { network, endpoint } = to
    const bridge = network.driver.element(network)
    const { mac } = endpoint
    const { port, reason, text } = await this.ask<BridgeAnswer>(bridge, { port: ingress, destination: mac })
    this.hop(bridge, text)
    if (reason !== null) return dropped(reason, text)
    if (port === null && !network.icc && ingress !== 0)
      return dropped('bridge.isolated', `inter-container communication is off on ${network.name}`)
    const own = network.driver.port(network, endpoint)[1]
    if (port !== null && port !== own)
      return dropped(null, `${mac} was last heard at port ${port} and not at that of ${endpoint.name}, ${own}`)
    const refused = await this.passFilter(to, 1, syntheticFrame(packet, sourceMac, mac))
    return refused ?? delivered(`${endpoint.name} on ${network.name} gets it as from ${packet.source}`)
  }

  private async toGateway(network: Network, gateway: NetworkGateway, packet: SyntheticPacket, frame: Uint8Array): Promise<End> {
    this.hop(network.driver.element(network), 'to the gateway')
    if (gateway.tap !== null) {
      const { to, why } = await this.ask<{ to: string | null; why: string }>(DIVERT_ELEMENT, { port: 3 * gateway.interface, frame })
      this.hop(DIVERT_ELEMENT, `to ${to === null ? 'nobody' : to === 'both' ? 'router and host' : `the ${to}`}: ${why}`)
      if (to === 'host') return { verdict: 'host', reason: null, text: `the host's own stack gets it: ${why}` }
      if (to === null) return dropped(null, why)
    }
    return this.route(gateway.interface, packet)
  }

  private async route(ingress: number, packet: SyntheticPacket): Promise<End> {
    const before = await this.ask<NatAnswer>(NAT_ELEMENT, { ingress, packet })
    for (const step of before.steps) this.hop(NAT_ELEMENT, step)
    if (before.verdict === 'drop') return dropped(before.reason, before.steps.at(-1) ?? '')
    const inner = { source: packet.source, destination: before.destination }
    const routed = await this.ask<RouterAnswer>(ROUTER_ELEMENT, { ingress, packet: inner })
    for (const step of routed.steps) this.hop(ROUTER_ELEMENT, step)
    const last = routed.steps.at(-1) ?? ''
    if (routed.verdict === 'local') return { verdict: 'local', reason: null, text: last }
    if (routed.verdict === 'drop') {
      return routed.error === null ? dropped(routed.reason, last) : unreachable(`the sender is told: ${routed.error}`, routed.reason)
    }
    const after = await this.ask<NatAnswer>(NAT_ELEMENT, { ingress, egress: routed.egress, packet })
    for (const step of after.steps.slice(before.steps.length)) this.hop(NAT_ELEMENT, step)
    if (after.verdict === 'drop') return dropped(after.reason, after.steps.at(-1) ?? '')
    const { source, sourcePort, destination, destinationPort } = after
    return this.arrive(routed, { protocol: packet.protocol, source, sourcePort, destination, destinationPort })
  }

  private async arrive({ egress, egressName, nextHop }: RouterAnswer, packet: SyntheticPacket): Promise<End> {
    if (egress === UPLINK_INTERFACE) {
      for (const obstacle of this.controller.uplinkObstacles) this.hop(`uplink/${egressName}`, `beyond it: ${obstacle}`)
      return { verdict: 'leaves', reason: null, text: `by ${egressName} to ${nextHop}, as from ${packet.source}` }
    }
    for (const network of this.controller.networks.values()) {
      if (network.gateway?.interface !== egress) continue
      const owner = ownerOf(network, nextHop ?? '')
      if (owner !== null) return this.toEndpoint(owner, 0, packet, network.gateway.mac)
      return unreachable(`nobody on ${network.name} has ${nextHop}: the sender is told that the host is unreachable`)
    }
    return dropped(null, `interface ${egress} is no network's`)
  }

  private hop(element: string, text: string): void {
    this.hops.push({ element, text })
  }

  private ask<T>(element: string, argument: object): Promise<T> {
    return this.controller.engine.command(element, 'explain', argument) as Promise<T>
  }
}

function delivered(text: string): End {
  return { verdict: 'delivered', reason: null, text }
}

function unreachable(text: string, reason: string | null = null): End {
  return { verdict: 'unreachable', reason, text }
}

function dropped(reason: string | null, text: string): End {
  return { verdict: 'dropped', reason, text }
}
