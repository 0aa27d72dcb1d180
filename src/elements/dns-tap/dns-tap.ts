/**
 * Takes DNS out of an endpoint's traffic, before bridge, shaping and driver: DESIGN section 6.
 *
 *   endpoint --0--> | to the service MAC, or port 53 of a gateway? | --2--> DNS service
 *                   | everything else                              | --1--> network
 *   network  --1--> | ------------------------------------------> | --0--> endpoint
 *   service  --2--> | ------------------------------------------> | --0--> endpoint
 *
 * A frame that is not for the service costs one comparison of its destination MAC, and a look at its ports where gateway
 * addresses are given. Nothing is changed or copied.
 */
import type { Element, ElementContext, ElementType, Plain } from '../../engine/element.ts'
import type { FrameHandle } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get16 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType, macHi, macLo } from '../../wire/ethernet.ts'
import { checkIpv4, IpProtocol, ipv4Destination, ipv4End, ipv4HasTransportHeader, ipv4Payload, ipv4Protocol } from '../../wire/ipv4.ts'
import { checkIpv6, IPV6_DESTINATION, IPV6_HEADER_LENGTH, ipv6End, ipv6Equal, ipv6NextHeader } from '../../wire/ipv6.ts'

/** Ports. */
export const DnsTapPort = { endpoint: 0, network: 1, service: 2 } as const

export interface DnsTapOptions {
  /** Default 02:42:7f:00:00:0b. */
  readonly serviceMac?: string
  /** Addresses, IPv4 or IPv6, on which the service answers as well as on its own MAC. */
  readonly gateways?: readonly string[]
}

const SERVICE_MAC = '02:42:7f:00:00:0b'
const DNS_PORT = 53
const Counter = { toService: 0, fromService: 1 } as const

export class DnsTap implements Element {
  private readonly context: ElementContext
  private serviceHi = 0
  private serviceLo = 0
  private gateways: readonly number[] = []
  private gateways6: readonly Uint8Array[] = []
  private hasGateways = false

  /** Throws AddressError. */
  constructor(context: ElementContext, options: DnsTapOptions) {
    this.context = context
    this.reconfigure(options)
  }

  reconfigure(options: Plain): boolean {
    const { serviceMac = SERVICE_MAC, gateways = [] } = (options ?? {}) as DnsTapOptions
    const mac = parseMac(serviceMac)
    const ipv4 = gateways.filter((text) => !text.includes(':')).map(parseIpv4)
    const ipv6 = gateways.filter((text) => text.includes(':')).map(parseIpv6)
    this.serviceHi = mac.hi
    this.serviceLo = mac.lo
    this.gateways = ipv4
    this.gateways6 = ipv6
    this.hasGateways = gateways.length > 0
    return true
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      if (port === DnsTapPort.endpoint) this.fromEndpoint(rx)
      else this.toEndpoint(rx, port)
    }
  }

  private fromEndpoint(rx: Link): void {
    const { context, serviceHi, serviceLo, hasGateways } = this
    const { frames, counters } = context
    const network = context.ports[DnsTapPort.network]
    while (!rx.empty) {
      const frame = rx.receive()
      const bytes = frames.bytes(frame)
      const at = frames.start[frame]
      const isForService =
        frames.length[frame] >= ETHERNET_HEADER_LENGTH &&
        ((macLo(bytes, at) === serviceLo && macHi(bytes, at) === serviceHi) ||
          (hasGateways && this.isForGateway(bytes, at, at + frames.length[frame])))
      if (isForService) {
        counters[Counter.toService]++
        context.transmit(DnsTapPort.service, frame)
      } else if (network) network.tx.transmit(frame)
      else context.transmit(DnsTapPort.network, frame)
    }
  }

  private toEndpoint(rx: Link, port: number): void {
    const { context } = this
    const endpoint = context.ports[DnsTapPort.endpoint]
    if (port === DnsTapPort.service) context.counters[Counter.fromService] += rx.size
    while (!rx.empty) {
      const frame: FrameHandle = rx.receive()
      if (endpoint) endpoint.tx.transmit(frame)
      else context.transmit(DnsTapPort.endpoint, frame)
    }
  }

  /** Whether the frame is UDP or TCP to port 53 of a gateway address. */
  private isForGateway(bytes: Uint8Array, at: number, end: number): boolean {
    const ip = at + ETHERNET_HEADER_LENGTH
    const type = etherType(bytes, at)
    if (type === EtherType.ipv4) {
      if (!checkIpv4(bytes, ip, end) || !ipv4HasTransportHeader(bytes, ip)) return false
      const payload = ipv4Payload(bytes, ip)
      return isDns(bytes, ipv4Protocol(bytes, ip), payload, ipv4End(bytes, ip)) && this.gateways.includes(ipv4Destination(bytes, ip))
    }
    if (type !== EtherType.ipv6 || !checkIpv6(bytes, ip, end)) return false
    if (!isDns(bytes, ipv6NextHeader(bytes, ip), ip + IPV6_HEADER_LENGTH, ipv6End(bytes, ip))) return false
    for (const gateway of this.gateways6) if (ipv6Equal(bytes, ip + IPV6_DESTINATION, gateway, 0)) return true
    return false
  }
}

function isDns(bytes: Uint8Array, protocol: number, at: number, end: number): boolean {
  return (protocol === IpProtocol.udp || protocol === IpProtocol.tcp) && at + 4 <= end && get16(bytes, at + 2) === DNS_PORT
}

/** Options: DnsTapOptions, reconfigured in place. */
export const dnsTapType: ElementType<DnsTapOptions> = {
  type: 'dns-tap',
  maxPorts: 3,
  counters: Object.keys(Counter),
  create: (context, options) => new DnsTap(context, options)
}
