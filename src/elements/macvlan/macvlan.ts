/**
 * Children of one parent interface, each with a MAC of its own: Linux's macvlan (drivers/net/macvlan.c), which the names of rules
 * refer to (README.md has them all).
 *
 *                      | 2 -- child       port 0 rx: a child's MAC -> the child, a group -> children and the stack, else the stack
 *   wire  -- 0 |       | 3 -- child       port N rx: bridge mode: another child's MAC -> the child, a group -> children and the wire;
 *   stack -- 1 |       | ...                         everything else -> the wire, the parent's own MAC included
 *                                         port 1 rx: the wire, always: a parent and its children do not reach each other
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Super-frames pass whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link, Port } from '../../engine/link.ts'
import { parseMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE } from '../../wire/ethernet.ts'
import { Children } from './children.ts'
import { type FindChild, findChildFor } from './find-child.ts'
import { MacvlanDrop } from './macvlan-drop.ts'
import {
  FIRST_CHILD,
  MACVLAN_PORTS_MAX,
  type MacvlanChange,
  type MacvlanOptions,
  type MacvlanSettings,
  readMacvlanOptions
} from './macvlan-options.ts'

const WIRE = 0
const STACK = 1
const GROUP_BIT = 0x0100
/** In place of a child that gets no copy: none of them does. */
const ALL = -2
/** EtherType of IEEE 802.3 annex 31A: MAC control, PAUSE. */
const PAUSE = 0x8808
const NO_LIMIT = 0x3fffffff

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const BATCH = 256
/** Frames of one port, and the ports they leave by. All macvlans of a thread share them: nothing is left in them by `push`. */
const batch = new Int32Array(BATCH)
const egress = new Int32Array(BATCH)

const COUNTERS = ['rxFrames', 'forwarded', 'flooded', 'copies', 'copyFailures'] as const
const Counter = { rxFrames: 0, forwarded: 1, flooded: 2, copies: 3, copyFailures: 4 } as const

export interface MacvlanQuestion {
  /** Where the frame comes in. */
  readonly port: number
  /** Its MAC. */
  readonly destination: string
}

export class Macvlan implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private readonly children = new Children()
  private readonly findChild: FindChild
  private settings: MacvlanSettings
  /** Where each port sends, null where nothing is connected. */
  private links: (Link | null)[] = []
  /** Ports of children that are connected, ascending. */
  private childPorts = new Int32Array(0)

  /** Throws MacvlanOptionError. */
  constructor(context: ElementContext, options?: MacvlanOptions) {
    this.context = context
    this.frames = context.frames
    this.ports = context.ports
    this.findChild = findChildFor(context.frames, batch, egress)
    this.settings = readMacvlanOptions(options)
    // An element made anew behind existing links gets no portsChanged.
    this.portsChanged()
  }

  push(): void {
    const { context, ports } = this
    let received = 0
    for (let ingress = context.nextReady(); ingress >= 0; ingress = context.nextReady()) {
      const { rx } = ports[ingress]!
      while (!rx.empty) {
        const count = rx.receiveAll(batch)
        received += count
        this.forwardAll(count, ingress)
      }
    }
    context.counters[Counter.rxFrames] += received
  }

  /** `batch[0..count-1]`, of which runs of known unicast go at once. */
  private forwardAll(count: number, ingress: number): void {
    const { findChild, settings } = this
    const { mode, longest } = settings
    const { table } = this.children
    // Whose frames are looked up at all: what comes from the wire, and in mode bridge what comes from children.
    const isWire = ingress === WIRE
    const isLookedUp = isWire ? mode !== 'passthru' : ingress !== STACK && mode === 'bridge'
    for (let at = 0; at < count; ) {
      const known = isLookedUp ? findChild(at, count, table, isWire ? NO_LIMIT : longest, isWire ? STACK : WIRE) : at
      this.send(at, known)
      // What ended the run is looked at again where it may begin one: it may only lie in another chunk.
      if (known === at) this.relay(batch[at++], ingress)
      else at = known
    }
  }

  /** Sends `batch[from..to-1]` where `findChild` said. */
  private send(from: number, to: number): void {
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
    let sent = to - from
    for (; i < to; i++) {
      const link = links[egress[i]]
      if (link !== null) link.transmit(batch[i])
      else {
        this.dropAt(batch[i], egress[i])
        sent--
      }
    }
    this.context.counters[Counter.forwarded] += sent
  }

  private relay(frame: FrameHandle, ingress: number): void {
    const { frames, settings } = this
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return this.context.drop(frame, MacvlanDrop.runt)
    if (ingress === STACK) return this.toOne(frame, ingress, WIRE, 'from the parent: to the wire')
    const view = frames.view(frame)
    const at = frames.start[frame]
    const hi = view.getUint16(at)
    const isGroup = (hi & GROUP_BIT) !== 0
    if (ingress === WIRE) {
      if (isGroup) return this.fromWireToGroup(frame)
      const child = settings.mode === 'passthru' ? this.children.first : this.children.table.lookup(hi, view.getInt32(at + 2))
      if (child < 0) return this.toOne(frame, ingress, STACK, "no child's address: to the parent")
      return this.toOne(frame, ingress, child, settings.mode === 'passthru' ? 'everything is for the one child' : 'to the child')
    }
    if (settings.mode !== 'bridge') return this.toOne(frame, ingress, WIRE, `mode ${settings.mode}: to the wire`)
    if (isGroup) return this.fromChildToGroup(frame, ingress)
    const child = this.children.table.lookup(hi, view.getInt32(at + 2))
    if (child < 0) return this.toOne(frame, ingress, WIRE, "no child's address: to the wire")
    const isTooLong = frames.length[frame] > settings.longest && (frames.flags[frame] & FrameFlag.gso) === 0
    if (isTooLong) return this.context.drop(frame, MacvlanDrop.oversize)
    this.toOne(frame, ingress, child, 'to another child')
  }

  /** macvlan_handle_frame: a group's frame from the wire. What a child once sent comes back from a reflective relay (802.1Qbg). */
  private fromWireToGroup(frame: FrameHandle): void {
    const { frames, settings } = this
    const view = frames.view(frame)
    const at = frames.start[frame]
    const source = this.children.table.lookup(view.getUint16(at + 6), view.getInt32(at + 8))
    const { mode } = settings
    if (source >= 0 && mode !== 'vepa' && mode !== 'bridge') {
      return this.toOne(frame, WIRE, source, `mode ${mode}: back to the child that sent it`)
    }
    // Children in mode bridge saw the frame on its way out.
    const hasChildren = (source < 0 || mode === 'vepa') && view.getUint16(at + ETHERNET_TYPE) !== PAUSE
    this.flood(frame, WIRE, hasChildren ? source : ALL, STACK)
  }

  /** macvlan_queue_xmit in mode bridge. */
  private fromChildToGroup(frame: FrameHandle, ingress: number): void {
    const { frames } = this
    const isPause = frames.view(frame).getUint16(frames.start[frame] + ETHERNET_TYPE) === PAUSE
    this.flood(frame, ingress, isPause ? ALL : ingress, WIRE)
  }

  /**
   * To all children but one, nobody (-1), or ALL, and to `outside`. The frame itself goes to the last of them; where the pool is exhausted,
   * children are left out and counted.
   */
  private flood(frame: FrameHandle, ingress: number, except: number, outside: number): void {
    const { frames, links, childPorts } = this
    const { counters } = this.context
    let last = links[outside]
    let copies = 0
    if (except !== ALL) {
      for (let i = childPorts.length - 1; i >= 0; i--) {
        if (childPorts[i] === except) continue
        const link = links[childPorts[i]]
        if (last === null) {
          last = link
          continue
        }
        const copy = frames.copy(frame)
        if (copy === NO_FRAME) counters[Counter.copyFailures]++
        else {
          copies++
          link!.transmit(copy)
        }
      }
    }
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) this.context.trace(frame, `group from port ${ingress}: ${copies} copies`)
    if (last === null) return this.dropAt(frame, outside)
    counters[Counter.copies] += copies
    counters[Counter.flooded]++
    last.transmit(frame)
  }

  private toOne(frame: FrameHandle, ingress: number, port: number, why: string): void {
    const { context, frames } = this
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `from port ${ingress} to ${port}: ${why}`)
    const link = this.links[port]
    if (link === null) return this.dropAt(frame, port)
    context.counters[Counter.forwarded]++
    link.transmit(frame)
  }

  /** Nothing is connected to the port. */
  private dropAt(frame: FrameHandle, port: number): void {
    this.context.drop(frame, port === STACK ? MacvlanDrop.parent : port === WIRE ? MacvlanDrop.noWire : EngineDrop.unlinked)
  }

  portsChanged(): void {
    const { ports, children } = this
    const count = Math.max(ports.length, FIRST_CHILD, (children.ports.at(-1) ?? 0) + 1)
    this.links = Array.from({ length: count }, (_, port) => ports[port]?.tx ?? null)
    this.childPorts = children.ports.filter((port) => this.links[port] !== null)
  }

  reconfigure(options: Plain): boolean {
    const settings = readMacvlanOptions(options as MacvlanOptions)
    this.children.check(settings)
    this.settings = settings
    return true
  }

  /** A MacvlanChange. Throws MacvlanOptionError. */
  update(change: Plain): Plain {
    const undo = this.children.update(change as MacvlanChange, this.settings)
    this.portsChanged()
    return undo
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb === 'fdb') return reply(null, this.children.entries())
    if (verb === 'explain') return reply(null, this.explain(argument as MacvlanQuestion))
    reply(new Error(`a macvlan knows the commands fdb and explain, not '${verb}'`))
  }

  /** What would happen to a frame that nobody sends; `port` null: to several, or to nobody. */
  private explain({ port, destination }: MacvlanQuestion): { port: number | null; reason: string | null; text: string } {
    const { hi, lo } = parseMac(destination)
    const { mode } = this.settings
    if ((hi & GROUP_BIT) !== 0)
      return { port: null, reason: null, text: `${destination} is a group's: to all that mode ${mode} lets hear it` }
    const child = port === WIRE && mode === 'passthru' ? this.children.first : this.children.table.lookup(hi, lo)
    const isLookedUp = port === WIRE || (port !== STACK && mode === 'bridge')
    const to = isLookedUp && child >= 0 ? child : port === WIRE ? STACK : WIRE
    const text = to === WIRE ? 'to the wire' : to === STACK ? "to the parent's own stack" : `to the child at port ${to}`
    return { port: to, reason: null, text: `${text} (macvlan, mode ${mode})` }
  }
}

export const macvlanType: ElementType<MacvlanOptions> = {
  type: 'macvlan',
  maxPorts: MACVLAN_PORTS_MAX,
  counters: COUNTERS,
  create: (context, options) => new Macvlan(context, options)
}
