/**
 * Children of one parent interface, each with a MAC of its own: Linux's macvlan (drivers/net/macvlan.c), which the names of rules
 * refer to (README.md has them all).
 *
 *                      | 2 -- child       port 0 rx: a child's MAC -> the child, a group -> children and the stack, else the stack
 *   wire  -- 0 |       | 3 -- child       port N rx: bridge mode: another child's MAC -> the child, a group -> children and the wire;
 *   stack -- 1 |       | ...                         everything else -> the wire, the parent's own MAC included
 *                                         port 1 rx: the wire, always: a parent and its children do not reach each other
 */
import type { ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import type { FrameHandle } from '../../engine/frame-pool.ts'
import { parseMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE } from '../../wire/ethernet.ts'
import { ALL, PARENT_BATCH, PARENT_COUNTERS, PARENT_EGRESS, Parent, STACK, WIRE } from '../parent/parent.ts'
import { NO_LIMIT, PARENT_PORTS_MAX } from '../parent/parent-options.ts'
import { Children } from './children.ts'
import { type FindChild, findChildFor } from './find-child.ts'
import { MacvlanDrop } from './macvlan-drop.ts'
import { type MacvlanChange, type MacvlanOptions, type MacvlanSettings, readMacvlanOptions } from './macvlan-options.ts'

const GROUP_BIT = 0x0100
/** EtherType of IEEE 802.3 annex 31A: MAC control, PAUSE. */
const PAUSE = 0x8808

export interface MacvlanQuestion {
  /** Where the frame comes in. */
  readonly port: number
  /** Its MAC. */
  readonly destination: string
}

export class Macvlan extends Parent {
  protected readonly children = new Children()
  private readonly findChild: FindChild
  private settings: MacvlanSettings

  /** Throws MacvlanOptionError. */
  constructor(context: ElementContext, options?: MacvlanOptions) {
    super(context, MacvlanDrop)
    this.findChild = findChildFor(context.frames, PARENT_BATCH, PARENT_EGRESS)
    this.settings = readMacvlanOptions(options)
    this.portsChanged()
  }

  /** `PARENT_BATCH[0..count-1]`, of which runs of known unicast go at once. */
  protected forwardAll(count: number, ingress: number): void {
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
      if (known === at) this.relay(PARENT_BATCH[at++], ingress)
      else at = known
    }
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
    if (this.isTooLong(frame, settings.longest)) return this.context.drop(frame, MacvlanDrop.oversize)
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
  maxPorts: PARENT_PORTS_MAX,
  counters: PARENT_COUNTERS,
  create: (context, options) => new Macvlan(context, options)
}
