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

/** IEEE 802 local experimental EtherType 1, and two bytes of payload. */
const typeAndPayload = 0x88b50000 | 0
/** What V8 makes has the constants of this module in it, those that it imports are looked up at every use. */
const stationHi = STATION_MAC_HI

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
    const { frames, context, batch } = this
    const count = frames.allocateAll(batch, batch.length, this.lengths[0])
    if (this.lengths.length > 1) this.mixLengths(count)
    if (this.options.flood) this.address(count, true, 0xffff, -1)
    else this.address(count, false, stationHi, 0)
    context.enterAll(batch, count)
    context.ports[0]!.tx.transmitAll(batch, count)
    return true
  }

  /** Writes Ethernet headers: to the one destination, or to stations of other ports in long strides. */
  private address(count: number, toOne: boolean, hi: number, low: number): void {
    const { batch, frames, stride } = this
    const { macs, port, ports } = this.options
    const { start } = frames
    let { source, destination } = this
    for (let i = 0; i < count; i++) {
      const frame = batch[i]
      const view = frames.view(frame)
      const at = start[frame]
      if (!toOne) {
        destination += stride
        if (destination >= macs) destination -= macs
        if ((destination & (ports - 1)) === port) destination = destination + 1 === macs ? 0 : destination + 1
        low = macLow(destination)
      }
      view.setInt32(at, (hi << 16) | (low >>> 16))
      view.setInt32(at + 4, (low << 16) | stationHi)
      view.setInt32(at + 8, macLow(source))
      view.setInt32(at + 12, typeAndPayload)
      source += ports
      if (source >= macs) source = port
    }
    this.source = source
    this.destination = destination
  }

  private mixLengths(count: number): void {
    const { batch, frames, lengths } = this
    for (let i = 0; i < count; i++) {
      frames.length[batch[i]] = lengths[this.nextLength]
      if (++this.nextLength === lengths.length) this.nextLength = 0
    }
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
