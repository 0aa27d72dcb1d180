/**
 * What the NAT would do to a packet, with nothing changed: no flow, no time-out, no random number, no counter.
 */
import { dropReasons } from '../../engine/drop-reason.ts'
import { isIpv6LinkLocal, parseIpv4, parseIpv6 } from '../../wire/address.ts'
import { put32 } from '../../wire/big-endian.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { formatTupleAddress } from './address-text.ts'
import { FlowStatus, NO_FLOW } from './conntrack.ts'
import { ALLOWED } from './forward-policy.ts'
import { GUEST, judgeAddresses } from './judge-addresses.ts'
import { NatDrop } from './nat-drop.ts'
import { sourceFor } from './nat-interfaces.ts'
import { NatOptionsError } from './nat-options-error.ts'
import { READ_OK } from './nat-packet.ts'
import type { NatTables } from './nat-tables.ts'
import { NO_PORT, RANDOM_PORT } from './port-allocation.ts'
import { readAddress, swap16, Tuple, tupleKind } from './tuple.ts'

/** A packet as people name it. `sourcePort` of `icmp` is the identifier of an echo request. */
export interface SyntheticPacket {
  readonly protocol: 'icmp' | 'tcp' | 'udp'
  readonly source: string
  readonly destination: string
  readonly sourcePort?: number
  readonly destinationPort?: number
}

/** `egress`: the interface by which the router would send it; without, the answer ends before the router. */
export interface ExplainArgument {
  readonly ingress: number
  readonly egress?: number
  readonly packet: SyntheticPacket
}

export interface NatExplanation {
  /** `local`: the router's own business, untranslated. */
  readonly verdict: 'forward' | 'local' | 'drop'
  /** Name of the drop reason. */
  readonly reason: string | null
  readonly flow: 'new' | 'established' | null
  /** The packet's as it would go on: to the router, or with `egress` out of it. */
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** Sentences, in order; those before the router come first and are the same with and without `egress`. */
  readonly steps: readonly string[]
}

/** Throws AddressError or NatOptionsError. */
export function explain(tables: NatTables, { ingress, egress, packet }: ExplainArgument): NatExplanation {
  const walk = new Walk(tables, packet)
  return walk.enter(ingress) ?? (egress === undefined ? walk.end('forward', null) : walk.leave(ingress, egress))
}

class Walk {
  private readonly tables: NatTables
  private readonly packet: SyntheticPacket
  private readonly isIpv6: boolean
  private readonly addresses: Uint8Array
  /** As the packet is now. */
  private readonly tuple = new Tuple()
  private readonly steps: string[] = []
  private reference = NO_FLOW
  private isDnat = false
  private source: string
  private destination: string
  private sourcePort: number
  private destinationPort: number

  constructor(tables: NatTables, packet: SyntheticPacket) {
    const { protocol, source, destination, sourcePort = 0, destinationPort = 0 } = packet
    this.tables = tables
    this.packet = packet
    this.source = source
    this.destination = destination
    this.sourcePort = sourcePort
    this.destinationPort = protocol === 'icmp' ? sourcePort : destinationPort
    this.isIpv6 = destination.includes(':')
    if (source.includes(':') !== this.isIpv6) throw new NatOptionsError('packet', packet, 'has addresses of two families')
    this.addresses = new Uint8Array(32)
    this.writeAddress(source, 0)
    this.writeAddress(destination, 16)
    const numbers = [0, 16].map((at) => (this.isIpv6 ? tables.addresses.find(this.addresses, at) : readAddress(this.addresses, at)))
    this.tuple.set(numbers[0], numbers[1], swap16(this.sourcePort), swap16(this.destinationPort), this.kind(protocol))
  }

  /** What happens before the router; null: the packet goes to it. */
  enter(number: number): NatExplanation | null {
    const { tables, tuple, isIpv6, steps } = this
    const { flows, published, interfaces } = tables
    const ingress = interfaces.at(number)
    if (ingress === null) return this.drop(NatDrop.unknownInterface)
    if (isIpv6 && (isIpv6LinkLocal(this.addresses, 0) || isIpv6LinkLocal(this.addresses, 16))) {
      steps.push('link-local addresses: not tracked, the router itself is meant')
      return this.end('local', null)
    }
    const problem = judgeAddresses(interfaces, ingress, this.addresses, 0, 16, isIpv6)
    const isGuest = problem === GUEST
    if (problem !== READ_OK && !isGuest) return this.drop(problem)
    const found = flows.find(tuple.a, tuple.b, tuple.c, tuple.d)
    if (found !== NO_FLOW && flows.isAlive(found >> 1)) {
      if (isGuest && (found & 1) === 0) return this.drop(NatDrop.spoofed)
      this.reference = found
      steps.push(`belongs to flow ${found >> 1}, ${(found & 1) === 0 ? 'original' : 'reply'} direction`)
      const other = tables.otherTuple(found >> 1, found & 1)
      this.isDnat = (flows.status[found >> 1] & FlowStatus.dnat) !== 0
      this.send(other.source, other.sourcePort, this.format(other.source))
      return null
    }
    if (isGuest) return this.drop(NatDrop.spoofed)
    const target = this.packet.protocol === 'icmp' ? null : published.find(tuple.protocol, tuple.destination, tuple.destinationPort, isIpv6)
    const isFull = flows.size >= flows.capacity
    if (target !== null) {
      if (isFull && !this.makeRoom()) return this.drop(NatDrop.tableFull)
      const { spec } = target
      steps.push(`a new flow to published port ${spec.port}/${spec.protocol}: destination becomes ${spec.target} port ${spec.targetPort}`)
      this.isDnat = true
      this.send(target.target, target.targetPort, spec.target)
      return null
    }
    if (interfaces.isGateway(tuple.destination, isIpv6)) {
      steps.push(`${this.destination} is the gateway's own address and nothing is published there: not tracked`)
      return this.end('local', null)
    }
    if (isFull && !this.makeRoom()) return this.drop(NatDrop.tableFull)
    steps.push('a new flow')
    return null
  }

  /** What happens behind the router. */
  leave(ingressNumber: number, egressNumber: number): NatExplanation {
    const { tables, tuple, isIpv6, steps } = this
    const { flows, interfaces, policy } = tables
    const ingress = interfaces.at(ingressNumber)!
    const egress = interfaces.at(egressNumber)
    if (egress === null) return this.drop(NatDrop.noEgress)
    if (this.reference !== NO_FLOW && (flows.status[this.reference >> 1] & FlowStatus.confirmed) !== 0) {
      const other = tables.otherTuple(this.reference >> 1, this.reference & 1)
      this.comeFrom(this.format(other.destination), swap16(other.destinationPort))
      return this.end('forward', null)
    }
    const refusal = policy.judge(ingress, egress, this.isDnat, tuple)
    if (refusal !== ALLOWED) return this.drop(refusal)
    steps.push(`allowed from ${ingress.spec.name} to ${egress.spec.name}`)
    const source = sourceFor(ingress, egress, this.isDnat, tuple.source, isIpv6)
    const reply = new Tuple()
    reply.setOpposite(tuple)
    reply.set(tuple.destination, source, reply.sourcePort, reply.destinationPort, reply.d)
    const port = tables.ports.foresee(reply, tuple.source, tuple.sourcePort, this.packet.protocol === 'icmp')
    if (port === NO_PORT) return this.drop(NatDrop.portsExhausted)
    if (port === RANDOM_PORT) steps.push(`port ${this.sourcePort} is taken by another flow: another one would be chosen`)
    else if (port !== tuple.sourcePort) steps.push(`other flows of this source have port ${swap16(port)}: this one would too`)
    this.comeFrom(source === tuple.source ? this.source : this.format(source), port === RANDOM_PORT ? 0 : swap16(port))
    return this.end('forward', null)
  }

  /** Whether a new flow may find room in the full table. */
  private makeRoom(): boolean {
    if (!this.tables.eviction.mayEvict()) return false
    this.steps.push('the flow table is full: a flow that is not assured would have to go, where one is found near a random place')
    return true
  }

  end(verdict: NatExplanation['verdict'], reason: string | null): NatExplanation {
    const { source, sourcePort, destination, destinationPort, steps } = this
    const flow = verdict === 'local' ? null : this.reference === NO_FLOW ? 'new' : 'established'
    return { verdict, reason, flow, source, sourcePort, destination, destinationPort, steps }
  }

  private drop(reason: number): NatExplanation {
    const { name, text } = dropReasons()[reason]
    this.steps.push(text)
    return { ...this.end('drop', name), flow: null }
  }

  private send(address: number, port: number, text: string): void {
    const { tuple } = this
    if (address !== tuple.destination && this.reference !== NO_FLOW) this.steps.push(`destination becomes ${text} port ${swap16(port)}`)
    tuple.set(tuple.source, address, tuple.sourcePort, port, tuple.d)
    this.destination = text
    this.destinationPort = swap16(port)
  }

  private comeFrom(source: string, port: number): void {
    if (source !== this.source || port !== this.sourcePort) {
      this.steps.push(`source becomes ${source}${port === 0 ? '' : ` port ${port}`}`)
    }
    this.source = source
    this.sourcePort = port
  }

  private format(address: number): string {
    return formatTupleAddress(address, this.isIpv6, this.tables.addresses)
  }

  private writeAddress(text: string, at: number): void {
    if (this.isIpv6) this.addresses.set(parseIpv6(text), at)
    else put32(this.addresses, at, parseIpv4(text))
  }

  private kind(protocol: SyntheticPacket['protocol']): number {
    const { isIpv6 } = this
    if (protocol === 'icmp') return tupleKind(isIpv6 ? IpProtocol.icmpv6 : IpProtocol.icmp, isIpv6, isIpv6 ? 128 : 8)
    return tupleKind(protocol === 'tcp' ? IpProtocol.tcp : IpProtocol.udp, isIpv6)
  }
}
