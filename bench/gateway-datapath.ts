/**
 * Trials of the gateway: one network and one uplink, `nat` and `router` between them, production classes throughout.
 *
 *   stations of a network -- nat 0 | router | nat 1 -- everything outside
 *
 * All frames are UDP, 64 bytes. Flow N goes from address 10.0.x.y, port P to 203.0.x.y and keeps its port.
 */
import { setImmediate as nextTick } from 'node:timers/promises'
import type { FlowEntry } from '../src/elements/nat/flow-list.ts'
import { natType } from '../src/elements/nat/nat.ts'
import { routerType } from '../src/elements/router/router.ts'
import { RealClock } from '../src/engine/clock.ts'
import { readCounters } from '../src/engine/counters.ts'
import { ElementRegistry, type ElementType } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
import { SMALL_SLOT } from '../src/engine/frame-pool.ts'
import { emitEthernet } from '../src/wire/ethernet.ts'
import { emitIpv4 } from '../src/wire/ipv4.ts'
import { emitUdp } from '../src/wire/udp.ts'
import { FIRST_PORT, NEW_FLOW_KINDS, type NewFlowKind, newFlowHeaders, PORTS, PUBLISHED, STATIONS } from './gateway-new-flows.ts'
import { type GatewayStation, gatewayStations, HEADER_WORDS } from './gateway-station.ts'
import { DelayLine } from './traffic-station.ts'

const GATEWAY_MACS = ['02:cc:00:00:00:01', '02:cc:00:00:00:02']
const OUTSIDE = '198.51.100.50'

export interface GatewayOptions {
  readonly flows: number
  /** False: the stations are joined without NAT and router. */
  readonly gateway: boolean
  readonly workingSet: number
  readonly frames: number
  /** Flows that the table holds. */
  readonly capacity: number
  /** New flows among the 64 frames of a batch of the inside station. */
  readonly newPerBatch?: number
}

export interface GatewayResult {
  readonly mpps: number
  readonly nsPerFrame: number
  /** What the process itself took, nanoseconds a frame: on a busy machine the better figure. */
  readonly cpuPerFrame: number
  readonly heapPerMillion: number
}

class GatewayRun {
  readonly engine: Engine
  readonly inside: GatewayStation
  readonly outside: GatewayStation

  constructor({ gateway, capacity, workingSet }: Pick<GatewayOptions, 'gateway' | 'capacity' | 'workingSet'>) {
    const { type, stations } = gatewayStations()
    const elements = new ElementRegistry()
      .register(natType)
      .register(routerType)
      .register(type as ElementType<never>)
    this.engine = new Engine({ clock: new RealClock(), elements })
    const ends = { inside: { type: 'gateway-station' }, outside: { type: 'gateway-station' } }
    if (gateway) {
      this.engine.configure({
        elements: { ...ends, nat: { type: 'nat', options: natOptions(capacity) }, router: { type: 'router', options: routerOptions() } },
        links: [
          { a: ['inside', 0], b: ['nat', 0] },
          { a: ['nat', 1], b: ['router', 0] },
          { a: ['outside', 0], b: ['nat', 2] },
          { a: ['nat', 3], b: ['router', 1] }
        ]
      })
    } else {
      this.engine.configure({ elements: ends, links: [{ a: ['inside', 0], b: ['outside', 0] }] })
    }
    ;[this.inside, this.outside] = stations
    for (const station of stations) station.line = new DelayLine(this.engine.frames, Math.ceil(workingSet / SMALL_SLOT))
  }

  get received(): number {
    return this.inside.received + this.outside.received
  }

  run(until: () => boolean): void {
    while (!until()) for (let i = 0; i < 16; i++) this.engine.turn()
  }

  /** Opens flows 0..count-1 from inside, answers each, and waits until they are streams when `assured`. */
  open(count: number, assured: boolean): void {
    const { inside, outside } = this
    inside.flows = headersOf(count, true)
    outside.flows = headersOf(count, false)
    inside.isSending = true
    this.run(() => outside.received >= count * 2)
    outside.isSending = true
    this.run(() => inside.received >= count * 2)
    while (assured && !this.areAssured(count)) {
      const pause = this.engine.clock.now() + 0.3e9
      this.run(() => this.engine.clock.now() > pause)
    }
    inside.answersArp = outside.answersArp = false
  }

  private areAssured(count: number): boolean {
    let flows: FlowEntry[] = []
    this.engine.command('nat', 'flows', {}, (_error, value) => {
      flows = value as FlowEntry[]
    })
    return flows.filter(({ assured }) => assured).length >= count
  }

  counters(name: string) {
    return readCounters(this.engine.counters.layout()).get(name)!
  }
}

/** Steady flows in both directions, and if asked new ones besides. Counts what is delivered of the steady ones. */
export async function runGateway(options: GatewayOptions): Promise<GatewayResult> {
  const run = new GatewayRun(options)
  run.open(options.flows, options.gateway)
  const { newPerBatch = 0 } = options
  run.inside.makeNew = newPerBatch === 0 ? null : newFlowHeaders(NEW_FLOW_KINDS['UDP, between the same two addresses'], GATEWAY_MACS[0])
  run.inside.newPerBatch = newPerBatch
  const until = run.received + options.frames
  run.run(() => run.received >= until)
  globalThis.gc?.()
  await nextTick()
  const before = run.received
  const heap = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  run.run(() => run.received >= before + options.frames)
  const { user, system } = process.cpuUsage(cpu)
  const elapsed = Number(process.hrtime.bigint() - start)
  const heapPerMillion = ((process.memoryUsage().heapUsed - heap) / options.frames) * 1e6
  const frames = run.received - before
  if (options.gateway) checkGateway(run, newPerBatch > 0)
  return { mpps: (frames / elapsed) * 1e3, nsPerFrame: elapsed / frames, cpuPerFrame: ((user + system) * 1e3) / frames, heapPerMillion }
}

/** Flows that are opened one after the other, each by one frame, through NAT and router to the other side. */
export async function runNewFlows(flows: number, kind: NewFlowKind): Promise<GatewayResult & { bytesPerFlow: number }> {
  const run = new GatewayRun({ gateway: true, capacity: 1 << 20, workingSet: 0 })
  run.open(STATIONS, false)
  const [from, to] = kind.isFromOutside ? [run.outside, run.inside] : [run.inside, run.outside]
  to.isSending = false
  from.isSending = true
  from.makeNew = newFlowHeaders(kind, GATEWAY_MACS[kind.isFromOutside ? 1 : 0])
  from.newPerBatch = 64
  const memory = process.memoryUsage()
  const warm = to.received + flows * 0.1
  run.run(() => to.received >= warm)
  const before = to.received
  const heap = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  run.run(() => to.received >= before + flows * 0.9)
  const { user, system } = process.cpuUsage(cpu)
  const elapsed = Number(process.hrtime.bigint() - start)
  const opened = to.received - before
  const after = process.memoryUsage()
  const { counters, drops } = run.counters('nat')
  if (Object.keys(drops).length > 0 || counters['flows'] < flows) throw new Error(`flows were lost: ${JSON.stringify({ counters, drops })}`)
  const bytesPerFlow = (after.rss - memory.rss) / counters['flows']
  const heapPerMillion = ((after.heapUsed - heap) / opened) * 1e6
  const cpuPerFrame = ((user + system) * 1e3) / opened
  return { mpps: (opened / elapsed) * 1e3, nsPerFrame: elapsed / opened, cpuPerFrame, heapPerMillion, bytesPerFlow }
}

/** A figure counts only when the frames went where they should, and by the shortcut. */
function checkGateway(run: GatewayRun, refusesNew: boolean): void {
  const { counters, drops } = run.counters('nat')
  const allowed = refusesNew ? ['nat.tableFull'] : []
  const strange = Object.keys(drops).filter((name) => !allowed.includes(name))
  if (strange.length > 0) throw new Error(`the gateway dropped frames: ${JSON.stringify(drops)}`)
  if (refusesNew && !(drops['nat.tableFull'] > 0)) throw new Error('no new flow was refused')
  if (counters['fastFrames'] < counters['txFrames'] * 0.5) throw new Error(`few frames took the fast path: ${JSON.stringify(counters)}`)
}

function natOptions(capacity: number) {
  const common = { masquerade: true, internal: false, icc: true }
  return {
    capacity,
    timeouts: { udp: 600, udpStream: 600 },
    interfaces: {
      0: { ...common, role: 'network' as const, name: 'inside', subnets: ['10.0.0.0/8'], gateway: '10.0.255.1' },
      1: { ...common, role: 'uplink' as const, name: 'outside', subnets: [], snat: OUTSIDE }
    },
    published: PUBLISHED,
    local: [OUTSIDE]
  }
}

function routerOptions() {
  return {
    interfaces: {
      0: { name: 'inside', mac: GATEWAY_MACS[0], addresses: ['10.0.255.1/8'], mtu: 1500, answers: true },
      1: { name: 'outside', mac: GATEWAY_MACS[1], addresses: [`${OUTSIDE}/24`], mtu: 1500, answers: true }
    },
    routes: { '0.0.0.0/0': { via: '198.51.100.1', interface: 1 } }
  }
}

/** Addresses and port of flow `number`: with each PORTS flows the outside host changes, so that every flow keeps its port. */
function flowAt(number: number) {
  const host = Math.floor(number / PORTS)
  const station = number % STATIONS
  return { source: `10.0.0.${station + 2}`, port: FIRST_PORT + (number % PORTS), destination: `203.0.${host >> 8}.${host & 255}` }
}

/** Headers of flows as they are sent, from inside or as answers. */
function headersOf(flows: number, isInside: boolean): Int32Array {
  const bytes = new Uint8Array(flows * HEADER_WORDS * 4)
  for (let number = 0; number < flows; number++) writeHeader(number, isInside, bytes, number * HEADER_WORDS * 4)
  return new Int32Array(bytes.buffer)
}

function writeHeader(number: number, isInside: boolean, bytes: Uint8Array, at: number): void {
  const { source, port, destination } = flowAt(number)
  const mac = GATEWAY_MACS[isInside ? 0 : 1]
  const payload = new Uint8Array(22)
  emitEthernet({ source: '02:cc:00:00:00:99', destination: mac, type: 0x0800 }, bytes, at)
  const ends = isInside ? { source, destination } : { source: destination, destination: OUTSIDE }
  emitIpv4({ ...ends, protocol: 17, payloadLength: 30, id: number & 0xffff }, bytes, at + 14)
  const ports = isInside ? { sourcePort: port, destinationPort: 9 } : { sourcePort: 9, destinationPort: port }
  emitUdp({ ...ports, payload }, bytes, at + 34, at + 14)
}
