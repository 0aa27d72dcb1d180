/**
 * What the NAT knows of its interfaces: who may send from there, and with which address flows leave.
 */
import { get32 } from '../../wire/big-endian.ts'
import { ipv4Mask, type Prefix } from '../../wire/cidr.ts'
import { releaseAddress, takeAddress } from './address-text.ts'
import { type InternedAddresses, NO_ADDRESS } from './interned-addresses.ts'
import { checkInterface, type InterfaceSpec, interfaceNumber } from './nat-options.ts'
import { PrefixSet } from './prefix-set.ts'

const OWN_HASHES = 1024

/** An interface, read. Addresses are those of tuples. */
export interface NatInterface {
  readonly spec: InterfaceSpec
  readonly isUplink: boolean
  readonly prefixes: readonly Prefix[]
  /** Network and mask of each IPv4 prefix, int32. */
  readonly ipv4: Int32Array
  /** The IPv6 prefixes. */
  readonly ipv6: PrefixSet
  readonly hasGateway: boolean
  readonly gateway: number
  /** NO_ADDRESS: none. */
  readonly gateway6: number
  readonly hasSnat: boolean
  readonly snat: number
  /** NO_ADDRESS: none. */
  readonly snat6: number
}

export class NatInterfaces {
  readonly byNumber: (NatInterface | null)[] = []
  private readonly addresses: InternedAddresses
  /** Prefixes of all networks: what may not come in from outside. */
  private readonly inside = new PrefixSet()
  /** Gateway addresses of all interfaces, and how many have each. */
  private readonly gateways = new Map<number, number>()
  private readonly gateways6 = new Map<number, number>()
  /** The same for the addresses that masqueraded flows get. */
  private readonly outside = new Map<number, number>()
  private readonly outside6 = new Map<number, number>()
  /** How many addresses in the four maps have a hash: every new flow asks, and its destination is hardly ever in any of them. */
  private readonly ownHashes = new Int32Array(OWN_HASHES)

  constructor(addresses: InternedAddresses) {
    this.addresses = addresses
  }

  at(number: number): NatInterface | null {
    return this.byNumber[number] ?? null
  }

  /** Throws NatOptionsError or AddressError. */
  check(key: string, spec: InterfaceSpec | null): void {
    interfaceNumber(key)
    if (spec !== null) checkInterface(key, spec)
  }

  /** Puts, replaces or removes an interface that `check` has passed. Returns what was there. */
  set(number: number, spec: InterfaceSpec | null): InterfaceSpec | null {
    const before = this.at(number)
    // First the new one: addresses that stay keep their numbers.
    const after = spec === null ? null : this.read(String(number), spec)
    while (this.byNumber.length <= number) this.byNumber.push(null)
    this.byNumber[number] = after
    if (after !== null) this.count(after, 1)
    if (before !== null) {
      this.count(before, -1)
      this.release(before)
    }
    return before?.spec ?? null
  }

  /** Whether a packet with the source address at `at` may come in by this interface. */
  maySend(from: NatInterface, bytes: Uint8Array, at: number, isIpv6: boolean): boolean {
    if (from.isUplink) return isIpv6 ? !this.inside.hasIpv6(bytes, at) : !this.inside.hasIpv4(bytes, at)
    if (isIpv6) return from.ipv6.hasIpv6(bytes, at)
    const { ipv4 } = from
    const address = get32(bytes, at)
    for (let i = 0; i < ipv4.length; i += 2) if ((address & ipv4[i + 1]) === ipv4[i]) return true
    return false
  }

  /** Whether the address at `at` belongs to any network. */
  isInside(bytes: Uint8Array, at: number, isIpv6: boolean): boolean {
    return isIpv6 ? this.inside.hasIpv6(bytes, at) : this.inside.hasIpv4(bytes, at)
  }

  /** Whether an address of a tuple is the router's own. */
  isGateway(address: number, isIpv6: boolean): boolean {
    if (this.ownHashes[hashOf(address)] === 0) return false
    return (isIpv6 ? this.outside6 : this.outside).has(address) || this.isInsideGateway(address, isIpv6)
  }

  /** The same without those of uplinks. */
  isInsideGateway(address: number, isIpv6: boolean): boolean {
    return (isIpv6 ? this.gateways6 : this.gateways).has(address)
  }

  /** All of them. */
  gatewayAddresses(isIpv6: boolean): Iterable<number> {
    return isIpv6 ? [...this.gateways6.keys(), ...this.outside6.keys()] : [...this.gateways.keys(), ...this.outside.keys()]
  }

  private read(key: string, spec: InterfaceSpec): NatInterface {
    const prefixes = checkInterface(key, spec)
    const ipv6 = new PrefixSet()
    const ipv4: number[] = []
    for (const prefix of prefixes) {
      if (prefix.family === 6) ipv6.add(prefix)
      else ipv4.push(prefix.network | 0, ipv4Mask(prefix.length) | 0)
    }
    const { gateway, gateway6, snat, snat6 } = spec
    return {
      spec,
      isUplink: spec.role === 'uplink',
      prefixes,
      ipv4: Int32Array.from(ipv4),
      ipv6,
      hasGateway: gateway !== undefined,
      gateway: gateway === undefined ? 0 : takeAddress(gateway, this.addresses),
      gateway6: gateway6 === undefined ? NO_ADDRESS : takeAddress(gateway6, this.addresses),
      hasSnat: snat !== undefined,
      snat: snat === undefined ? 0 : takeAddress(snat, this.addresses),
      snat6: snat6 === undefined ? NO_ADDRESS : takeAddress(snat6, this.addresses)
    }
  }

  private count(one: NatInterface, by: 1 | -1): void {
    if (!one.isUplink) for (const prefix of one.prefixes) by > 0 ? this.inside.add(prefix) : this.inside.remove(prefix)
    if (one.hasGateway) this.countIn(this.gateways, one.gateway, by)
    if (one.hasSnat) this.countIn(this.outside, one.snat, by)
    if (one.gateway6 !== NO_ADDRESS) this.countIn(this.gateways6, one.gateway6, by)
    if (one.snat6 !== NO_ADDRESS) this.countIn(this.outside6, one.snat6, by)
  }

  private countIn(map: Map<number, number>, key: number, by: 1 | -1): void {
    const count = (map.get(key) ?? 0) + by
    if (count > 0) map.set(key, count)
    else map.delete(key)
    this.ownHashes[hashOf(key)] += by
  }

  private release(one: NatInterface): void {
    const { gateway6, snat6 } = one.spec
    if (gateway6 !== undefined) releaseAddress(gateway6, one.gateway6, this.addresses)
    if (snat6 !== undefined) releaseAddress(snat6, one.snat6, this.addresses)
  }
}

/**
 * The source address that a flow leaves with.
 * @param isDnat it goes to a published port
 * @param source its own
 */
export function sourceFor(ingress: NatInterface, egress: NatInterface, isDnat: boolean, source: number, isIpv6: boolean): number {
  if (ingress.isUplink) return source
  if (egress.isUplink) {
    if (!ingress.spec.masquerade) return source
    if (isIpv6) return egress.snat6 === NO_ADDRESS ? source : egress.snat6
    return egress.hasSnat ? egress.snat : source
  }
  // From one of our stations to a published port: the answer must come back here, whatever the target knows of the client.
  if (!isDnat) return source
  if (isIpv6) return egress.gateway6 === NO_ADDRESS ? source : egress.gateway6
  return egress.hasGateway ? egress.gateway : source
}

/** Of an address of a tuple: 0 to OWN_HASHES - 1. */
function hashOf(address: number): number {
  return Math.imul(address, 0x9e3779b1) >>> 22
}
