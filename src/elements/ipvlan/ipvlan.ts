/**
 * Children of one parent interface that share its MAC and are told apart by their IP addresses: Linux's ipvlan
 * (drivers/net/ipvlan/ipvlan_core.c), which the names of rules refer to (README.md has them all).
 *
 *                      | 2 -- child       port 0 rx: a child's address -> the child; l2: a group -> all children and the stack;
 *   wire  -- 0 |       | 3 -- child                  everything else -> the stack
 *   stack -- 1 |       | ...              port N rx: another child's address -> the child (private: dropped, vepa: not looked for);
 *                                                    l2: a group -> the other children and the wire, other MACs -> the wire;
 *                                                    l3, l3s: groups are dropped, other packets -> the stack, which routes them
 *                                         port 1 rx: the wire, always
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Super-frames pass whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link, Port } from '../../engine/link.ts'
import { formatMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, ETHERNET_TYPE, EtherType, setMac } from '../../wire/ethernet.ts'
import { Children } from './children.ts'
import { type FindAddress, findAddressFor } from './find-address.ts'
import { IpvlanDrop } from './ipvlan-drop.ts'
import {
  FIRST_CHILD,
  IPVLAN_PORTS_MAX,
  type IpvlanChange,
  type IpvlanOptions,
  type IpvlanSettings,
  readIpvlanOptions
} from './ipvlan-options.ts'
import { childOf, Side } from './packet-address.ts'

const WIRE = 0
const STACK = 1
const GROUP_BIT = 0x0100
/** In place of a child that gets no copy: none is left out. */
const NOBODY = -1

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const BATCH = 256
/** Frames of one port, and the ports they leave by. All ipvlans of a thread share them: nothing is left in them by `push`. */
const batch = new Int32Array(BATCH)
const egress = new Int32Array(BATCH)

const COUNTERS = ['rxFrames', 'forwarded', 'flooded', 'copies', 'copyFailures'] as const
const Counter = { rxFrames: 0, forwarded: 1, flooded: 2, copies: 3, copyFailures: 4 } as const

export interface IpvlanQuestion {
  /** Where the frame comes in. */
  readonly port: number
  /** Its MAC. */
  readonly destination: string
  /** Its IP address; without one only the MAC is looked at. */
  readonly address?: string
}

export class Ipvlan implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly ports: readonly (Port | null)[]
  private readonly children = new Children()
  private readonly findAddress: FindAddress
  private settings: IpvlanSettings
  /** Where each port sends, null where nothing is connected. */
  private links: (Link | null)[] = []
  /** Ports of children that are connected, ascending. */
  private childPorts = new Int32Array(0)

  /** Throws IpvlanOptionError. */
  constructor(context: ElementContext, options: IpvlanOptions) {
    this.context = context
    this.frames = context.frames
    this.ports = context.ports
    this.findAddress = findAddressFor(context.frames, batch, egress)
    this.settings = readIpvlanOptions(options)
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

  /** `batch[0..count-1]`, of which runs of IPv4 packets for known children go at once. */
  private forwardAll(count: number, ingress: number): void {
    const { findAddress, settings, children } = this
    const { mac, flag, longest } = settings
    const isLookedUp = ingress === WIRE || (ingress !== STACK && flag === 'bridge')
    for (let at = 0; at < count; ) {
      const known = isLookedUp ? findAddress(at, count, children.table, longest, mac.hi, mac.lo) : at
      this.send(at, known)
      // What ended the run is looked at again where it may begin one: it may only lie in another chunk.
      if (known === at) this.relay(batch[at++], ingress)
      else at = known
    }
  }

  /** Sends `batch[from..to-1]` where `findAddress` said. */
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
    if (this.frames.length[frame] < ETHERNET_HEADER_LENGTH) this.context.drop(frame, IpvlanDrop.runt)
    else if (ingress === STACK) this.toOne(frame, ingress, WIRE, 'from the parent: to the wire')
    else if (ingress === WIRE) this.fromWire(frame)
    else if (this.settings.mode === 'l2') this.fromChild2(frame, ingress)
    else this.fromChild3(frame, ingress)
  }

  /** ipvlan_handle_frame: modes l2 and l3; in l3s the kernel's routing finds the child, with the same end (README, "l3s"). */
  private fromWire(frame: FrameHandle): void {
    const { mode } = this.settings
    const isGroup = this.isGroup(frame)
    if (isGroup && mode === 'l2') {
      // ipvlan_external_frame: not what a child sent and comes back from a relay; the others had that on its way out.
      const isExternal = !this.isFromParent(frame) || this.child(frame, Side.source) < 0
      if (isExternal) return this.flood(frame, WIRE, NOBODY, STACK)
      return this.toOne(frame, WIRE, STACK, "a child's own, come back: to the parent alone")
    }
    const isForRouting = mode !== 'l3s' || (!isGroup && this.isForParent(frame) && this.isIp(frame))
    const isAddressed = isGroup || this.isForParent(frame)
    const child = isForRouting && isAddressed ? this.child(frame, Side.destination) : NOBODY
    if (child < 0) this.toOne(frame, WIRE, STACK, "no child's address: to the parent")
    else this.toOne(frame, WIRE, child, "the child's address")
  }

  /** ipvlan_xmit_mode_l2. */
  private fromChild2(frame: FrameHandle, ingress: number): void {
    const { flag } = this.settings
    if (this.isGroup(frame)) return this.flood(frame, ingress, ingress, WIRE)
    if (flag === 'vepa' || !this.isForParent(frame)) return this.toOne(frame, ingress, WIRE, 'another station: to the wire')
    const child = this.child(frame, Side.destination)
    if (child < 0) this.toOne(frame, ingress, STACK, "the parent's MAC and no child's address: to the parent")
    else this.toChild(frame, ingress, child)
  }

  /** ipvlan_xmit_mode_l3 and ipvlan_process_outbound. */
  private fromChild3(frame: FrameHandle, ingress: number): void {
    const { context } = this
    const child = this.settings.flag === 'vepa' ? NOBODY : this.child(frame, Side.destination)
    if (child >= 0) this.toChild(frame, ingress, child)
    else if (this.isGroup(frame)) context.drop(frame, IpvlanDrop.group)
    else if (!this.isIp(frame)) context.drop(frame, IpvlanDrop.notIp)
    else if (this.links[STACK] === null) context.drop(frame, IpvlanDrop.noRoute)
    else {
      this.hideSource(frame)
      this.toOne(frame, ingress, STACK, 'elsewhere: routed by the parent')
    }
  }

  /** The kernel takes the whole Ethernet header off (ipvlan_process_outbound): to the stack it is no frame of its own come back. */
  private hideSource(frame: FrameHandle): void {
    const { frames } = this
    const { hi, lo } = this.settings.mac
    setMac(frames.bytes(frame), frames.start[frame] + ETHERNET_SOURCE, hi, lo ^ 1)
    frames.flags[frame] &= ~FrameFlag.captured
  }

  private toChild(frame: FrameHandle, ingress: number, child: number): void {
    const { context, frames, settings } = this
    if (settings.flag === 'private') return context.drop(frame, IpvlanDrop.isPrivate)
    const isTooLong = frames.length[frame] > settings.longest && (frames.flags[frame] & FrameFlag.gso) === 0
    if (isTooLong) return context.drop(frame, IpvlanDrop.oversize)
    this.toOne(frame, ingress, child, 'to another child')
  }

  private child(frame: FrameHandle, side: number): number {
    const { frames } = this
    const at = frames.start[frame]
    return childOf(frames.view(frame), at, at + frames.length[frame], this.children.table, side)
  }

  private isGroup(frame: FrameHandle): boolean {
    return (this.frames.view(frame).getUint16(this.frames.start[frame]) & GROUP_BIT) !== 0
  }

  /** To the MAC that the parent and all children have. The kernel looks whether destination and source are one: README, "Decisions". */
  private isForParent(frame: FrameHandle): boolean {
    const view = this.frames.view(frame)
    const at = this.frames.start[frame]
    const { hi, lo } = this.settings.mac
    return view.getUint16(at) === hi && view.getInt32(at + 2) === lo
  }

  private isFromParent(frame: FrameHandle): boolean {
    const view = this.frames.view(frame)
    const at = this.frames.start[frame]
    const { hi, lo } = this.settings.mac
    return view.getUint16(at + 6) === hi && view.getInt32(at + 8) === lo
  }

  private isIp(frame: FrameHandle): boolean {
    const type = this.frames.view(frame).getUint16(this.frames.start[frame] + ETHERNET_TYPE)
    return type === EtherType.ipv4 || type === EtherType.ipv6
  }

  /** ipvlan_process_multicast. To all children but one and `outside`; the frame itself to the last, and children without a copy are counted. */
  private flood(frame: FrameHandle, ingress: number, except: number, outside: number): void {
    const { frames, links, childPorts } = this
    const { counters } = this.context
    let last = links[outside]
    let copies = 0
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
    this.context.drop(frame, port === STACK ? IpvlanDrop.parent : port === WIRE ? IpvlanDrop.noWire : EngineDrop.unlinked)
  }

  portsChanged(): void {
    const { ports, children } = this
    const count = Math.max(ports.length, FIRST_CHILD, (children.ports.at(-1) ?? 0) + 1)
    this.links = Array.from({ length: count }, (_, port) => ports[port]?.tx ?? null)
    this.childPorts = children.ports.filter((port) => this.links[port] !== null)
  }

  reconfigure(options: Plain): boolean {
    this.settings = readIpvlanOptions(options as IpvlanOptions)
    return true
  }

  /** An IpvlanChange. Throws IpvlanOptionError. */
  update(change: Plain): Plain {
    const undo = this.children.update(change as IpvlanChange)
    this.portsChanged()
    return undo
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb === 'fdb') return reply(null, this.entries())
    if (verb === 'explain') return reply(null, this.explain(argument as IpvlanQuestion))
    reply(new Error(`an ipvlan knows the commands fdb and explain, not '${verb}'`))
  }

  /** In the form of a bridge's FDB: all children have one MAC. */
  private entries(): { mac: string; port: number; static: boolean; age: number }[] {
    return Array.from(this.children.ports, (port) => ({ mac: formatMac(this.settings.mac), port, static: true, age: 0 }))
  }

  /** What would happen to a packet that nobody sends, from a child or from the wire to a station; `port` null: to nobody. */
  private explain({ port, address }: IpvlanQuestion): { port: number | null; reason: string | null; text: string } {
    const { mode, flag } = this.settings
    const child = address === undefined || (port !== WIRE && flag === 'vepa') ? NOBODY : this.children.find(address)
    const how = `(ipvlan, mode ${mode}, flag ${flag})`
    if (child >= 0 && port !== WIRE && flag === 'private') return { port: null, reason: 'ipvlan.isPrivate', text: `dropped ${how}` }
    if (child >= 0) return { port: child, reason: null, text: `to the child at port ${child} ${how}` }
    const isToStack = port === WIRE || mode !== 'l2'
    return { port: isToStack ? STACK : WIRE, reason: null, text: `${isToStack ? "to the parent's own stack" : 'to the wire'} ${how}` }
  }
}

export const ipvlanType: ElementType<IpvlanOptions> = {
  type: 'ipvlan',
  maxPorts: IPVLAN_PORTS_MAX,
  counters: COUNTERS,
  create: (context, options) => new Ipvlan(context, options)
}
