/**
 * Who has which MAC, and the packets that wait to know it: RFC 826 for IPv4, RFC 4861 section 7 for IPv6.
 *
 *   incomplete --answer--> reachable --60 s--> stale --used--> probing --answer--> reachable
 *        |                                                        |
 *        +------------- 3 requests, 1 s apart, no answer ---------+--> gone; what waits is dropped and its sender told
 */
import type { ElementContext } from '../engine/element.ts'
import type { FrameHandle } from '../engine/frame-pool.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { MAC_BROADCAST, type Mac } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import { setMac } from '../wire/ethernet.ts'
import { addressEquals } from './ip-packet.ts'
import { StackDrop } from './stack-drop.ts'

/** Told once: null, the packet went out; or why it did not. */
export type Sent = (error: Error | null) => void

/** Neighbors that a host remembers (Linux: gc_thresh3). */
export const NEIGHBORS_MAX = 1024
const REACHABLE_NS = 60e9
const RETRANSMIT_NS = 1e9
const REQUESTS = 3
/** Frames per neighbor: the fragments of one 64 KiB datagram at an MTU of 576 fit. */
const QUEUE_MAX = 128

export interface Neighbor {
  readonly address: Uint8Array
  /** Its last four bytes: most entries are told apart by the entry alone. */
  readonly key: number
  mac: Mac
  state: 'permanent' | 'incomplete' | 'reachable' | 'probing' | 'gone'
  /** When the MAC was last confirmed, or the next request is due while incomplete or probing. */
  time: number
  requests: number
  readonly queue: { readonly frame: FrameHandle; readonly sent: Sent | null }[]
}

export class NeighborCache {
  private readonly context: ElementContext
  private readonly transmit: (frame: FrameHandle) => void
  /** Asks for the neighbor: by broadcast or multicast, or directly while probing. */
  private readonly solicit: (neighbor: Neighbor) => void
  private readonly neighbors: Neighbor[] = []
  /** Those with a request under way. */
  private readonly waiting = new Set<Neighbor>()
  private readonly timer: Timer

  constructor(context: ElementContext, transmit: (frame: FrameHandle) => void, solicit: (neighbor: Neighbor) => void) {
    this.context = context
    this.transmit = transmit
    this.solicit = solicit
    this.timer = context.timer((now) => this.tick(now))
  }

  /** The entry for an address, made when there is none. A sender keeps it and asks again when it is gone. */
  entry(address: Uint8Array): Neighbor {
    const known = this.find(address, 0, address.length)
    if (known !== undefined) return known
    if (this.neighbors.length >= NEIGHBORS_MAX) this.evict()
    const key = keyOf(address, 0, address.length)
    const neighbor: Neighbor = { address: address.slice(), key, mac: MAC_BROADCAST, state: 'incomplete', time: 0, requests: 0, queue: [] }
    this.neighbors.push(neighbor)
    return neighbor
  }

  /** An entry that never ages. */
  addPermanent(address: Uint8Array, mac: Mac): void {
    const neighbor = this.entry(address)
    neighbor.mac = mac
    neighbor.state = 'permanent'
  }

  /** Sends a frame whose destination MAC is still to be written; takes the frame. The neighbor must not be gone. */
  send(neighbor: Neighbor, frame: FrameHandle, sent: Sent | null): void {
    const { state } = neighbor
    if (state === 'incomplete') {
      this.enqueue(neighbor, frame, sent)
      return
    }
    if (state === 'reachable' && this.context.now - neighbor.time > REACHABLE_NS) this.request(neighbor, 'probing')
    this.sendNow(neighbor, frame, sent)
  }

  /** A neighbor told its MAC. `create`: remember it also when nobody asked (it is about to talk to us). */
  learn(bytes: Uint8Array, addressAt: number, addressLength: number, hi: number, lo: number, create: boolean): void {
    let neighbor = this.find(bytes, addressAt, addressLength)
    if (neighbor === undefined) {
      if (!create) return
      neighbor = this.entry(bytes.slice(addressAt, addressAt + addressLength))
    }
    if (neighbor.state === 'permanent') return
    if (neighbor.mac.hi !== hi || neighbor.mac.lo !== lo) neighbor.mac = { hi, lo }
    neighbor.state = 'reachable'
    neighbor.time = this.context.now
    neighbor.requests = 0
    this.waiting.delete(neighbor)
    for (const { frame, sent } of neighbor.queue.splice(0)) this.sendNow(neighbor, frame, sent)
  }

  /** Gives back every frame that waits, and tells who sent it. */
  close(): void {
    for (const neighbor of this.neighbors) {
      for (const { frame, sent } of neighbor.queue.splice(0)) {
        this.context.frames.free(frame)
        sent?.(new Error('the host ended before the packet left'))
      }
    }
    this.neighbors.length = 0
    this.waiting.clear()
  }

  private find(bytes: Uint8Array, at: number, length: number): Neighbor | undefined {
    const key = keyOf(bytes, at, length)
    for (const neighbor of this.neighbors) {
      if (neighbor.key === key && neighbor.address.length === length && addressEquals(bytes, at, neighbor.address)) return neighbor
    }
    return undefined
  }

  private enqueue(neighbor: Neighbor, frame: FrameHandle, sent: Sent | null): void {
    if (neighbor.queue.length >= QUEUE_MAX) {
      this.context.drop(frame, StackDrop.neighborQueueFull)
      sent?.(new Error('too many packets wait for the MAC of the next hop'))
      return
    }
    neighbor.queue.push({ frame, sent })
    if (this.waiting.has(neighbor)) return
    this.request(neighbor, 'incomplete')
  }

  private sendNow(neighbor: Neighbor, frame: FrameHandle, sent: Sent | null): void {
    const { frames } = this.context
    setMac(frames.bytes(frame), frames.start[frame], neighbor.mac.hi, neighbor.mac.lo)
    this.transmit(frame)
    sent?.(null)
  }

  private request(neighbor: Neighbor, state: 'incomplete' | 'probing'): void {
    neighbor.state = state
    neighbor.requests++
    neighbor.time = this.context.now + RETRANSMIT_NS
    this.waiting.add(neighbor)
    if (!this.timer.armed) this.timer.arm(neighbor.time)
    this.solicit(neighbor)
  }

  private tick(now: number): void {
    let next = Number.POSITIVE_INFINITY
    for (const neighbor of [...this.waiting]) {
      if (neighbor.time <= now) {
        if (neighbor.requests >= REQUESTS) this.fail(neighbor)
        else this.request(neighbor, neighbor.state as 'incomplete' | 'probing')
      }
      if (this.waiting.has(neighbor)) next = Math.min(next, neighbor.time)
    }
    if (next !== Number.POSITIVE_INFINITY) this.timer.arm(next)
  }

  private fail(neighbor: Neighbor): void {
    this.forget(neighbor)
    const error = new Error('destination host unreachable: no answer to ARP or neighbor solicitation')
    for (const { frame, sent } of neighbor.queue.splice(0)) {
      this.context.drop(frame, StackDrop.unresolved)
      sent?.(error)
    }
  }

  private forget(neighbor: Neighbor): void {
    neighbor.state = 'gone'
    neighbor.requests = 0
    this.waiting.delete(neighbor)
    const index = this.neighbors.indexOf(neighbor)
    if (index >= 0) this.neighbors.splice(index, 1)
  }

  /** Makes room: the entry that was confirmed longest ago goes; entries that are waited for only when there are no others. */
  private evict(): void {
    let oldest: Neighbor | undefined
    for (const neighbor of this.neighbors) {
      if (neighbor.state === 'reachable' && (oldest === undefined || neighbor.time < oldest.time)) oldest = neighbor
    }
    if (oldest !== undefined) return this.forget(oldest)
    const asked = this.neighbors.find(({ state }) => state !== 'permanent')
    if (asked !== undefined) this.fail(asked)
  }
}

function keyOf(bytes: Uint8Array, at: number, length: number): number {
  return get32(bytes, at + length - 4)
}
