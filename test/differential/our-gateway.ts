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
import { ARP_LENGTH, ArpOperation, emitArp, parseArp } from '../../src/wire/arp.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, emitEthernet, etherType } from '../../src/wire/ethernet.ts'
import { TestBench } from '../engine/test-bench.ts'
import type { FlowRecord, Gateway, OutFrame } from './gateway.ts'
import { fromDevice, toSuperFrame } from './offloads.ts'
import { DEFAULT_VIA, INTERFACES, PUBLISHED, stationMac, stations, UP } from './world.ts'

const DROPPERS = ['nat', 'router']

export class OurGateway implements Gateway {
  readonly name = 'netloom'
  private readonly bench: TestBench
  private dropsBefore = new Map<string, number>()
  /** Came out while time went by. */
  private readonly late: OutFrame[] = []

  constructor(settings: Partial<NatOptions> = {}) {
    this.bench = new TestBench({ types: [natType, routerType] as ElementType<never>[], seed: 1 })
    const elements: Record<string, TopologyElement> = {
      nat: { type: 'nat', options: { ...natOptions(), ...settings } },
      router: { type: 'router', options: routerOptions() }
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

const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 }

/** As conntrack-table writes it. */
function tuple(protocol: string, { source, destination, sourcePort, destinationPort }: FlowTuple): string {
  if (protocol === 'icmp') return `${source} > ${destination} ${sourcePort}`
  if (NUMBERS[protocol] === undefined) return `${source} > ${destination}`
  return `${source}:${sourcePort} > ${destination}:${destinationPort}`
}

/** The answer to an ARP request, or null when the frame is none. */
function answerTo(bytes: Uint8Array): Uint8Array | null {
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

function natOptions(): NatOptions {
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

function routerOptions(): RouterOptions {
  const interfaces = INTERFACES.map(({ name, mac, subnet, address, mtu, role }) => ({
    name,
    mac,
    addresses: [`${address}/${subnet.split('/')[1]}`],
    mtu,
    answers: true,
    masquerade: role === 'uplink'
  }))
  return {
    interfaces: Object.fromEntries(interfaces.entries()),
    routes: { '0.0.0.0/0': { via: DEFAULT_VIA, interface: UP } },
    bindings: Object.fromEntries([...stations()].map(({ address, mac }) => [address, mac]))
  }
}
