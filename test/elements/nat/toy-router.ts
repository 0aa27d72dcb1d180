/**
 * A router as small as it can be, so that tests of the NAT look at the NAT: longest prefix by a list, no ARP, no ICMP but "time exceeded".
 * Keeps `frames.mark` of what it forwards and writes -1 on what it makes, as the real one.
 */
import type { Element, ElementContext, ElementType } from '../../../src/engine/element.ts'
import type { FrameHandle } from '../../../src/engine/frame-pool.ts'
import { formatIpv4, formatIpv6, parseMac } from '../../../src/wire/address.ts'
import { parseAddress, parseCidr, prefixContains } from '../../../src/wire/cidr.ts'
import { EtherType, etherType, setMac } from '../../../src/wire/ethernet.ts'
import { decrementIpv4Ttl, ipv4Destination, ipv4Source, ipv4Ttl } from '../../../src/wire/ipv4.ts'
import { ipv6HopLimit, setIpv6HopLimit } from '../../../src/wire/ipv6.ts'
import { icmpError, macBytes, ROUTER_MAC } from './packets.ts'

export interface ToyRoute {
  readonly prefix: string
  readonly interface: number
  /** Default: as in ROUTES of tests, the station's. */
  readonly mac: string
}

export interface ToyRouterOptions {
  readonly routes: readonly ToyRoute[]
  /** Addresses of the interfaces, for errors. */
  readonly addresses: readonly string[]
  readonly mtu?: number
}

export class ToyRouter implements Element {
  /** Frames that it forwarded: what the fast path saves. */
  forwarded = 0
  /** Frames for itself. */
  consumed = 0
  readonly options: ToyRouterOptions
  private readonly context: ElementContext

  constructor(context: ElementContext, options: ToyRouterOptions) {
    this.context = context
    this.options = options
  }

  push(): void {
    for (let port = this.context.nextReady(); port >= 0; port = this.context.nextReady()) {
      const { rx } = this.context.ports[port]!
      while (!rx.empty) this.route(rx.receive(), port)
    }
  }

  private route(frame: FrameHandle, ingress: number): void {
    const { frames } = this.context
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const isIpv6 = etherType(bytes, at) === EtherType.ipv6
    const ip = at + 14
    const destination = isIpv6 ? formatIpv6(bytes, ip + 24) : formatIpv4(ipv4Destination(bytes, ip))
    const isMine = [0, 1, 2, 3, 4, 5].every((i) => bytes[at + i] === macBytes(ROUTER_MAC)[i])
    const route = this.options.routes
      .filter(({ prefix }) => prefix.includes(':') === isIpv6 && prefixContains(parseCidr(prefix), parseAddress(destination)))
      .sort((a, b) => parseCidr(b.prefix).length - parseCidr(a.prefix).length)[0]
    if (!isMine || route === undefined || this.options.addresses.includes(destination)) {
      this.consumed++
      frames.free(frame)
      return
    }
    if ((isIpv6 ? ipv6HopLimit(bytes, ip) : ipv4Ttl(bytes, ip)) <= 1) return this.expire(frame, ingress)
    if (isIpv6) setIpv6HopLimit(bytes, ip, ipv6HopLimit(bytes, ip) - 1)
    else decrementIpv4Ttl(bytes, ip)
    const from = parseMac(ROUTER_MAC)
    const to = parseMac(route.mac)
    setMac(bytes, at, to.hi, to.lo)
    setMac(bytes, at + 6, from.hi, from.lo)
    this.forwarded++
    this.context.transmit(route.interface, frame)
  }

  private expire(frame: FrameHandle, ingress: number): void {
    const { frames } = this.context
    const at = frames.start[frame]
    const about = frames.bytes(frame).slice(at, at + frames.length[frame])
    const isIpv6 = etherType(about, 0) === EtherType.ipv6
    const own = this.options.addresses.filter((address) => address.includes(':') === isIpv6)[ingress]
    const source = isIpv6 ? formatIpv6(about, 22) : formatIpv4(ipv4Source(about, 14))
    const error = icmpError(own, source, about, { kind: 'time-exceeded', code: 0, sourceMac: ROUTER_MAC, quote: about.length - 14 })
    const made = frames.allocate(error.length)
    frames.bytes(made).set(error, frames.start[made])
    frames.mark[made] = -1
    frames.free(frame)
    this.context.transmit(ingress, made)
  }
}

/** The type, and what it made. */
export function toyRouters(): { type: ElementType<ToyRouterOptions>; routers: ToyRouter[] } {
  const routers: ToyRouter[] = []
  return {
    routers,
    type: {
      type: 'toy-router',
      maxPorts: 64,
      counters: [],
      create(context, options) {
        const router = new ToyRouter(context, options)
        routers.push(router)
        return router
      }
    }
  }
}
