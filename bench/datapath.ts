/**
 * One trial of the datapath: 16 stations on a bridge, production classes throughout, as fast as one core goes.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTick } from 'node:timers/promises'
import { learningBridge } from '../src/elements/bridge/learning-bridge.ts'
import { ipvlanType } from '../src/elements/ipvlan/ipvlan.ts'
import { macvlanType } from '../src/elements/macvlan/macvlan.ts'
import { RealClock } from '../src/engine/clock.ts'
import { readCounters } from '../src/engine/counters.ts'
import { ElementRegistry } from '../src/engine/element.ts'
import { Engine } from '../src/engine/engine.ts'
import { SMALL_SLOT } from '../src/engine/frame-pool.ts'
import { DelayLine, stationMac, trafficStations } from './traffic-station.ts'

export interface DatapathOptions {
  readonly lengths: readonly number[]
  readonly macs: number
  readonly flood: boolean
  /** False: the stations are joined in pairs, with no bridge between them. */
  readonly bridge: boolean
  /** What joins the stations in place of a bridge; with one MAC a port. */
  readonly fabric?: 'bridge' | 'macvlan' | 'ipvlan'
  /** Frames with IPv4 headers. */
  readonly ip?: boolean
  /** Bytes of frame slots that are gone through before one is used again; 0: the pool's own order. */
  readonly workingSet: number
  /** Frames delivered in the measured part and in the warm-up before it. */
  readonly frames: number
}

export interface DatapathResult {
  readonly mpps: number
  readonly nsPerFrame: number
  /** Bytes that the heap grew per million frames, garbage included. */
  readonly heapPerMillion: number
  /** The same after a collection: what is kept. */
  readonly keptPerMillion: number
  readonly collections: number
}

export const PORTS = 16
const BATCH = 64
/** Of macvlan and ipvlan: ports below are the parent's. */
const FIRST_CHILD = 2
/** Each becomes 15 frames, and all must fit the links. */
const FLOOD_BATCH = 4

export async function runDatapath(options: DatapathOptions): Promise<DatapathResult> {
  const { type, stations } = trafficStations()
  const engine = new Engine({
    clock: new RealClock(),
    elements: new ElementRegistry().register(learningBridge).register(macvlanType).register(ipvlanType).register(type)
  })
  const numbers = Array.from({ length: PORTS }, (_, port) => port)
  const { lengths, macs, flood, bridge, fabric = 'bridge' } = options
  const ip = options.ip === true ? { ip: fabric === 'ipvlan' ? ('common' as const) : ('own' as const) } : {}
  const stationOptions = (port: number) => ({ port, ports: PORTS, macs, lengths, batch: flood ? FLOOD_BATCH : BATCH, flood, ...ip })
  const first = fabric === 'bridge' ? 0 : FIRST_CHILD
  engine.configure({
    elements: {
      ...(bridge ? { bridge: { type: fabric, options: fabric === 'ipvlan' ? { mac: stationMac(0) } : {} } } : {}),
      ...Object.fromEntries(numbers.map((port) => [`station${port}`, { type: 'station', options: stationOptions(port) }]))
    },
    links: bridge
      ? numbers.map((port) => ({ a: ['bridge', port + first], b: [`station${port}`, 0] }))
      : numbers.filter((port) => port % 2 === 0).map((port) => ({ a: [`station${port}`, 0], b: [`station${port + 1}`, 0] }))
  })
  if (fabric !== 'bridge') {
    const children = numbers.map((port) => [port + first, fabric === 'macvlan' ? stationMac(port) : [`10.0.0.${port}`]])
    engine.patch({ updates: [{ element: 'bridge', change: { children: Object.fromEntries(children) } }] })
  }
  const line = new DelayLine(engine.frames, Math.ceil(options.workingSet / SMALL_SLOT))
  for (const station of stations) station.line = line
  const delivered = () => stations.reduce((sum, station) => sum + station.received, 0)
  const runUntil = (count: number) => {
    while (delivered() < count) for (let i = 0; i < 16; i++) engine.turn()
  }

  // Warm-up: the same traffic, in three parts, so that the JIT sees the loop end; every MAC has sent by then.
  const warm = Math.max(options.frames, options.macs * 4)
  for (const part of [1, 2, 3]) runUntil((warm * part) / 3)

  globalThis.gc?.()
  await nextTick()
  let collections = 0
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  const before = delivered()
  const heapBefore = process.memoryUsage().heapUsed
  const start = process.hrtime.bigint()
  runUntil(before + options.frames)
  const elapsed = Number(process.hrtime.bigint() - start)
  const heapAfter = process.memoryUsage().heapUsed
  const frames = delivered() - before
  // The observer hears of collections when the event loop turns.
  await nextTick()
  await nextTick()
  observer.disconnect()
  globalThis.gc?.()
  const heapKept = process.memoryUsage().heapUsed

  if (bridge) checkTraffic(engine, options)
  return {
    mpps: (frames / elapsed) * 1e3,
    nsPerFrame: elapsed / frames,
    heapPerMillion: ((heapAfter - heapBefore) / frames) * 1e6,
    keptPerMillion: (Math.max(0, heapKept - heapBefore) / frames) * 1e6,
    collections
  }
}

/** A figure counts only when the traffic went where it should. */
function checkTraffic(engine: Engine, { flood, macs, fabric = 'bridge' }: DatapathOptions): void {
  const { counters, drops } = readCounters(engine.counters.layout()).get('bridge')!
  if (Object.keys(drops).length > 0) throw new Error(`the bridge dropped frames: ${JSON.stringify(drops)}`)
  // Until a station is learned, frames for it are flooded.
  const strays = flood ? counters['forwarded'] : counters['flooded'] - (fabric === 'bridge' ? Math.max(macs, BATCH) * PORTS : 0)
  if (strays > 0) throw new Error(`frames did not go where they should: ${JSON.stringify(counters)}`)
}
