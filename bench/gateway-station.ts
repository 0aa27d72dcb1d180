/**
 * A side of the gateway benchmark: source and sink in one element. Sends the header of one flow after the other, 64 bytes each.
 *
 *   pull   allocates a batch, copies headers into it, enters and transmits it
 *   push   frees what arrives; answers ARP for every address until it is told that the neighbors are known
 */
import type { Element, ElementContext, ElementType } from '../src/engine/element.ts'
import type { FramePool } from '../src/engine/frame-pool.ts'
import { DelayLine } from './traffic-station.ts'

export const HEADER_WORDS = 16
const FRONT_WORDS = 4
const REST_WORDS = 8
const BATCH = 64
const ARP_WORD = 0x0608
/** EtherType and the first halves of the header, as a little-endian machine has them in word 3. */
const TYPE_MASK = 0xffff

export class GatewayStation implements Element {
  received = 0
  line: DelayLine
  /** The first FRONT_WORDS words of headers, MACs and EtherType: once where all flows have the same, else of each flow. */
  private fronts = new Int32Array(FRONT_WORDS)
  /** REST_WORDS words behind them for each flow: what a sender keeps of its flows should fit into the cache beside what is measured. */
  private rests = new Int32Array(0)
  /** Frames for flows that never were: their headers are made by this, from a number that goes up. */
  makeNew: ((number: number, words: Int32Array, at: number) => void) | null = null
  /** How many frames of each batch are such ones. */
  newPerBatch = 0
  /** Flows that were begun. */
  begun = 0
  isSending = false
  answersArp = true
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly batch = new Int32Array(BATCH)
  private readonly arrived = new Int32Array(256)
  private next = 0

  constructor(context: ElementContext) {
    this.context = context
    this.frames = context.frames
    this.line = new DelayLine(context.frames, 0)
  }

  /** What it sends in turn: HEADER_WORDS words for each flow, as a frame has them. */
  set flows(headers: Int32Array) {
    const count = headers.length / HEADER_WORDS
    this.rests = new Int32Array(count * REST_WORDS)
    this.fronts = new Int32Array(count * FRONT_WORDS)
    for (let flow = 0; flow < count; flow++) {
      const from = flow * HEADER_WORDS
      this.fronts.set(headers.subarray(from, from + FRONT_WORDS), flow * FRONT_WORDS)
      this.rests.set(headers.subarray(from + FRONT_WORDS, from + FRONT_WORDS + REST_WORDS), flow * REST_WORDS)
    }
    if (this.fronts.every((word, i) => word === this.fronts[i % FRONT_WORDS])) this.fronts = this.fronts.slice(0, FRONT_WORDS)
    this.next = 0
  }

  pull(): boolean {
    if (!this.isSending) return false
    const { batch, context, frames } = this
    const count = frames.allocateAll(batch, BATCH, HEADER_WORDS * 4)
    const fresh = this.makeNew === null ? 0 : Math.min(count, this.newPerBatch)
    this.writeNew(fresh)
    this.writeKnown(fresh, count)
    context.enterAll(batch, count)
    context.ports[0]!.tx.transmitAll(batch, count)
    return true
  }

  private writeNew(count: number): void {
    const { batch, frames, makeNew } = this
    for (let i = 0; i < count; i++) makeNew!(this.begun++, frames.words(batch[i]), frames.start[batch[i]] >> 2)
  }

  /** Headers of flows in turn. */
  private writeKnown(from: number, count: number): void {
    const { batch, frames, fronts, rests } = this
    const { start } = frames
    const isCommon = fronts.length === FRONT_WORDS
    let at = this.next | 0
    for (let i = from | 0; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const words = frames.words(frame)
      const to = start[frame] >> 2
      const front = isCommon ? 0 : at >> 1
      words[to] = fronts[front]
      words[(to + 1) | 0] = fronts[(front + 1) | 0]
      words[(to + 2) | 0] = fronts[(front + 2) | 0]
      words[(to + 3) | 0] = fronts[(front + 3) | 0]
      words[(to + 4) | 0] = rests[at]
      words[(to + 5) | 0] = rests[(at + 1) | 0]
      words[(to + 6) | 0] = rests[(at + 2) | 0]
      words[(to + 7) | 0] = rests[(at + 3) | 0]
      words[(to + 8) | 0] = rests[(at + 4) | 0]
      words[(to + 9) | 0] = rests[(at + 5) | 0]
      words[(to + 10) | 0] = rests[(at + 6) | 0]
      words[(to + 11) | 0] = rests[(at + 7) | 0]
      at = (at + REST_WORDS) | 0
      if (at >= rests.length) at = 0
    }
    this.next = at
  }

  push(): void {
    const { context, arrived } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        const got = rx.receiveAll(arrived)
        this.take(got)
      }
    }
  }

  private take(count: number): void {
    const { arrived, frames, line } = this
    if (!this.answersArp) {
      line.endAll(arrived, count)
      this.received += count
      return
    }
    for (let i = 0; i < count; i++) {
      const frame = arrived[i]
      if ((frames.words(frame)[(frames.start[frame] >> 2) + 3] & TYPE_MASK) === ARP_WORD) this.answer(frame)
      else {
        frames.free(frame)
        this.received++
      }
    }
  }

  /** Says that the asked address is here, under a MAC that has the address in it. */
  private answer(frame: number): void {
    const { frames, context } = this
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const asked = bytes.slice(at + 38, at + 42)
    bytes.copyWithin(at, at + 6, at + 12)
    bytes.copyWithin(at + 32, at + 22, at + 32)
    bytes.set([0, 2], at + 20)
    for (const place of [at + 6, at + 22]) bytes.set([0x02, 0xcc, ...asked], place)
    bytes.set(asked, at + 28)
    context.enter(frame)
    context.transmit(0, frame)
  }
}

export function gatewayStations(): { type: ElementType; stations: GatewayStation[] } {
  const stations: GatewayStation[] = []
  return {
    stations,
    type: {
      type: 'gateway-station',
      maxPorts: 1,
      counters: [],
      create(context) {
        const station = new GatewayStation(context)
        stations.push(station)
        return station
      }
    }
  }
}
