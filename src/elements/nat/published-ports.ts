/**
 * The published ports: which destination leads to which station.
 */
import { IpProtocol } from '../../wire/ipv4.ts'
import { releaseAddress, takeAddress } from './address-text.ts'
import type { InternedAddresses } from './interned-addresses.ts'
import type { NatInterfaces } from './nat-interfaces.ts'
import { checkPublished, type PublishedPort } from './nat-options.ts'
import { swap16, type Tuple } from './tuple.ts'

/** A published port, read. Addresses and ports are those of tuples. */
export interface PublishedEntry {
  readonly spec: PublishedPort
  readonly protocol: number
  readonly isIpv6: boolean
  /** Any of the host's addresses when `isAny`. */
  readonly isAny: boolean
  readonly address: number
  readonly target: number
  readonly targetPort: number
}

export class PublishedPorts {
  private readonly addresses: InternedAddresses
  private readonly interfaces: NatInterfaces
  private readonly byKey = new Map<string, PublishedEntry>()
  /** By protocol << 16 | port, those for one address first. */
  private readonly byPort = new Map<number, PublishedEntry[]>()
  /** By protocol << 16 | target port: what may be reached from outside without translation. */
  private readonly byTarget = new Map<number, PublishedEntry[]>()
  private readonly local = new Set<number>()
  private readonly local6 = new Set<number>()
  private localTexts: readonly string[] = []

  constructor(addresses: InternedAddresses, interfaces: NatInterfaces) {
    this.addresses = addresses
    this.interfaces = interfaces
  }

  get keys(): string[] {
    return [...this.byKey.keys()]
  }

  /** Puts, replaces or removes one that `checkPublished` has passed. Returns what was there. */
  set(key: string, spec: PublishedPort | null): PublishedEntry | null {
    const before = this.byKey.get(key) ?? null
    const after = spec === null ? null : this.read(key, spec)
    if (before !== null) {
      this.byKey.delete(key)
      removeFrom(this.byPort, portKey(before.protocol, swap16(before.spec.port)), before)
      removeFrom(this.byTarget, portKey(before.protocol, before.targetPort), before)
    }
    if (after !== null) {
      this.byKey.set(key, after)
      addTo(this.byPort, portKey(after.protocol, swap16(after.spec.port)), after)
      addTo(this.byTarget, portKey(after.protocol, after.targetPort), after)
    }
    if (before !== null) {
      releaseAddress(before.spec.target, before.target, this.addresses)
      if (before.spec.address !== null) releaseAddress(before.spec.address, before.address, this.addresses)
    }
    return before
  }

  /** Addresses that mean the host. Returns those before. */
  setLocal(texts: readonly string[]): readonly string[] {
    const before = this.localTexts
    const numbers = texts.map((text) => takeAddress(text, this.addresses))
    for (const text of before) {
      const address = takeAddress(text, this.addresses)
      releaseAddress(text, address, this.addresses)
      releaseAddress(text, address, this.addresses)
    }
    this.local.clear()
    this.local6.clear()
    texts.forEach((text, i) => {
      ;(text.includes(':') ? this.local6 : this.local).add(numbers[i])
    })
    this.localTexts = [...texts]
    return before
  }

  /** Whether an address of a tuple means the host: one of `local`, or the router's own on any interface. */
  isLocal(address: number, isIpv6: boolean): boolean {
    return (isIpv6 ? this.local6 : this.local).has(address) || this.interfaces.isGateway(address, isIpv6)
  }

  /** What is published for a destination, of a tuple; null: nothing. An entry for the address goes before one for any. */
  find(protocol: number, address: number, port: number, isIpv6: boolean): PublishedEntry | null {
    const entries = this.byPort.get(portKey(protocol, port))
    if (entries === undefined) return null
    for (const entry of entries) {
      if (entry.isIpv6 === isIpv6 && (entry.isAny ? this.isLocal(address, isIpv6) : entry.address === address)) return entry
    }
    return null
  }

  /** Whether a destination is the target itself of a port that is published for the uplink too. */
  isTarget(protocol: number, address: number, port: number, isIpv6: boolean): boolean {
    const entries = this.byTarget.get(portKey(protocol, port))
    if (entries === undefined) return false
    for (const entry of entries) if (entry.isIpv6 === isIpv6 && entry.target === address && entry.spec.onlyLocal !== true) return true
    return false
  }

  /**
   * Which flow a packet is of that is on its way to a published port's target, its destination translated already: tries all
   * destinations that lead there. For errors only; the router sends few.
   * @param isFlow whether a flow has this tuple when it comes in
   * @returns true with that tuple in `into`
   */
  findOriginal(translated: Tuple, into: Tuple, isFlow: (tuple: Tuple) => boolean): boolean {
    const { source, sourcePort, destination, destinationPort, isIpv6, protocol, d } = translated
    for (const entry of this.byTarget.get(portKey(protocol, destinationPort)) ?? []) {
      if (entry.target !== destination || entry.isIpv6 !== isIpv6) continue
      const local = isIpv6 ? this.local6 : this.local
      const published = entry.isAny ? [...local, ...this.interfaces.gatewayAddresses(isIpv6)] : [entry.address]
      for (const address of published) {
        into.set(source, address, sourcePort, swap16(entry.spec.port), d)
        if (isFlow(into)) return true
      }
    }
    return false
  }

  private read(key: string, spec: PublishedPort): PublishedEntry {
    checkPublished(key, spec)
    return {
      spec,
      protocol: spec.protocol === 'tcp' ? IpProtocol.tcp : IpProtocol.udp,
      isIpv6: spec.target.includes(':'),
      isAny: spec.address === null,
      address: spec.address === null ? 0 : takeAddress(spec.address, this.addresses),
      target: takeAddress(spec.target, this.addresses),
      targetPort: swap16(spec.targetPort)
    }
  }
}

/** Of a protocol and a port as a field of a tuple. */
export function portKey(protocol: number, port: number): number {
  return (protocol << 16) | port
}

function addTo(map: Map<number, PublishedEntry[]>, key: number, entry: PublishedEntry): void {
  const entries = map.get(key)
  if (entries === undefined) map.set(key, [entry])
  else if (entry.isAny) entries.push(entry)
  else entries.unshift(entry)
}

function removeFrom(map: Map<number, PublishedEntry[]>, key: number, entry: PublishedEntry): void {
  const entries = map.get(key)!
  entries.splice(entries.indexOf(entry), 1)
  if (entries.length === 0) map.delete(key)
}
