/**
 * A station of the datapath benchmark: source and sink in one element, one per port of the bridge.
 *
 *   pull   allocates `batch` frames from the pool, writes the Ethernet header, enters and transmits them
 *   push   takes what arrives and gives it to the delay line, which frees it
 *
 * What a device would do for a frame is done here (allocate, enter, header bytes); the payload is not touched, as a device
 * has it written by the kernel.
 */
import type { Element, ElementContext, ElementType } from '../src/engine/element.ts'
import type { FrameHandle, FramePool } from '../src/engine/frame-pool.ts'
import { macLow, STATION_MAC_HI } from './station-mac.ts'

const ETHERTYPE = 0x88b5

/**
 * Where frames end. `depth` 0 frees at once: the pool's natural order, last in, first out. Otherwise a frame waits behind
 * `depth` others, so the pool hands out the slot that was used longest ago: a working set of depth slots, first in, first out.
 */
export class DelayLine {
  private readonly frames: FramePool
  private readonly ring: Int32Array
  private readonly depth: number
  private at = 0
  private filled = 0

  constructor(frames: FramePool, depth: number) {
    this.frames = frames
    this.depth = depth
    this.ring = new Int32Array(depth)
  }

  end(frame: FrameHandle): void {
    if (this.depth === 0) return this.frames.free(frame)
    const at = this.at
    const oldest = this.ring[at]
    this.ring[at] = frame
    this.at = at + 1 === this.depth ? 0 : at + 1
    if (this.filled === this.depth) this.frames.free(oldest)
    else this.filled++
  }
}

export interface StationOptions {
  /** Which port of the bridge this is; its MACs are those with `number % ports === port`. */
  readonly port: number
  /** A power of two. */
  readonly ports: number
  /** MACs in the whole domain. */
  readonly macs: number
  /** Frame lengths in turn, bytes. */
  readonly lengths: readonly number[]
  /** Frames per pull. */
  readonly batch: number
  /** Send to broadcast instead of a station. */
  readonly flood: boolean
}

export class TrafficStation implements Element {
  received = 0
  line: DelayLine
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly options: StationOptions
  private readonly lengths: Int32Array
  private readonly batch: Int32Array
  private nextLength = 0
  private source: number
  private destination: number
  private readonly stride: number

  constructor(context: ElementContext, options: StationOptions) {
    this.context = context
    this.frames = context.frames
    this.options = options
    this.lengths = Int32Array.from(options.lengths)
    this.batch = new Int32Array(options.batch)
    this.source = options.port
    this.destination = (options.port * 31) % options.macs
    this.stride = 7919 % options.macs
    this.line = new DelayLine(context.frames, 0)
  }

  pull(): boolean {
    const { frames, context, options, lengths, batch } = this
    const { flood, ports, macs } = options
    const count = batch.length
    for (let i = 0; i < count; i++) {
      const frame = frames.allocate(lengths[this.nextLength])
      if (++this.nextLength === lengths.length) this.nextLength = 0
      const view = frames.view(frame)
      const at = frames.start[frame]
      const to = flood ? -1 : macLow(this.pickDestination())
      const toHi = flood ? 0xffff : STATION_MAC_HI
      // Destination 48 bits, source 48 bits, type 16 bits, two bytes of payload.
      view.setInt32(at, (toHi << 16) | (to >>> 16))
      view.setInt32(at + 4, (to << 16) | STATION_MAC_HI)
      view.setInt32(at + 8, macLow(this.source))
      view.setInt32(at + 12, ETHERTYPE << 16)
      this.source += ports
      if (this.source >= macs) this.source = options.port
      batch[i] = frame
    }
    context.enterAll(batch, count)
    context.ports[0]!.tx.transmitAll(batch, count)
    return true
  }

  /** Strides through all MACs of other ports. */
  private pickDestination(): number {
    const { macs, port, ports } = this.options
    let next = this.destination + this.stride
    if (next >= macs) next -= macs
    if ((next & (ports - 1)) === port) next = next + 1 === macs ? 0 : next + 1
    return (this.destination = next)
  }

  push(): void {
    const { context, line } = this
    let count = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        line.end(rx.receive())
        count++
      }
    }
    this.received += count
    context.counters[0] += count
  }
}

/** The type, and what it made. */
export function trafficStations(): { type: ElementType<StationOptions>; stations: TrafficStation[] } {
  const stations: TrafficStation[] = []
  return {
    stations,
    type: {
      type: 'station',
      maxPorts: 1,
      counters: ['received'],
      create(context, options) {
        const station = new TrafficStation(context, options)
        stations.push(station)
        return station
      }
    }
  }
}
