/**
 * Which frames are meant, as plain data: a list of layers that a frame must have, with the fields that matter.
 */
import type { PacketView } from '../../wire/packet-view.ts'
import type { AddressTest, Check, MacTest, NumberTest, PayloadTest } from './field-tests.ts'
import { LAYERS } from './frame-fields.ts'

/** The fields of each layer; all that are given must hold. Several values in a list: any of them. */
export interface PatternFields {
  ethernet: { src?: MacTest; dst?: MacTest /** EtherType behind tags. */; type?: NumberTest; vlan?: NumberTest; length?: NumberTest }
  arp: {
    operation?: NumberTest | 'request' | 'reply'
    senderMac?: MacTest
    senderIp?: AddressTest
    targetMac?: MacTest
    targetIp?: AddressTest
  }
  ipv4: {
    src?: AddressTest
    dst?: AddressTest
    ttl?: NumberTest
    protocol?: NumberTest | 'icmp' | 'tcp' | 'udp'
    tos?: NumberTest
    id?: NumberTest
    /** Total length, bytes. */
    length?: NumberTest
    dontFragment?: boolean
    moreFragments?: boolean
    /** Bytes. */
    fragmentOffset?: NumberTest
  }
  ipv6: {
    src?: AddressTest
    dst?: AddressTest
    hopLimit?: NumberTest
    /** Behind the extension headers. */
    protocol?: NumberTest | 'icmpv6' | 'tcp' | 'udp'
    trafficClass?: NumberTest
    flowLabel?: NumberTest
    payloadLength?: NumberTest
  }
  icmp: { type?: NumberTest; code?: NumberTest; id?: NumberTest; sequence?: NumberTest }
  icmpv6: { type?: NumberTest; code?: NumberTest; id?: NumberTest; sequence?: NumberTest }
  /** `length` counts the header; `payload` is contained. */
  udp: { srcPort?: NumberTest; dstPort?: NumberTest; length?: NumberTest; payload?: PayloadTest }
  tcp: {
    srcPort?: NumberTest
    dstPort?: NumberTest
    sequence?: NumberTest
    acknowledgment?: NumberTest
    window?: NumberTest
    syn?: boolean
    ack?: boolean
    fin?: boolean
    rst?: boolean
    psh?: boolean
    payload?: PayloadTest
  }
  /** Of the first question; `answers` counts records. UDP on port 53. */
  dns: {
    id?: NumberTest
    response?: boolean
    rcode?: NumberTest | 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED'
    answers?: NumberTest
    name?: string | readonly string[]
    type?: NumberTest | 'A' | 'AAAA' | 'PTR' | 'CNAME' | 'TXT' | 'MX' | 'NS' | 'SOA' | 'SRV' | 'ANY'
  }
}

export type PatternLayer = keyof PatternFields

/** One layer of a pattern. */
export type LayerPattern = { [L in PatternLayer]: { readonly layer: L; readonly fields: Readonly<PatternFields[L]> } }[PatternLayer]

/** All layers must be there; their order says nothing. */
export type FramePattern = readonly LayerPattern[]

export class PatternError extends Error {
  readonly code = 'ERR_FRAME_PATTERN'
}

interface NamedCheck {
  /** `udp`, or `udp.dstPort`. */
  readonly name: string
  readonly check: Check
}

export class CompiledPattern {
  private readonly checks: readonly NamedCheck[]

  /** Throws PatternError that names the layer, the field and the value. */
  constructor(pattern: FramePattern) {
    if (!Array.isArray(pattern) || pattern.length === 0) throw new PatternError('a pattern names at least one layer: udp(), say')
    this.checks = pattern.flatMap((layer) => layerChecks(layer as LayerPattern))
  }

  matches(view: PacketView): boolean {
    for (const { check } of this.checks) if (!check(view)) return false
    return true
  }

  /** The first layer or field that is otherwise; null: it matches. */
  difference(view: PacketView): string | null {
    for (const { name, check } of this.checks) if (!check(view)) return name
    return null
  }
}

function layerChecks({ layer, fields }: LayerPattern): NamedCheck[] {
  if (!Object.hasOwn(LAYERS, layer)) throw new PatternError(`layer '${layer}' is unknown: there is ${Object.keys(LAYERS).join(', ')}`)
  const known = LAYERS[layer]
  const checks: NamedCheck[] = [{ name: layer, check: known.isPresent }]
  for (const [field, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue
    if (!Object.hasOwn(known.fields, field)) {
      throw new PatternError(`${layer} has no field '${field}': there is ${Object.keys(known.fields).join(', ')}`)
    }
    try {
      checks.push({ name: `${layer}.${field}`, check: known.fields[field](value) })
    } catch (error) {
      throw new PatternError(`${layer}.${field}: ${(error as Error).message}`, { cause: error })
    }
  }
  return checks
}
