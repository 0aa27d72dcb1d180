/**
 * A gateway under fire, of production elements, with a spy where frames leave it:
 *
 *   a -- spy -- filter -- divert -- |     |        |     a: a network with the host on it
 *        host -- spy --/            | nat | router |     host: the host's TAP there
 *   b (host, echo) -- spy --------- |     |        |     b: a network; its port 7/udp is published as 8080
 *   in -- spy --------------------- |     |        |     in: an internal network
 *   world (host), outside -- spy -- |     |        |     the uplink
 *
 * The spies check what must hold for every frame, whatever came in; see `judge`.
 */
import assert from 'node:assert/strict'
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { divertType } from '../../src/elements/divert/divert.ts'
import { filterType } from '../../src/elements/filter/filter.ts'
import { natType } from '../../src/elements/nat/nat.ts'
import { routerType } from '../../src/elements/router/router.ts'
import type { Element, ElementContext, ElementType } from '../../src/engine/element.ts'
import { NO_FRAME } from '../../src/engine/frame-pool.ts'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { parseIpv4, parseIpv6, parseMac } from '../../src/wire/address.ts'
import { ArpOperation, emitArp } from '../../src/wire/arp.ts'
import { get16, put16, put32 } from '../../src/wire/big-endian.ts'
import { EtherType, emitEthernet, etherType } from '../../src/wire/ethernet.ts'
import { IpProtocol, parseIpv4Header } from '../../src/wire/ipv4.ts'
import { parseIpv6Header } from '../../src/wire/ipv6.ts'
import { packet } from '../elements/divert/divert-bench.ts'
import { TestBench } from '../engine/test-bench.ts'
import { FuzzFrame } from './fuzz-frame.ts'
import type { Targets } from './mutator.ts'

/** Ports at which frames come in. */
export const PORTS = ['a', 'a', 'in', 'host', 'outside'] as const
const ECHO = 7
/** Ports that only `ask` uses, for it and those above. */
const HONEST_PORT = 61_000
export const MACS = { a: '02:cc:00:00:01:02', b: '02:cc:00:00:02:02', in: '02:cc:00:00:03:02', world: '02:cc:00:00:00:02' }
export const GATEWAYS = { a: '02:cc:00:00:01:01', b: '02:cc:00:00:02:01', in: '02:cc:00:00:03:01', world: '02:cc:00:00:00:01' }
export const UPLINK = '203.0.113.66'
const UPLINK6 = '2001:db8:c::66'
const WORLD = '203.0.113.65'
const WORLD6 = '2001:db8:c::65'
const A = '192.0.2.2'
const A6 = '2001:db8:a::2'
const B = '198.51.100.2'
const B6 = '2001:db8:b::2'
/** Addresses that mean the host. */
const HOSTS = ['192.0.2.1', '198.51.100.1', '203.0.113.1', UPLINK, '2001:db8:a::1']

const network = { role: 'network', masquerade: true, internal: false, icc: true } as const
const INTERFACES = {
  0: { ...network, role: 'uplink', name: 'up', subnets: [], snat: UPLINK, snat6: UPLINK6 },
  1: { ...network, name: 'a', subnets: ['192.0.2.0/24', '2001:db8:a::/64'], gateway: '192.0.2.1', gateway6: '2001:db8:a::1' },
  2: { ...network, name: 'b', subnets: ['198.51.100.0/24', '2001:db8:b::/64'], gateway: '198.51.100.1', gateway6: '2001:db8:b::1' },
  3: { ...network, name: 'in', subnets: ['203.0.113.0/28'], gateway: '203.0.113.1', internal: true }
}
const ROUTED = {
  0: { name: 'up', mac: GATEWAYS.world, addresses: [`${UPLINK}/28`, `${UPLINK6}/64`], mtu: 1400, answers: true },
  1: { name: 'a', mac: GATEWAYS.a, addresses: ['192.0.2.1/24', '2001:db8:a::1/64'], mtu: 1500, answers: false },
  2: { name: 'b', mac: GATEWAYS.b, addresses: ['198.51.100.1/24', '2001:db8:b::1/64'], mtu: 1500, answers: true },
  3: { name: 'in', mac: GATEWAYS.in, addresses: ['203.0.113.1/28'], mtu: 1500, answers: true }
}

interface Departure {
  readonly bytes: Uint8Array
  /** Name of the element through which the frame came in, or ''. */
  readonly from: string
}

/** Passes frames both ways and shows those from port 1, the gateway's side. */
class Spy implements Element {
  private readonly context: ElementContext
  private readonly look: (name: string, bytes: Uint8Array, ingress: number) => void

  constructor(context: ElementContext, look: Spy['look']) {
    this.context = context
    this.look = look
  }

  push(): void {
    const { context } = this
    const { frames } = context
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const frame = rx.receive()
        const at = frames.start[frame]
        if (port === 1) this.look(context.name, frames.bytes(frame).slice(at, at + frames.length[frame]), frames.ingress[frame])
        context.transmit(1 - port, frame)
      }
    }
  }
}

/** Where frames of the fuzzer come in; what arrives ends here. */
class Shooter implements Element {
  readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  shoot(made: FuzzFrame): void {
    const { context } = this
    const { frames } = context
    const frame = frames.allocate(made.length)
    if (frame === NO_FRAME) return
    frames.bytes(frame).set(made.bytes.subarray(0, made.length), frames.start[frame])
    frames.flags[frame] = made.flags
    frames.gsoType[frame] = made.gsoType
    frames.gsoSize[frame] = made.gsoSize
    frames.hdrLen[frame] = made.hdrLen
    frames.csumStart[frame] = made.csumStart
    frames.csumOffset[frame] = made.csumOffset
    context.enter(frame)
    context.transmit(0, frame)
  }

  push(): void {
    const { context } = this
    while (context.nextReady() >= 0) {
      const { rx } = context.ports[0]!
      while (!rx.empty) context.frames.free(rx.receive())
    }
  }
}

export class GatewayNetwork extends TestBench {
  /** What should never have left. */
  readonly breaches: string[] = []
  /** Frames that left, by where. */
  readonly seen: Record<string, number> = { 'spy-a': 0, 'spy-host': 0, 'spy-b': 0, 'spy-in': 0, 'spy-world': 0 }
  private readonly shooters: Map<string, Shooter>
  /** Answers to `ask` that reached station a. */
  private answers = 0
  private readonly question = new FuzzFrame()

  /** `nat`: more options of the NAT. */
  constructor(seed: number, nat: object = {}) {
    const shooters = new Map<string, Shooter>()
    const look = (name: string, bytes: Uint8Array, ingress: number): void => {
      const from = [...shooters].find(([, { context }]) => context.number === ingress)?.[0] ?? ''
      this.seen[name]++
      if (name === 'spy-a' && from === '' && isAnswer(bytes)) this.answers++
      const breach = judge(name, { bytes, from })
      if (breach !== null) this.breaches.push(`${name}, from ${from || 'the inside'}: ${breach}: ${Buffer.from(bytes).toString('hex')}`)
    }
    const spyType: ElementType = { type: 'spy', maxPorts: 2, counters: [], create: (context) => new Spy(context, look) }
    const shooterType: ElementType = {
      type: 'shooter',
      maxPorts: 1,
      counters: [],
      create: (context) => {
        const shooter = new Shooter(context)
        shooters.set(context.name, shooter)
        return shooter
      }
    }
    const types = [spyType, shooterType, filterType, divertType, natType, routerType, virtualHostType, learningBridge]
    super({ seed, pool: { maxSmallChunks: 4, maxLargeChunks: 8 }, types: types as ElementType<never>[] })
    this.shooters = shooters
    this.build(nat)
    this.engine.patch({
      updates: [{ element: 'divert', change: { hosts: HOSTS, published: { echo: { protocol: 'udp', address: null, port: 8080 } } } }]
    })
  }

  send(port: string, frame: FuzzFrame): void {
    this.shooters.get(port)!.shoot(frame)
  }

  /** The same for bytes. */
  sendBytes(port: string, ...frames: Uint8Array[]): void {
    for (const bytes of frames) {
      this.question.set(bytes)
      this.send(port, this.question)
    }
    this.run()
  }

  /** All drops of all elements, by reason. */
  get allDrops(): Record<string, number> {
    const drops: Record<string, number> = {}
    for (const name of ['filter', 'divert', 'nat', 'router']) {
      for (const [reason, count] of Object.entries(this.counters(name).drops)) drops[reason] = (drops[reason] ?? 0) + count
    }
    return drops
  }

  /** Station a asks the world `count` times, from as many ports: how many answers came. */
  ask(count: number): number {
    this.answers = 0
    // As a station that does not know the gateway: so the router knows whom it answers.
    this.question.set(whoIsTheGateway())
    this.send('a', this.question)
    for (let i = 0; i < count; i++) {
      const fields = { source: A, destination: WORLD, sourcePort: HONEST_PORT + i, destinationPort: ECHO, mac: GATEWAYS.a }
      this.question.set(packet(fields))
      this.send('a', this.question)
    }
    this.run()
    return this.answers
  }

  /** Every frame that the router had is accounted for. */
  checkCounters(): void {
    const { counters, drops } = this.counters('router')
    const { waiting } = this.command('router', 'stats') as { waiting: number }
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
    const inward = counters.rxFrames + counters.originated + counters.fragments
    assert.equal(inward, counters.txFrames + counters.consumed + dropped + waiting)
  }

  private build(nat: object): void {
    const host = (mac: string, addresses: string[], gateway: string, gateway6: string): TopologyElement => ({
      type: virtualHostType.type,
      options: { mac, addresses, gateway, gateway6, udpEcho: [ECHO], resolver: null }
    })
    const published = { echo: { protocol: 'udp', address: null, port: 8080, target: B, targetPort: ECHO, interface: 2 } }
    const bindings = { [A]: MACS.a, [B]: MACS.b, [WORLD]: MACS.world }
    const routes = { '0.0.0.0/0': { via: WORLD, interface: 0 }, '::/0': { via: WORLD6, interface: 0 } }
    const staticEntries = [
      { mac: GATEWAYS.world, port: 0 },
      { mac: MACS.world, port: 1 }
    ]
    this.configure(
      {
        ...Object.fromEntries(['a', 'in', 'host', 'outside'].map((name) => [name, { type: 'shooter' }])),
        ...Object.fromEntries(Object.keys(this.seen).map((name) => [name, { type: 'spy' }])),
        filter: { type: 'filter', options: { gateway: GATEWAYS.a, mac: MACS.a, sources: [A, A6] } },
        divert: { type: 'divert', options: { mac: GATEWAYS.a } },
        nat: { type: 'nat', options: { capacity: 4096, interfaces: INTERFACES, published, local: HOSTS, ...nat } },
        router: { type: 'router', options: { interfaces: ROUTED, routes, bindings } },
        b: host(MACS.b, [`${B}/24`, `${B6}/64`], '198.51.100.1', '2001:db8:b::1'),
        world: host(MACS.world, [`${WORLD}/28`, `${WORLD6}/64`], UPLINK, UPLINK6),
        lan: { type: 'bridge', options: { staticEntries } }
      },
      [
        { a: ['a', 0], b: ['spy-a', 0] },
        { a: ['spy-a', 1], b: ['filter', 0] },
        { a: ['filter', 1], b: ['divert', 0] },
        { a: ['divert', 1], b: ['nat', 2] },
        { a: ['divert', 2], b: ['spy-host', 1] },
        { a: ['spy-host', 0], b: ['host', 0] },
        { a: ['b', 0], b: ['spy-b', 0] },
        { a: ['spy-b', 1], b: ['nat', 4] },
        { a: ['in', 0], b: ['spy-in', 0] },
        { a: ['spy-in', 1], b: ['nat', 6] },
        { a: ['world', 0], b: ['lan', 1] },
        { a: ['outside', 0], b: ['lan', 2] },
        { a: ['lan', 0], b: ['spy-world', 0] },
        { a: ['spy-world', 1], b: ['nat', 0] },
        ...[0, 1, 2, 3].map((number): TopologyLink => ({ a: ['nat', 2 * number + 1], b: ['router', number] }))
      ]
    )
  }
}

/** Station a's ARP request. */
function whoIsTheGateway(): Uint8Array {
  const bytes = new Uint8Array(60)
  emitEthernet({ destination: 'ff:ff:ff:ff:ff:ff', source: MACS.a, type: EtherType.arp }, bytes, 0)
  const targetMac = '00:00:00:00:00:00'
  emitArp({ operation: ArpOperation.request, senderMac: MACS.a, senderIp: A, targetMac, targetIp: '192.0.2.1' }, bytes, 14)
  return bytes
}

/** Whether this is an answer to `ask`. */
function isAnswer(bytes: Uint8Array): boolean {
  const header = etherType(bytes, 0) === EtherType.ipv4 ? parseIpv4Header(bytes, 14, bytes.length) : null
  return (
    header !== null && header.source === WORLD && header.destination === A && get16(bytes, 34) === ECHO && get16(bytes, 36) >= HONEST_PORT
  )
}

/** What is wrong with a frame that leaves; null: nothing. */
function judge(where: string, { bytes, from }: Departure): string | null {
  if (from === 'in' && where !== 'spy-in') return 'nothing leaves an internal network'
  if (where === 'spy-in' && from !== '') return 'nothing comes into an internal network'
  // What the host sends to its network is the host's matter, and what it gets it judges itself.
  if (from === 'host' || where === 'spy-host') return null
  const type = etherType(bytes, 0)
  if (type === EtherType.ipv4) return judgeIpv4(where, bytes, from)
  if (type !== EtherType.ipv6) return type === EtherType.arp ? null : 'neither ARP nor IP'
  const header = parseIpv6Header(bytes, 14, bytes.length)
  if (header === null) return 'no sound IPv6 header'
  if (header.hopLimit === 0) return 'a hop limit of 0'
  // What the router itself says, it says from any of its addresses.
  const isOwn = from === '' || header.source === UPLINK6
  return where !== 'spy-world' || isOwn ? null : `${header.source} is not masqueraded`
}

function judgeIpv4(where: string, bytes: Uint8Array, from: string): string | null {
  const header = parseIpv4Header(bytes, 14, bytes.length)
  if (header === null) return 'no sound IPv4 header'
  if (header.ttl === 0) return 'a TTL of 0'
  const { source, destination, protocol } = header
  // Who is published may be spoken to directly from outside, and then answers in its own name.
  if (where === 'spy-world' && from !== '' && source !== UPLINK && source !== B) return `${source} is not masqueraded`
  if (where !== 'spy-b' || from === '' || protocol === IpProtocol.icmp || header.fragmentOffset > 0) return null
  const port = get16(bytes, 14 + 20 + header.options.length + 2)
  if (destination !== B || protocol !== IpProtocol.udp || port !== ECHO) return `${destination} port ${port} is not published`
  return from === 'outside' || source === '198.51.100.1' ? null : `from ${source}, and not from the gateway`
}

function mac(text: string): Uint8Array {
  const { hi, lo } = parseMac(text)
  const bytes = new Uint8Array(6)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

function ipv4(text: string): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseIpv4(text))
  return bytes
}

/** Whom the frames of each port are for, and whom they claim to come from: mostly the gateway there, and the station itself. */
export function targetsOf(port: (typeof PORTS)[number]): Targets {
  const [own, own6, self, gateway] = {
    a: [A, A6, MACS.a, GATEWAYS.a],
    in: ['203.0.113.2', 'fe80::2', MACS.in, GATEWAYS.in],
    host: ['192.0.2.1', '2001:db8:a::1', GATEWAYS.a, MACS.a],
    outside: ['203.0.113.67', '2001:db8:c::67', MACS.world, GATEWAYS.world]
  }[port]
  const ipv4s = [
    own,
    own,
    own,
    A,
    B,
    WORLD,
    UPLINK,
    UPLINK,
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '8.8.8.8',
    '224.0.0.1',
    '127.0.0.1'
  ]
  const ipv6s = [own6, own6, own6, A6, B6, WORLD6, UPLINK6, '2001:db8:a::1', '2001:db8:ffff::1', 'ff02::1', 'fe80::1', '::']
  return {
    macs: [gateway, gateway, gateway, gateway, gateway, gateway, MACS.a, 'ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01'].map(mac),
    service: mac(gateway),
    sources: [self, self, self, MACS.world].map(mac),
    ipv4: ipv4s.map(ipv4),
    ipv6: ipv6s.map(parseIpv6),
    ports: [ECHO, 8080, 8080, 53, 1024, 33_000]
  }
}
