/**
 * Ours: the elements `nat` and `router` in an inline engine, a test port at each cable.
 *
 *   port a --- nat 0 | nat 1 --- router 0
 *   port b --- nat 2 | nat 3 --- router 1
 *   port up -- nat 4 | nat 5 --- router 2
 */
import assert from 'node:assert/strict'
import type { FlowEntry, FlowTuple } from '../../src/elements/nat/flow-list.ts'
import { natType } from '../../src/elements/nat/nat.ts'
import type { NatOptions } from '../../src/elements/nat/nat-options.ts'
import { routerType } from '../../src/elements/router/router.ts'
import type { RouterOptions } from '../../src/elements/router/router-options.ts'
import type { ElementType } from '../../src/engine/element.ts'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { formatIpv6, formatMac, macAt } from '../../src/wire/address.ts'
import { ARP_LENGTH, ArpOperation, emitArp, parseArp } from '../../src/wire/arp.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, EtherType, emitEthernet, etherType } from '../../src/wire/ethernet.ts'
import { Icmpv6Type } from '../../src/wire/icmpv6.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6, IPV6_HEADER_LENGTH, IPV6_NEXT_HEADER, IPV6_SOURCE } from '../../src/wire/ipv6.ts'
import {
  emitNeighborDiscovery,
  ND_FLAG_OVERRIDE,
  ND_FLAG_SOLICITED,
  ND_HOP_LIMIT,
  parseNeighborDiscovery
} from '../../src/wire/neighbor-discovery.ts'
import { TestBench } from '../engine/test-bench.ts'
import type { FlowRecord, Gateway, OutFrame } from './gateway.ts'
import { ipv4Of, ipv6Of } from './ipv6-translation.ts'
import { fromDevice, toSuperFrame } from './offloads.ts'
import { DEFAULT_VIA, INTERFACES, PUBLISHED, stationMac, stations, UP } from './world.ts'

/** With the option that tells the MAC. */
const SOLICITATION_LENGTH = 32
const DROPPERS = ['nat', 'router']

export class OurGateway implements Gateway {
  readonly name = 'netloom'
  private readonly bench: TestBench
  private dropsBefore = new Map<string, number>()
  /** Came out while time went by. */
  private readonly late: OutFrame[] = []

  constructor(settings: Partial<NatOptions> = {}, family: 4 | 6 = 4) {
    this.bench = new TestBench({ types: [natType, routerType] as ElementType<never>[], seed: 1 })
    const elements: Record<string, TopologyElement> = {
      nat: { type: 'nat', options: { ...natOptions(family), ...settings } },
      router: { type: 'router', options: routerOptions(family) }
    }
    const links: TopologyLink[] = []
    for (const [number, { name }] of INTERFACES.entries()) {
      elements[name] = { type: 'test-port' }
      links.push({ a: [name, 0], b: ['nat', 2 * number] }, { a: ['nat', 2 * number + 1], b: ['router', number] })
    }
    this.bench.configure(elements, links)
  }

  send(number: number, frame: Uint8Array, segment = 0): OutFrame[] {
    const { bench } = this
    const bytes = frame.slice()
    bench.port(INTERFACES[number].name).send(bytes, segment > 0 ? toSuperFrame(bytes, segment) : {})
    bench.run()
    return this.take()
  }

  pass(seconds: number): void {
    this.bench.advance(seconds)
    // What time alone brings forth is questions for neighbors; anything else would be a frame too many, and is shown with the next step.
    this.late.push(...this.take())
  }

  flows(addresses: ReadonlySet<string>): FlowRecord[] {
    const entries = this.bench.command('nat', 'flows') as FlowEntry[]
    return entries
      .filter(({ egress, original }) => egress !== null && (addresses.has(original.source) || addresses.has(original.destination)))
      .map(({ protocol, original, reply, state, unreplied, assured }) => ({
        protocol: NUMBERS[protocol] ?? Number(protocol),
        original: tuple(protocol, original),
        reply: tuple(protocol, reply),
        state: state ?? '',
        replied: !unreplied,
        assured: protocol === 'tcp' && assured
      }))
  }

  /** What came out. Stations answer ARP at once, so that nobody has to be known beforehand, and nothing is told of it. */
  private take(): OutFrame[] {
    const { bench } = this
    const out = this.late.splice(0)
    for (let asked = true; asked; ) {
      asked = false
      for (const [number, { name }] of INTERFACES.entries()) {
        const { arrived } = bench.port(name)
        bench.port(name).arrived = []
        for (const { bytes, ...fields } of arrived) {
          const answer = answerTo(bytes)
          if (answer === null) out.push({ interface: number, bytes, segment: fromDevice(bytes, fields) })
          else bench.port(name).send(answer)
          asked ||= answer !== null
        }
      }
      if (asked) bench.run()
    }
    return out
  }

  /** Reasons of drops since the last call. */
  notes(): string[] {
    const now = new Map(DROPPERS.flatMap((name) => Object.entries(this.bench.counters(name).drops)))
    const fresh = [...now].filter(([reason, count]) => count > (this.dropsBefore.get(reason) ?? 0)).map(([reason]) => reason)
    this.dropsBefore = now
    return fresh
  }

  flush(): void {
    this.bench.command('nat', 'flush', {})
  }

  close(): void {
    const { engine } = this.bench
    engine.close()
    assert.equal(engine.frames.inUse, 0, 'frames are held')
  }
}

const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 }

/** As conntrack-table writes it. */
function tuple(protocol: string, { source, destination, sourcePort, destinationPort }: FlowTuple): string {
  if (protocol === 'icmp' || protocol === 'icmpv6') return `${source} > ${destination} ${sourcePort}`
  if (NUMBERS[protocol] === undefined) return `${source} > ${destination}`
  return `${source}:${sourcePort} > ${destination}:${destinationPort}`
}

/** The answer to an ARP request or a neighbor solicitation, or null when the frame is neither. */
function answerTo(bytes: Uint8Array): Uint8Array | null {
  if (etherType(bytes, 0) === EtherType.ipv6) return answerToSolicitation(bytes)
  if (etherType(bytes, 0) !== EtherType.arp) return null
  const request = parseArp(bytes, ETHERNET_HEADER_LENGTH, bytes.length)
  if (request === null || request.operation !== ArpOperation.request) return null
  const mac = stationMac(request.targetIp)
  const answer = new Uint8Array(ETHERNET_HEADER_LENGTH + ARP_LENGTH)
  emitEthernet({ source: mac, destination: request.senderMac, type: EtherType.arp }, answer, 0)
  const { senderMac, senderIp, targetIp } = request
  emitArp(
    { operation: ArpOperation.reply, senderMac: mac, senderIp: targetIp, targetMac: senderMac, targetIp: senderIp },
    answer,
    ETHERNET_HEADER_LENGTH
  )
  return answer
}

function answerToSolicitation(bytes: Uint8Array): Uint8Array | null {
  const at = ETHERNET_HEADER_LENGTH
  const transport = at + IPV6_HEADER_LENGTH
  if (bytes[at + IPV6_NEXT_HEADER] !== IpProtocol.icmpv6 || bytes[transport] !== Icmpv6Type.neighborSolicitation) return null
  const question = parseNeighborDiscovery(bytes, transport, bytes.length, at)
  if (question?.kind !== 'neighbor-solicitation') return null
  const { target } = question
  const linkLayer = stationMac(ipv4Of(target))
  const answer = new Uint8Array(transport + SOLICITATION_LENGTH)
  emitEthernet({ source: linkLayer, destination: formatMac(macAt(bytes, ETHERNET_SOURCE)), type: EtherType.ipv6 }, answer, 0)
  const ends = { source: target, destination: formatIpv6(bytes, at + IPV6_SOURCE) }
  emitIpv6({ ...ends, nextHeader: IpProtocol.icmpv6, payloadLength: SOLICITATION_LENGTH, hopLimit: ND_HOP_LIMIT }, answer, at)
  const flags = ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE
  emitNeighborDiscovery({ kind: 'neighbor-advertisement', target, flags, linkLayer }, answer, transport, at)
  return answer
}

function natOptions(family: 4 | 6): NatOptions {
  if (family === 6) return natOptionsIpv6()
  const interfaces = INTERFACES.map(({ name, role, subnet, address }) => ({
    role,
    name,
    subnets: [subnet],
    gateway: address,
    masquerade: role === 'network',
    internal: false,
    icc: true,
    ...(role === 'uplink' && { snat: address })
  }))
  return {
    interfaces: Object.fromEntries(interfaces.entries()),
    published: Object.fromEntries(PUBLISHED.map((port) => [`${port.protocol}/${port.port}`, { ...port, address: null }])),
    local: INTERFACES.map(({ address }) => address)
  }
}

function natOptionsIpv6(): NatOptions {
  const interfaces = INTERFACES.map(({ name, role, address }) => ({
    role,
    name,
    subnets: [`${ipv6Of(address).replace(/::.*/, '::')}/64`],
    gateway6: ipv6Of(address),
    masquerade: role === 'network',
    internal: false,
    icc: true,
    ...(role === 'uplink' && { snat6: ipv6Of(address) })
  }))
  const published = PUBLISHED.map((port) => [`${port.protocol}/${port.port}`, { ...port, target: ipv6Of(port.target), address: null }])
  return {
    interfaces: Object.fromEntries(interfaces.entries()),
    published: Object.fromEntries(published),
    local: INTERFACES.map(({ address }) => ipv6Of(address))
  }
}

function routerOptions(family: 4 | 6): RouterOptions {
  const isIpv6 = family === 6
  const interfaces = INTERFACES.map(({ name, mac, subnet, address, mtu, role }) => ({
    name,
    mac,
    addresses: [isIpv6 ? `${ipv6Of(address)}/64` : `${address}/${subnet.split('/')[1]}`],
    mtu,
    answers: true,
    masquerade: role === 'uplink'
  }))
  return {
    interfaces: Object.fromEntries(interfaces.entries()),
    routes: { [isIpv6 ? '::/0' : '0.0.0.0/0']: { via: isIpv6 ? ipv6Of(DEFAULT_VIA) : DEFAULT_VIA, interface: UP } },
    bindings: Object.fromEntries([...stations()].map(({ address, mac }) => [isIpv6 ? ipv6Of(address) : address, mac]))
  }
}
