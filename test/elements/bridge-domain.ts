/**
 * A layer-2 domain under test, whatever it is made of: one bridge, two joined by a tunnel, a parent with children.
 *
 *   const domain = new BridgeDomain(kind, 4)       // a test port on each of four edges
 *   domain.send(0, testFrame(BROADCAST, station(1)))  // [1, 2, 3]: who got it
 *   domain.checkBooks()
 *
 * Elements that copy frames count them in a counter named `copies`.
 */
import assert from 'node:assert/strict'
import type { ElementType } from '../../src/engine/element.ts'
import type { FramePoolOptions } from '../../src/engine/frame-pool.ts'
import type { ElementUpdate, TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { TestBench } from '../engine/test-bench.ts'
import type { ArrivedFrame, TestFrameFields } from '../engine/test-elements.ts'

export interface BridgeDomainOptions {
  /** Seconds. */
  readonly ageing: number
  readonly fdbCapacity: number
}

export interface BridgeDomainParts {
  readonly elements: Readonly<Record<string, TopologyElement>>
  /** Links inside the domain. */
  readonly links: readonly TopologyLink[]
  /** Where stations attach. */
  readonly edges: readonly (readonly [element: string, port: number])[]
  /** What elements are told once they stand: who is where. */
  readonly updates?: readonly ElementUpdate[]
}

/**
 * What not every domain has. A test that needs it is left out where it is lacking; the suite's title says why.
 *
 * `learning`  who is where is heard from their frames, and what nobody was heard of is flooded; else it is told
 * `ownMacs`   a station is known by its MAC, whatever its frames carry; else by its address, under one MAC for all
 * `oneTable`  one table for all ports; of several one may still flood for a station that another has learned
 * `inside`    frames never leave the engine: super-frames stay whole, and no device asks the pool for a slot
 */
export type Capability = 'learning' | 'ownMacs' | 'oneTable' | 'inside'

/** Frames of stations: station N is at port N. Each of `length` bytes; `fill` tells it from others. */
export interface StationFrames {
  unicast(from: number, to: number, length?: number, fill?: number): Uint8Array
  /** To all. */
  broadcast(from: number, length?: number, fill?: number): Uint8Array
  /** To a group (IPv4 multicast). */
  multicast(from: number): Uint8Array
}

export interface BridgeDomainKind {
  readonly types: readonly ElementType<never>[]
  build(ports: number, options: BridgeDomainOptions): BridgeDomainParts
  /** By what is lacking: why. */
  readonly lacks?: Readonly<Partial<Record<Capability, string>>>
  /** Default: station N has the MAC `station(N + 1)`. */
  readonly frames?: StationFrames
  /** Bytes that the domain adds to a frame inside: the longest frame is shorter by them. Default 0. */
  readonly overhead?: number
}

/** Whether a domain has all of these. */
export function has(kind: BridgeDomainKind, ...needs: readonly Capability[]): boolean {
  return needs.every((need) => kind.lacks?.[need] === undefined)
}

/** Turns that a frame which leaves and comes in again may take. */
const OUTSIDE_TURNS = 6
/** Milliseconds for one that the kernel hands over in its own time, as it does on a busy machine. */
const OUTSIDE_PATIENCE = 2000
const IDLE = new Int32Array(new SharedArrayBuffer(4))

export const BROADCAST = 'ff:ff:ff:ff:ff:ff'
/** Of learned stations, seconds. */
export const AGEING = 300

/** Readable addresses: station 7 is 02:cc:00:00:00:07. */
export function station(number: number): string {
  const digits = number.toString(16).padStart(8, '0')
  return `02:cc:${digits.match(/../g)!.join(':')}`
}

/** A frame of an experimental EtherType (IEEE 802 local experimental 1) with a payload that tells it from others. */
export function testFrame(destination: string, source: string, length = 60, fill = 0xa5): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill)
  const header = [...destination.split(':'), ...source.split(':'), '88', 'b5'].map((digits) => Number.parseInt(digits, 16))
  bytes.set(header.slice(0, length))
  return bytes
}

/** Station N has the MAC station(N + 1). */
export const framesByMac: StationFrames = {
  unicast: (from, to, length = 60, fill = 0) => testFrame(station(to + 1), station(from + 1), length, fill),
  broadcast: (from, length = 60, fill = 0) => testFrame(BROADCAST, station(from + 1), length, fill),
  multicast: (from) => testFrame('01:00:5e:00:00:fb', station(from + 1))
}

export class BridgeDomain {
  readonly bench: TestBench
  private readonly kind: BridgeDomainKind
  private readonly ports: number
  private readonly parts: BridgeDomainParts
  private sent = 0
  private arrived = 0
  /** Frames that never came in again. */
  private gone = 0

  constructor(kind: BridgeDomainKind, ports: number, options: Partial<BridgeDomainOptions> = {}, pool: FramePoolOptions = {}) {
    this.bench = new TestBench({ types: kind.types, pool })
    this.kind = kind
    this.ports = ports
    this.parts = kind.build(ports, { ageing: AGEING, fdbCapacity: 1024, ...options })
    this.connect(Array.from({ length: ports }, (_, port) => port))
  }

  /** Has test ports on these edges only. */
  connect(numbers: readonly number[]): void {
    const elements: Record<string, TopologyElement> = { ...this.parts.elements }
    const links = [...this.parts.links]
    for (const number of numbers) {
      elements[`p${number}`] = { type: 'test-port' }
      links.push({ a: [`p${number}`, 0], b: this.parts.edges[number] })
    }
    this.bench.configure(elements, links)
    this.bench.engine.patch({ updates: this.parts.updates })
  }

  /** Sends a frame in by a port and says who got what: ports by number, only those that got frames. */
  send(port: number, bytes: Uint8Array, fields: TestFrameFields = {}): number[] {
    return [...this.deliver(port, bytes, fields).keys()]
  }

  /** The same with the frames that came. */
  deliver(port: number, bytes: Uint8Array, fields: TestFrameFields = {}): Map<number, ArrivedFrame[]> {
    this.inject(port, bytes, fields)
    this.run()
    const result = new Map<number, ArrivedFrame[]>()
    for (let number = 0; number < this.ports; number++) {
      const arrived = this.take(number)
      if (arrived.length > 0) result.set(number, arrived)
    }
    return result
  }

  /** Puts a frame before a port, for `run`. */
  inject(port: number, bytes: Uint8Array, fields: TestFrameFields = {}): void {
    this.bench.port(`p${port}`).send(bytes, fields)
    this.sent++
  }

  run(): void {
    this.bench.run()
    if (!this.isOutside) return
    for (let turn = 0; turn < OUTSIDE_TURNS; turn++) this.bench.run()
    for (let waited = 0; this.outside > this.gone && waited < OUTSIDE_PATIENCE; waited++) {
      Atomics.wait(IDLE, 0, 0, 1)
      this.bench.run()
    }
    this.gone = this.outside
  }

  /** What came to a port since the last time. */
  take(port: number): ArrivedFrame[] {
    const to = this.bench.elements.ports.get(`p${port}`)
    const { arrived = [] } = to ?? {}
    if (to !== undefined) to.arrived = []
    this.arrived += arrived.length
    return arrived
  }

  /** Drops of all elements with this reason. */
  drops(reason: string): number {
    return this.bench.total(({ drops }) => drops[reason] ?? 0)
  }

  get allDrops(): number {
    return this.bench.total(({ drops }) => Object.values(drops).reduce((sum, count) => sum + count, 0))
  }

  /** Frames in + copies = frames out + drops, and nothing is held. */
  checkBooks(): void {
    const copies = this.bench.total(({ counters }) => counters['copies'] ?? 0)
    assert.equal(this.sent + copies, this.arrived + this.allDrops, 'frames in + copies = frames out + drops')
    assert.equal(this.bench.engine.frames.inUse, 0, 'no frame is held')
    if (this.isOutside) this.bench.engine.close()
  }

  /** Frames that devices have sent and that none has received. */
  private get outside(): number {
    return this.bench.total(({ counters }) => (counters['txFrames'] ?? 0) - (counters['rxFrames'] ?? 0))
  }

  private get isOutside(): boolean {
    return this.kind.lacks?.inside !== undefined
  }
}
