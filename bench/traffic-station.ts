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
import type { FramePool } from '../src/engine/frame-pool.ts'
import { STATION_MAC_HI } from './station-mac.ts'

// The words of a header as this machine (little endian) has them: MAC numbers and fields with their bytes in the frame's order.
/** IEEE 802 local experimental EtherType 1, and two bytes of payload. */
const typeAndPayload = 0x0000b588
/** What V8 makes has the constants of this module in it, those that it imports are looked up at every use. */
const stationHi = ((STATION_MAC_HI & 0xff) << 8) | (STATION_MAC_HI >>> 8)

/** The last 32 bits of station `number`'s MAC as a word; looks random, as `macLow` does. */
function macWord(number: number): number {
  const mixed = Math.imul((number + 1) | 0, 0x85ebca6b | 0)
  return mixed ^ (mixed >>> 16)
}

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

  /** Takes `frames[0..count-1]`; the array is written to. */
  endAll(frames: Int32Array, count: number): void {
    const { ring, depth } = this
    let due = count
    if (this.filled < depth) due = Math.max(0, this.filled + count - depth)
    if (depth > 0) {
      let at = this.at
      for (let i = 0; i < count; i++) {
        const oldest = ring[at]
        ring[at] = frames[i]
        // Until the line is full nothing falls out of it: those that do are the last of the batch.
        if (i >= count - due) frames[i - count + due] = oldest
        at = at + 1 === depth ? 0 : at + 1
      }
      this.at = at
      this.filled = Math.min(depth, this.filled + count)
    }
    this.frames.freeAll(frames, due)
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
  /** IPv4 headers behind the MACs: station N is 10.0.0.N. 'common': all have the MAC of station 0. Default: none. */
  readonly ip?: 'own' | 'common'
}

/** The MAC that `addressToStations` writes for a station, as text. */
export function stationMac(number: number): string {
  const low = macWord(number)
  const bytes = [stationHi & 0xff, stationHi >>> 8, low & 0xff, (low >>> 8) & 0xff, (low >>> 16) & 0xff, low >>> 24]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

export class TrafficStation implements Element {
  received = 0
  line: DelayLine
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly options: StationOptions
  private readonly lengths: Int32Array
  private readonly batch: Int32Array
  private readonly arrived = new Int32Array(256)
  private nextLength = 0
  private source: number
  private destination: number
  private readonly stride: number
  private ipDestination = 0

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
    if (this.options.flood) this.addressToAll(count)
    else this.addressToStations(count)
    if (this.options.ip !== undefined) this.addIp(count)
    context.enterAll(batch, count)
    context.ports[0]!.tx.transmitAll(batch, count)
    return true
  }

  /** Writes Ethernet headers for stations of other ports, in long strides. */
  private addressToStations(count: number): void {
    const { batch, frames } = this
    const macs = this.options.macs | 0
    const port = this.options.port | 0
    const ports = this.options.ports | 0
    const stride = this.stride | 0
    const { start } = frames
    let source = this.source | 0
    let destination = this.destination | 0
    for (let i = 0; i < count; i++) {
      destination = (destination + stride) | 0
      if (destination >= macs) destination = (destination - macs) | 0
      if ((destination & (ports - 1)) === port) destination = destination + 1 === macs ? 0 : (destination + 1) | 0
      const frame = batch[i]
      const at = start[frame] >> 2
      const words = frames.words(frame)
      const low = macWord(destination)
      words[at] = stationHi | (low << 16)
      words[(at + 1) | 0] = (low >>> 16) | (stationHi << 16)
      words[(at + 2) | 0] = macWord(source)
      words[(at + 3) | 0] = typeAndPayload
      source = (source + ports) | 0
      if (source >= macs) source = port
    }
    this.source = source
    this.destination = destination
  }

  /** Turns what `addressToStations` wrote into packets of 50 bytes; one station a port. */
  private addIp(count: number): void {
    const { batch, frames } = this
    const { macs, port, ip } = this.options
    const { start } = frames
    const common = macWord(0)
    let destination = this.ipDestination
    for (let i = 0; i < count; i++) {
      destination = destination + 1 === macs ? 0 : destination + 1
      if (destination === port) destination = destination + 1 === macs ? 0 : destination + 1
      const at = start[batch[i]] >> 2
      const words = frames.words(batch[i])
      const low = ip === 'common' ? common : macWord(destination)
      words[at] = stationHi | (low << 16)
      words[(at + 1) | 0] = (low >>> 16) | (stationHi << 16)
      if (ip === 'common') words[(at + 2) | 0] = common
      words[(at + 3) | 0] = 0x00450008
      words[(at + 4) | 0] = 0x00003200
      words[(at + 5) | 0] = 0x0040fd40
      words[(at + 6) | 0] = 0x000a0000
      words[(at + 7) | 0] = (port << 8) | 0x000a0000
      words[(at + 8) | 0] = destination << 8
    }
    this.ipDestination = destination
  }

  /** Broadcasts, from each station in turn. */
  private addressToAll(count: number): void {
    const { batch, frames } = this
    const { macs, port, ports } = this.options
    for (let i = 0; i < count; i++) {
      const frame = batch[i]
      const words = frames.words(frame)
      const at = frames.start[frame] >> 2
      words[at] = -1
      words[at + 1] = 0xffff | (stationHi << 16)
      words[at + 2] = macWord(this.source)
      words[at + 3] = typeAndPayload
      this.source += ports
      if (this.source >= macs) this.source = port
    }
  }

  private mixLengths(count: number): void {
    const { batch, frames, lengths } = this
    for (let i = 0; i < count; i++) {
      frames.length[batch[i]] = lengths[this.nextLength]
      if (++this.nextLength === lengths.length) this.nextLength = 0
    }
  }

  push(): void {
    const { context, line, arrived } = this
    let count = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const got = rx.receiveAll(arrived)
        line.endAll(arrived, got)
        count += got
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
