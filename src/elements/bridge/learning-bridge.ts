/**
 * Transparent learning bridge, IEEE 802.1Q clause 8: relay, filter, learn, age.
 *
 *   port 0 rx -->| learn(source)       |--> port 0 tx
 *   port 1 rx -->| lookup(destination) |--> port 1 tx
 *   port N rx -->| forward or flood    |--> port N tx
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Super-frames pass whole.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import type { Port } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { formatMac } from '../../wire/address.ts'
import { BridgeDrop } from './bridge-drop.ts'
import { BRIDGE_PORTS_MAX, type BridgeSettings, type LearningBridgeOptions, readBridgeOptions } from './bridge-options.ts'
import { Fdb, NOT_FOUND } from './fdb.ts'
import { Flood } from './flood.ts'
import { LearningProcess } from './learn.ts'

const HEADER_LENGTH = 14
const TAG_LENGTH = 4
/** The lowest bit of the first byte: the address is a group's. */
const GROUP_BIT = 0x0100
/** 01-80-C2-00-00-00, whose last four bits are free. */
const RESERVED_HI = 0x0180
const RESERVED_LO = 0xc2000000 | 0
const RESERVED_MASK = 0xfffffff0 | 0
const SECOND = 1e9

const COUNTERS = ['rxFrames', 'forwarded', 'flooded', 'copies', 'copyFailures', 'learned', 'moved', 'aged', 'learnRefused'] as const

export class LearningBridge implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private readonly fdb: Fdb
  private readonly learning: LearningProcess
  private readonly flood: Flood
  private readonly ageingTimer: Timer
  /** What the ports were when they last changed: to find those that are gone. */
  private known: (Port | null)[] = []
  private settings: BridgeSettings
  /** Longest plain frame, bytes. */
  private longest = 0
  /** The engine's time in whole seconds. */
  private seconds = 0
  private forwarded = 0
  private flooded = 0

  constructor(context: ElementContext, options?: LearningBridgeOptions) {
    this.context = context
    this.frames = context.frames
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
    const { context, ports, learning, flood } = this
    this.seconds = this.second()
    let received = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = ports[port]!
      received += rx.size
      while (!rx.empty) this.relay(rx.receive(), port)
    }
    const { counters } = context
    counters[0] += received
    counters[1] += this.forwarded
    counters[2] += this.flooded
    this.forwarded = this.flooded = 0
    counters[3] = flood.copies
    counters[4] = flood.copyFailures
    counters[5] = learning.added
    counters[6] = learning.moved
    counters[7] = this.fdb.aged
    counters[8] = learning.refused
    if (this.fdb.learned > 0 && !this.ageingTimer.armed) this.armAgeing(this.seconds)
  }

  private relay(frame: FrameHandle, ingress: number): void {
    const { frames, learning } = this
    const length = frames.length[frame]
    if (length < HEADER_LENGTH) return this.context.drop(frame, BridgeDrop.runt)
    const flags = frames.flags[frame]
    if (length > this.longest && (flags & FrameFlag.gso) === 0) return this.context.drop(frame, BridgeDrop.oversize)

    const view = frames.view(frame)
    const at = frames.start[frame]
    const sourceHi = view.getUint16(at + 6)
    const sourceLo = view.getInt32(at + 8)
    if (!learning.isRepeat(sourceHi, sourceLo, ingress, this.seconds)) {
      if ((sourceHi & GROUP_BIT) !== 0) return this.context.drop(frame, BridgeDrop.groupSource)
      if ((sourceHi | sourceLo) === 0) return this.context.drop(frame, BridgeDrop.zeroSource)
      learning.learn(sourceHi, sourceLo, ingress, this.seconds)
    }

    const hi = view.getUint16(at)
    const lo = view.getInt32(at + 2)
    if ((hi & GROUP_BIT) !== 0) {
      if (hi === RESERVED_HI && (lo & RESERVED_MASK) === RESERVED_LO) return this.context.drop(frame, BridgeDrop.reserved)
      return this.relayToAll(frame, ingress, 'group')
    }
    const egress = this.fdb.lookup(hi, lo, this.seconds)
    if (egress === NOT_FOUND) return this.relayToAll(frame, ingress, 'unknown destination')
    if (egress === ingress) return this.context.drop(frame, BridgeDrop.samePort)
    if ((flags & FrameFlag.traced) !== 0) this.context.trace(frame, `forward ${formatMac({ hi, lo })}: port ${ingress} to ${egress}`)
    this.forwarded++
    this.context.transmit(egress, frame)
  }

  private relayToAll(frame: FrameHandle, ingress: number, why: string): void {
    if ((this.frames.flags[frame] & FrameFlag.traced) !== 0) this.context.trace(frame, `flood from port ${ingress}: ${why}`)
    if (this.flood.send(frame, ingress)) this.flooded++
    else this.context.drop(frame, BridgeDrop.noPort)
  }

  portsChanged(): void {
    const { ports, known } = this
    for (let port = 0; port < known.length; port++) {
      if (known[port] !== null && known[port] !== ports[port]) this.fdb.flush(port)
    }
    this.known = [...ports]
    this.learning.reserve(ports.length)
    this.learning.forgetRepeats()
    this.flood.setPorts(ports)
  }

  reconfigure(options: Plain): boolean {
    this.settings = readBridgeOptions(options as LearningBridgeOptions)
    this.applySettings()
    return true
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    this.seconds = this.second()
    if (verb === 'fdb') return reply(null, this.fdb.entries(this.seconds))
    if (verb === 'flush') {
      const { port = null } = (argument ?? {}) as { port?: number | null }
      this.learning.forgetRepeats()
      return reply(null, this.fdb.flush(port))
    }
    reply(new Error(`a bridge knows the commands fdb and flush, not '${verb}'`))
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
    learning.forgetRepeats()
    this.longest = settings.mtu + HEADER_LENGTH + TAG_LENGTH
    this.age()
  }

  /** Removes what is too old and sees when the next entry will be. */
  private age(): void {
    this.seconds = this.second()
    this.fdb.sweep(this.seconds)
    this.context.counters[7] = this.fdb.aged
    if (this.fdb.learned > 0) this.armAgeing(this.fdb.oldest())
    else this.ageingTimer.disarm()
  }

  /** An entry heard in second `oldest` is too old from second `oldest + ageing + 1` on. */
  private armAgeing(oldest: number): void {
    this.ageingTimer.arm((oldest + this.fdb.ageing + 1) * SECOND)
  }

  private second(): number {
    return Math.floor(this.context.now / SECOND)
  }
}

export const learningBridge: ElementType<LearningBridgeOptions> = {
  type: 'bridge',
  maxPorts: BRIDGE_PORTS_MAX,
  counters: COUNTERS,
  create: (context, options) => new LearningBridge(context, options)
}
