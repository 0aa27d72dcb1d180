/**
 * Trials of the VTEP in memory: two of them with a link between, production classes throughout.
 *
 *   left station -- vxlan -- vxlan -- right station
 *
 * All frames are UDP, 64 bytes, in both directions; each is encapsulated and decapsulated once. Flow N goes to MAC N modulo `macs`
 * of the other side.
 */
import { setImmediate as nextTick } from 'node:timers/promises'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { VxlanOptions } from '../../src/elements/vxlan/vxlan-options.ts'
import { RealClock } from '../../src/engine/clock.ts'
import { readCounters } from '../../src/engine/counters.ts'
import { ElementRegistry, type ElementType } from '../../src/engine/element.ts'
import { Engine } from '../../src/engine/engine.ts'
import { SMALL_SLOT } from '../../src/engine/frame-pool.ts'
import { formatIpv4, formatMac } from '../../src/wire/address.ts'
import { emitEthernet } from '../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../src/wire/ipv4.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { gatewayStations, HEADER_WORDS } from '../gateway-station.ts'
import { DelayLine } from '../traffic-station.ts'

const VNI = 256
const SIDES = [0, 1] as const
const VTEPS = { 4: ['192.0.2.50', '192.0.2.51'], 6: ['2001:db8::50', '2001:db8::51'] } as const

export interface OverlayOptions {
  readonly flows: number
  /** Endpoints of each side. */
  readonly macs: number
  readonly underlay: 4 | 6
  /** False: the stations are joined without VTEPs. */
  readonly tunnel: boolean
  readonly workingSet: number
  readonly frames: number
}

export interface OverlayResult {
  readonly mpps: number
  readonly nsPerFrame: number
  /** What the process itself took, nanoseconds a frame: on a busy machine the better figure. */
  readonly cpuPerFrame: number
  readonly heapPerMillion: number
}

export async function runOverlay(options: OverlayOptions): Promise<OverlayResult> {
  const { type, stations } = gatewayStations()
  const elements = new ElementRegistry().register(vxlanType).register(type as ElementType<never>)
  const engine = new Engine({ clock: new RealClock(), elements })
  const ends = { left: { type: 'gateway-station' }, right: { type: 'gateway-station' } }
  if (options.tunnel) {
    const vteps = SIDES.map((side) => ({ type: 'vxlan', options: vtepOptions(side, options) }))
    engine.configure({
      elements: { ...ends, leftVtep: vteps[0], rightVtep: vteps[1] },
      links: [
        { a: ['left', 0], b: ['leftVtep', 1] },
        { a: ['leftVtep', 0], b: ['rightVtep', 0] },
        { a: ['rightVtep', 1], b: ['right', 0] }
      ]
    })
  } else engine.configure({ elements: ends, links: [{ a: ['left', 0], b: ['right', 0] }] })
  for (const side of SIDES) {
    stations[side].line = new DelayLine(engine.frames, Math.ceil(options.workingSet / SMALL_SLOT))
    stations[side].flows = headersOf(side, options)
    stations[side].answersArp = false
    stations[side].isSending = true
  }
  const received = () => stations.reduce((sum, station) => sum + station.received, 0)
  const runUntil = (count: number) => {
    while (received() < count) for (let i = 0; i < 16; i++) engine.turn()
  }
  for (const part of [1, 2, 3]) runUntil((options.frames * part) / 3)
  globalThis.gc?.()
  await nextTick()
  const before = received()
  const heap = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  runUntil(before + options.frames)
  const elapsed = Number(process.hrtime.bigint() - start)
  const { user, system } = process.cpuUsage(cpu)
  const frames = received() - before
  const heapPerMillion = ((process.memoryUsage().heapUsed - heap) / frames) * 1e6
  if (options.tunnel) checkTraffic(engine)
  return { mpps: (frames / elapsed) * 1e3, nsPerFrame: elapsed / frames, cpuPerFrame: ((user + system) * 1e3) / frames, heapPerMillion }
}

/** A figure counts only when the traffic went where it should. */
function checkTraffic(engine: Engine): void {
  for (const [name, { drops }] of readCounters(engine.counters.layout())) {
    if (Object.keys(drops).length > 0) throw new Error(`${name} dropped frames: ${JSON.stringify(drops)}`)
  }
}

function vtepOptions(side: 0 | 1, { underlay, macs }: OverlayOptions): VxlanOptions {
  const other = VTEPS[underlay][1 - side]
  return {
    addresses: [VTEPS[underlay][side]],
    mac: `02:cc:00:00:01:0${side}`,
    nextHopMac: `02:cc:00:00:01:0${1 - side}`,
    segments: { [VNI]: { port: 1 } },
    peers: Object.fromEntries(Array.from({ length: macs }, (_, number) => [`${VNI}/${macOf(1 - side, number)}`, { vtep: other }]))
  }
}

function macOf(side: number, number: number): string {
  return formatMac({ hi: 0x02cc, lo: ((side << 24) | number) ^ 0x5a5a })
}

/** Headers as `side` sends them, HEADER_WORDS words for each flow. */
function headersOf(side: 0 | 1, { flows, macs }: OverlayOptions): Int32Array {
  const bytes = new Uint8Array(flows * HEADER_WORDS * 4)
  for (let flow = 0; flow < flows; flow++) {
    const at = flow * HEADER_WORDS * 4
    const number = flow % macs
    emitEthernet({ source: macOf(side, number), destination: macOf(1 - side, number), type: 0x0800 }, bytes, at)
    const [source, destination] = [side, 1 - side].map((each) => formatIpv4(0x0a000000 | (each << 16) | number))
    emitIpv4({ source, destination, protocol: 17, payloadLength: 30, id: flow & 0xffff }, bytes, at + 14)
    emitUdp({ sourcePort: 1024 + (flow % 60_000), destinationPort: 9, payload: new Uint8Array(22) }, bytes, at + 34, at + 14)
  }
  return new Int32Array(bytes.buffer)
}
