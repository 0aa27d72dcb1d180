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
 */
import type { ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { formatMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, ETHERNET_TYPE, EtherType, setMac } from '../../wire/ethernet.ts'
import { NOBODY, PARENT_BATCH, PARENT_COUNTERS, PARENT_EGRESS, Parent, STACK, WIRE } from '../parent/parent.ts'
import { PARENT_PORTS_MAX } from '../parent/parent-options.ts'
import { NO_CHILD } from './address-table.ts'
import { Children } from './children.ts'
import { type FindAddress, findAddressFor } from './find-address.ts'
import { IpvlanDrop } from './ipvlan-drop.ts'
import { type IpvlanChange, type IpvlanOptions, type IpvlanSettings, readIpvlanOptions } from './ipvlan-options.ts'
import { childOf, Side } from './packet-address.ts'

const GROUP_BIT = 0x0100

export interface IpvlanQuestion {
  /** Where the frame comes in. */
  readonly port: number
  /** Its MAC. */
  readonly destination: string
  /** Its IP address; without one only the MAC is looked at. */
  readonly address?: string
}

export class Ipvlan extends Parent {
  protected readonly children = new Children()
  private readonly findAddress: FindAddress
  private settings: IpvlanSettings

  /** Throws IpvlanOptionError. */
  constructor(context: ElementContext, options: IpvlanOptions) {
    super(context, IpvlanDrop)
    this.findAddress = findAddressFor(context.frames, PARENT_BATCH, PARENT_EGRESS)
    this.settings = readIpvlanOptions(options)
    this.portsChanged()
  }

  /** `PARENT_BATCH[0..count-1]`, of which runs of IPv4 packets for known children go at once. */
  protected forwardAll(count: number, ingress: number): void {
    const { findAddress, settings, children } = this
    const { mac, flag, longest } = settings
    const isLookedUp = ingress === WIRE || (ingress !== STACK && flag === 'bridge')
    for (let at = 0; at < count; ) {
      const known = isLookedUp ? findAddress(at, count, children.table, longest, mac.hi, mac.lo) : at
      this.send(at, known)
      // What ended the run is looked at again where it may begin one: it may only lie in another chunk.
      if (known === at) this.relay(PARENT_BATCH[at++], ingress)
      else at = known
    }
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
    const child = isForRouting && isAddressed ? this.child(frame, Side.destination) : NO_CHILD
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
    const child = this.settings.flag === 'vepa' ? NO_CHILD : this.child(frame, Side.destination)
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
    const { context, settings } = this
    if (settings.flag === 'private') return context.drop(frame, IpvlanDrop.isPrivate)
    if (this.isTooLong(frame, settings.longest)) return context.drop(frame, IpvlanDrop.oversize)
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
    const child = address === undefined || (port !== WIRE && flag === 'vepa') ? NO_CHILD : this.children.find(address)
    const how = `(ipvlan, mode ${mode}, flag ${flag})`
    if (child >= 0 && port !== WIRE && flag === 'private') return { port: null, reason: 'ipvlan.isPrivate', text: `dropped ${how}` }
    if (child >= 0) return { port: child, reason: null, text: `to the child at port ${child} ${how}` }
    const isToStack = port === WIRE || mode !== 'l2'
    return { port: isToStack ? STACK : WIRE, reason: null, text: `${isToStack ? "to the parent's own stack" : 'to the wire'} ${how}` }
  }
}

export const ipvlanType: ElementType<IpvlanOptions> = {
  type: 'ipvlan',
  maxPorts: PARENT_PORTS_MAX,
  counters: PARENT_COUNTERS,
  create: (context, options) => new Ipvlan(context, options)
}
