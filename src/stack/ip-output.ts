/**
 * What a host originates: source address, next hop, headers, fragments.
 */
import type { ElementContext } from '../engine/element.ts'
import { NO_FRAME } from '../engine/frame-pool.ts'
import { isIpv6LinkLocal, isIpv6Multicast, MAC_BROADCAST } from '../wire/address.ts'
import { fillTransport } from '../wire/checksum.ts'
import { IPV4_HEADER_LENGTH, IPV4_MORE_FRAGMENTS } from '../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH } from '../wire/ipv6.ts'
import type { HostConfig, LocalAddress } from './host-config.ts'
import { addressEquals, addressText, buildPacket, headersLength, type Path, writeHeaders } from './ip-packet.ts'
import type { Neighbor, NeighborCache, Sent } from './neighbor-cache.ts'

/** A way to a destination, found once and used for many packets. */
export interface Route {
  readonly path: Path
  neighbor: Neighbor
}

/** The packet could not be handed to the next hop. */
export class SendError extends Error {
  readonly code: 'EHOSTUNREACH' | 'ENETUNREACH' | 'EMSGSIZE' | 'ENOBUFS'

  constructor(code: SendError['code'], message: string) {
    super(message)
    this.name = 'SendError'
    this.code = code
  }
}

/** One for all hosts of a thread: a lab may have thousands, and nothing stays in it beyond a call. */
const SEGMENT = new Uint8Array(65535)

export class IpOutput {
  /** Where callers build a transport segment. Its content is copied by `send`. */
  readonly segment = SEGMENT
  private readonly context: ElementContext
  private readonly config: HostConfig
  private readonly neighbors: NeighborCache
  private id: number

  constructor(context: ElementContext, config: HostConfig, neighbors: NeighborCache) {
    this.context = context
    this.config = config
    this.neighbors = neighbors
    this.id = context.random.below(65536)
    if (config.resolver?.mac) neighbors.addPermanent(config.resolver.address, config.resolver.mac)
  }

  /** Throws SendError where there is no way. */
  route(destination: Uint8Array): Route {
    const source = this.source(destination)
    const nextHop = source === null ? null : this.nextHop(source, destination)
    if (source === null || nextHop === null) {
      throw new SendError('ENETUNREACH', `no route to ${addressText(destination)}`)
    }
    const path = { sourceMac: this.config.mac, destinationMac: MAC_BROADCAST, source: source.bytes, destination }
    return { path, neighbor: this.neighbors.entry(nextHop) }
  }

  /** Bytes that fit one packet to this destination, transport header included. */
  room(route: Route): number {
    return this.config.mtu - (route.path.source.length === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
  }

  /**
   * Sends `length` bytes of `segment`, in IPv4 fragments where the MTU is smaller.
   * @param checksumAt offset of the transport checksum in the segment, computed here with the pseudo-header; -1: none to compute
   * @returns null, or why nothing was sent; `sent` is told once the last frame left, or could not
   */
  send(
    route: Route,
    protocol: number,
    segment: Uint8Array,
    length: number,
    checksumAt: number,
    sent: Sent | null = null
  ): SendError | null {
    const { path } = route
    const room = this.room(route)
    const isIpv4 = path.source.length === 4
    if (isIpv4 ? length > 65535 - IPV4_HEADER_LENGTH : length > room) {
      return new SendError(
        'EMSGSIZE',
        `a packet of ${length} bytes to ${addressText(path.destination)} does not fit: at most ${isIpv4 ? 65535 - IPV4_HEADER_LENGTH : room}`
      )
    }
    if (route.neighbor.state === 'gone') route.neighbor = this.neighbors.entry(route.neighbor.address)
    const id = (this.id = (this.id + 1) & 0xffff)
    if (length <= room) {
      const frame = buildPacket(this.context, path, protocol, segment, 0, length, checksumAt, id, 0)
      if (frame === NO_FRAME) return noBuffers()
      this.neighbors.send(route.neighbor, frame, sent)
      return null
    }
    return this.sendFragments(route, protocol, segment, length, checksumAt, id, sent)
  }

  private sendFragments(
    route: Route,
    protocol: number,
    segment: Uint8Array,
    length: number,
    checksumAt: number,
    id: number,
    sent: Sent | null
  ): SendError | null {
    if (checksumAt >= 0) this.fillWhole(route.path, protocol, segment, length, checksumAt)
    const step = this.room(route) & ~7
    for (let offset = 0; offset < length; offset += step) {
      const size = Math.min(step, length - offset)
      const isLast = offset + size === length
      const word = (offset >> 3) | (isLast ? 0 : IPV4_MORE_FRAGMENTS)
      const frame = buildPacket(this.context, route.path, protocol, segment, offset, size, -1, id, word)
      if (frame === NO_FRAME) return noBuffers() // what went out is lost with its datagram, as on a real wire
      this.neighbors.send(route.neighbor, frame, isLast ? sent : null)
    }
    return null
  }

  /** The transport checksum over a whole segment that goes out in pieces. */
  private fillWhole(path: Path, protocol: number, segment: Uint8Array, length: number, checksumAt: number): void {
    const header = new Uint8Array(headersLength(path))
    writeHeaders(header, 0, path, protocol, length)
    const whole = new Uint8Array(header.length + length)
    whole.set(header)
    whole.set(segment.subarray(0, length), header.length)
    fillTransport(whole, header.length, whole.length, 14, protocol, header.length + checksumAt)
    segment.set(whole.subarray(header.length + checksumAt, header.length + checksumAt + 2), checksumAt)
  }

  /** RFC 6724 in short: an address of the same subnet, else one of the same scope. */
  private source(destination: Uint8Array): LocalAddress | null {
    let first: LocalAddress | null = null
    let last: LocalAddress | null = null
    for (const local of this.config.addresses) {
      if (local.bytes.length !== destination.length) continue
      if (isInside(local, destination)) return local
      first ??= local
      last = local
    }
    const isLinkScope = destination.length === 16 && (isIpv6LinkLocal(destination) || isIpv6Multicast(destination))
    return isLinkScope ? last : first
  }

  private nextHop(source: LocalAddress, destination: Uint8Array): Uint8Array | null {
    if (isInside(source, destination)) return destination
    const { resolver, gateway, gateway6 } = this.config
    if (resolver?.mac && sameAddress(resolver.address, destination)) return destination
    return destination.length === 4 ? gateway : gateway6
  }
}

function isInside(local: LocalAddress, address: Uint8Array): boolean {
  const { bytes, prefixLength } = local
  const whole = prefixLength >> 3
  for (let i = 0; i < whole; i++) if (bytes[i] !== address[i]) return false
  const rest = prefixLength & 7
  return rest === 0 || (bytes[whole] ^ address[whole]) >> (8 - rest) === 0
}

function sameAddress(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && addressEquals(a, 0, b)
}

function noBuffers(): SendError {
  return new SendError('ENOBUFS', 'the frame pool has no free slot')
}
