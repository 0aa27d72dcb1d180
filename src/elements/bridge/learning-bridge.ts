/**
 * Transparent learning bridge, IEEE 802.1Q clause 8: relay, filter, learn, age.
 *
 *   port 0 rx -->| learn(source)       |--> port 0 tx
 *   port 1 rx -->| lookup(destination) |--> port 1 tx
 *   port N rx -->| forward or flood    |--> port N tx
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Super-frames pass whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import type { Link, Port } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { formatMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { BridgeDrop } from './bridge-drop.ts'
import { BRIDGE_PORTS_MAX, type BridgeSettings, type LearningBridgeOptions, readBridgeOptions } from './bridge-options.ts'
import { explainRelay, type RelayQuestion } from './explain-relay.ts'
import { Fdb, NOT_FOUND } from './fdb.ts'
import { type FindEgress, findEgressFor } from './find-egress.ts'
import { Flood } from './flood.ts'
import { LearningProcess } from './learn.ts'

const TAG_LENGTH = 4
/** The lowest bit of an address's first byte, in its first 16 bits: the address is a group's. */
const GROUP_BIT = 0x0100
/** 01-80-C2-00-00-00, whose last four bits are free. */
const RESERVED_HI = 0x0180
const RESERVED_LO = 0xc2000000 | 0
const RESERVED_MASK = 0xfffffff0 | 0
const SECOND = 1e9

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const BATCH = 256
/** Frames of one port, and the ports they leave by. All bridges of a thread share them: nothing is left in them by `push`. */
const batch = new Int32Array(BATCH)
const egress = new Int32Array(BATCH)

const COUNTERS = ['rxFrames', 'forwarded', 'flooded', 'copies', 'copyFailures', 'learned', 'moved', 'aged', 'learnRefused'] as const

export class LearningBridge implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private readonly fdb: Fdb
  private readonly learning: LearningProcess
  private readonly flood: Flood
  private readonly ageingTimer: Timer
  /** Where each port sends, as far as the table may name a port: a static entry may name one that is not connected. */
  private links: (Link | null)[] = []
  /** What the ports were when they last changed: to find those that are gone. */
  private known: (Port | null)[] = []
  private settings: BridgeSettings
  /** Longest plain frame, bytes. */
  private longest = 0
  /** The engine's time in whole seconds. */
  private seconds = 0
  private readonly findEgress: FindEgress
  private forwarded = 0
  private flooded = 0

  constructor(context: ElementContext, options?: LearningBridgeOptions) {
    this.context = context
    this.frames = context.frames
    this.findEgress = findEgressFor(context.frames, batch, egress)
    this.ports = context.ports
    this.settings = readBridgeOptions(options)
    this.fdb = new Fdb(this.settings.ageing, this.settings.fdbCapacity)
    this.learning = new LearningProcess(this.fdb)
    this.flood = new Flood(context.frames)
    this.ageingTimer = context.timer(() => this.age())
    this.applySettings()
    // An element made anew behind existing links gets no portsChanged.
    this.portsChanged()
  }

  push(): void {
    const { context, ports, fdb, longest } = this
    const seconds = (this.seconds = this.second())
    let received = 0
    for (let ingress = context.nextReady(); ingress >= 0; ingress = context.nextReady()) {
      const { rx } = ports[ingress]!
      const isIsolated = ingress >= this.settings.isolatedFrom
      while (!rx.empty) {
        const count = rx.receiveAll(batch)
        received += count
        for (let at = 0; at < count; ) {
          const known = isIsolated ? at : this.findEgress(at, count, fdb, longest, ingress, seconds)
          this.forward(at, known)
          // What ended the run is looked at again where it may begin one: it may only lie in another chunk.
          if (known === at) this.relay(batch[at++], ingress, seconds)
          else at = known
        }
      }
    }
    this.count(received)
    if (this.fdb.learned > 0 && !this.ageingTimer.armed) this.armAgeing(seconds)
  }

  /** Sends `batch[from..to-1]` where `findEgress` said. */
  private forward(from: number, to: number): void {
    const { links } = this
    // Two a round: see the engine's README, "Loops".
    let i = from
    for (; i < ((to - 1) | 0); i = (i + 2) | 0) {
      const a = links[egress[i]]
      const b = links[egress[(i + 1) | 0]]
      if (a === null || b === null) break
      a.transmit(batch[i])
      b.transmit(batch[(i + 1) | 0])
    }
    for (; i < to; i++) {
      const link = links[egress[i]]
      if (link !== null) link.transmit(batch[i])
      else {
        this.context.drop(batch[i], EngineDrop.unlinked)
        this.forwarded--
      }
    }
    this.forwarded += to - from
  }

  private relay(frame: FrameHandle, ingress: number, seconds: number): void {
    const { frames } = this
    const length = frames.length[frame]
    if (length < ETHERNET_HEADER_LENGTH) return this.context.drop(frame, BridgeDrop.runt)
    const flags = frames.flags[frame]
    if (length > this.longest && (flags & FrameFlag.gso) === 0) return this.context.drop(frame, BridgeDrop.oversize)

    const view = frames.view(frame)
    const at = frames.start[frame]
    const first = view.getInt32(at)
    const middle = view.getInt32(at + 4)
    const sourceLo = view.getInt32(at + 8)
    if ((middle & GROUP_BIT) !== 0) return this.context.drop(frame, BridgeDrop.groupSource)
    if (((middle & 0xffff) | sourceLo) === 0) return this.context.drop(frame, BridgeDrop.zeroSource)
    if ((flags & FrameFlag.traced) === 0) this.learning.learn(middle & 0xffff, sourceLo, ingress, seconds)
    else this.learnTraced(frame, middle & 0xffff, sourceLo, ingress, seconds)

    const hi = first >>> 16
    const lo = (first << 16) | (middle >>> 16)
    if ((hi & GROUP_BIT) !== 0) return this.relayGroup(frame, ingress, hi, lo)
    const egress = this.fdb.lookup(hi, lo)
    if (egress === NOT_FOUND) return this.relayToAll(frame, ingress, 'unknown destination')
    if (egress === ingress) return this.context.drop(frame, BridgeDrop.samePort)
    const { isolatedFrom } = this.settings
    if (ingress >= isolatedFrom && egress >= isolatedFrom) return this.context.drop(frame, BridgeDrop.isolated)
    if ((flags & FrameFlag.traced) !== 0) this.context.trace(frame, `forward ${formatMac({ hi, lo })}: port ${ingress} to ${egress}`)
    const link = this.links[egress]
    if (link === null) return this.context.drop(frame, EngineDrop.unlinked)
    this.forwarded++
    link.transmit(frame)
  }

  private learnTraced(frame: FrameHandle, hi: number, lo: number, ingress: number, seconds: number): void {
    const { learning, context } = this
    const { added, moved, refused } = learning
    learning.learn(hi, lo, ingress, seconds)
    const mac = formatMac({ hi, lo })
    if (learning.added > added) context.trace(frame, `learn ${mac} at port ${ingress}`)
    if (learning.moved > moved) context.trace(frame, `learn ${mac} at port ${ingress}, it was at another`)
    if (learning.refused > refused) context.trace(frame, `${mac} is not learned: the table is full`)
  }

  private relayGroup(frame: FrameHandle, ingress: number, hi: number, lo: number): void {
    if (hi === RESERVED_HI && (lo & RESERVED_MASK) === RESERVED_LO) this.context.drop(frame, BridgeDrop.reserved)
    else this.relayToAll(frame, ingress, 'group')
  }

  private relayToAll(frame: FrameHandle, ingress: number, why: string): void {
    if ((this.frames.flags[frame] & FrameFlag.traced) !== 0) this.context.trace(frame, `flood from port ${ingress}: ${why}`)
    if (this.flood.send(frame, ingress)) this.flooded++
    else this.context.drop(frame, BridgeDrop.noPort)
  }

  private count(received: number): void {
    const { counters } = this.context
    counters[0] += received
    counters[1] = this.forwarded
    counters[2] = this.flooded
    counters[3] = this.flood.copies
    counters[4] = this.flood.copyFailures
    counters[5] = this.learning.added
    counters[6] = this.learning.moved
    counters[7] = this.fdb.aged
    counters[8] = this.learning.refused
  }

  portsChanged(): void {
    const { ports, known } = this
    for (let port = 0; port < known.length; port++) {
      if (known[port] !== null && known[port] !== ports[port]) this.fdb.flush(port)
    }
    this.known = [...ports]
    this.connectLinks()
    this.flood.setPorts(ports, this.settings.isolatedFrom)
  }

  private connectLinks(): void {
    const count = Math.max(this.ports.length, ...this.settings.staticEntries.map(({ port }) => port + 1))
    this.links = Array.from({ length: count }, (_, port) => this.ports[port]?.tx ?? null)
  }

  reconfigure(options: Plain): boolean {
    this.settings = readBridgeOptions(options as LearningBridgeOptions)
    this.applySettings()
    return true
  }

  /**
   * `{ flush: PORT }`: what was learned there is forgotten, because a station behind it has moved without a word. There is nothing to
   * undo: who is still there is learned again.
   */
  update(change: Plain): Plain {
    const { flush } = change as { flush?: unknown }
    if (!Number.isInteger(flush)) throw new RangeError(`a bridge knows the change { flush: PORT }, not ${JSON.stringify(change)}`)
    this.fdb.flush(flush as number)
    return change
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb === 'explain') return reply(null, explainRelay(this.fdb, this.settings, argument as RelayQuestion))
    this.age()
    if (verb === 'fdb') return reply(null, this.fdb.entries(this.seconds))
    if (verb === 'flush') {
      const { port = null } = (argument ?? {}) as { port?: number | null }
      return reply(null, this.fdb.flush(port))
    }
    reply(new Error(`a bridge knows the commands fdb, flush and explain, not '${verb}'`))
  }

  private applySettings(): void {
    const { fdb, learning, settings } = this
    fdb.ageing = settings.ageing
    fdb.capacity = settings.fdbCapacity
    fdb.removeStatics()
    for (const { mac, port } of settings.staticEntries) fdb.addStatic(mac.hi, mac.lo, port)
    for (const port of settings.silentPorts) fdb.flush(port)
    if (settings.ageing === 0) fdb.flush(null)
    learning.setSilent(settings.silentPorts)
    this.connectLinks()
    this.flood.setPorts(this.ports, settings.isolatedFrom)
    this.longest = settings.mtu + ETHERNET_HEADER_LENGTH + TAG_LENGTH
    this.age()
  }

  /** Removes what is too old and sees when the next entry will be. */
  private age(): void {
    this.seconds = this.second()
    this.fdb.sweep(this.seconds)
    this.count(0)
    if (this.fdb.learned > 0) this.armAgeing(this.fdb.oldest())
    else this.ageingTimer.disarm()
  }

  /** An entry heard in second `oldest` is too old from second `oldest + ageing + 1` on. */
  private armAgeing(oldest: number): void {
    this.ageingTimer.arm((oldest + this.fdb.ageing + 1) * SECOND)
  }

  private second(): number {
    return (this.context.now / SECOND) | 0
  }
}

export const learningBridge: ElementType<LearningBridgeOptions> = {
  type: 'bridge',
  maxPorts: BRIDGE_PORTS_MAX,
  counters: COUNTERS,
  create: (context, options) => new LearningBridge(context, options)
}
