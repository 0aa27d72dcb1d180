/**
 * One cable that carries many VLANs (IEEE 802.1Q), taken apart: what Linux does with eth0, eth0.30 and eth0.40.
 *
 *                 |    1 -- who stands on the cable itself, untagged     0 rx, no tag -> 1 (nobody there: 4096)
 *                 | 1+30 -- VLAN 30                                      0 rx, tag 30 -> the tag is taken out -> 31
 *   cable -- 0    | 1+40 -- VLAN 40                                      31 rx        -> tag 30 is put in     -> 0
 *                 | 4096 -- the parent's own stack                       1 rx         -> 0
 *                 | 4097 -- what 1 gives to and hears of that stack      4096 rx -> 4097 (nobody there: 0), 4097 rx -> 4096
 *
 * A VLAN is there when its port is connected: the element holds nothing. Ports 4096 and 4097 let something stand on the cable beside
 * the parent's own stack (a macvlan: its ports 0 and 1 on 1 and 4097) and come and go without a change of that stack's link.
 *
 * The priority of a tag that is taken out stays with the frame, and is in the tag that is put in.
 */
import type { Element, ElementContext, ElementType } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../../wire/ethernet.ts'
import { popVlan, pushVlan, VLAN_TAG_LENGTH } from '../../wire/vlan.ts'
import { VlanDrop } from './vlan-drop.ts'

export const TrunkPort = {
  cable: 0,
  untagged: 1,
  /** Of the parent's own stack. */
  stack: 4096,
  /** What stands at `untagged` hands over and takes what is the stack's. */
  besideStack: 4097
} as const

/** 0 is no VLAN (priority only), 4095 is reserved. */
export const VLAN_ID_MIN = 1
export const VLAN_ID_MAX = 4094

/** The port of a VLAN. */
export function vlanPort(id: number): number {
  return TrunkPort.untagged + id
}

const LAST_VLAN_PORT = vlanPort(VLAN_ID_MAX)
const TAGGED_HEADER_LENGTH = ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH
/** Flags of a frame whose csumStart or hdrLen count from its first byte. */
const OFFSETS = FrameFlag.csum | FrameFlag.gso
/** Where the priority (3 bits) is kept among a frame's flags: above all flags of FrameFlag. */
const PRIORITY_SHIFT = 28
const PRIORITY_MASK = 7 << PRIORITY_SHIFT

const Counter = { rxFrames: 0, pushed: 1, popped: 2, untagged: 3 } as const
const COUNTERS = ['rxFrames', 'pushed', 'popped', 'untagged'] as const

export class VlanTrunk implements Element {
  private readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { context } = this
    const { counters } = context
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      while (!rx.empty) {
        counters[Counter.rxFrames]++
        const frame = rx.receive()
        if (port === TrunkPort.cable) this.fromCable(frame)
        else if (port === TrunkPort.stack)
          this.untagged(frame, this.isConnected(TrunkPort.besideStack) ? TrunkPort.besideStack : TrunkPort.cable)
        else if (port === TrunkPort.besideStack) this.toStack(frame)
        else if (port === TrunkPort.untagged) this.untagged(frame, TrunkPort.cable)
        else this.tag(frame, port - TrunkPort.untagged)
      }
    }
  }

  private fromCable(frame: FrameHandle): void {
    const { context } = this
    const { frames } = context
    const length = frames.length[frame]
    if (length < ETHERNET_HEADER_LENGTH) return context.drop(frame, VlanDrop.runt)
    const view = frames.view(frame)
    const at = frames.start[frame]
    const type = view.getUint16(at + ETHERNET_TYPE)
    if (type === EtherType.serviceVlan) return context.drop(frame, VlanDrop.serviceTag)
    if (type !== EtherType.vlan) return this.toParent(frame)
    if (length < TAGGED_HEADER_LENGTH) return context.drop(frame, VlanDrop.runt)
    const tci = view.getUint16(at + ETHERNET_HEADER_LENGTH)
    const id = tci & 0xfff
    if (id > VLAN_ID_MAX) return context.drop(frame, VlanDrop.reserved)
    // A tag of VLAN 0 says the priority and nothing else (802.1Q 6.9.1): the frame is an untagged one.
    if (id !== 0 && !this.isConnected(vlanPort(id))) return context.drop(frame, VlanDrop.unknown)
    this.untag(frame, tci >>> 13)
    if (id === 0) this.toParent(frame)
    else context.transmit(vlanPort(id), frame)
  }

  /** An untagged frame: for whoever stands on the cable itself. */
  private toParent(frame: FrameHandle): void {
    if (this.isConnected(TrunkPort.untagged)) this.untagged(frame, TrunkPort.untagged)
    else this.toStack(frame)
  }

  private toStack(frame: FrameHandle): void {
    if (this.isConnected(TrunkPort.stack)) this.untagged(frame, TrunkPort.stack)
    else this.context.drop(frame, VlanDrop.parent)
  }

  private untagged(frame: FrameHandle, port: number): void {
    this.context.counters[Counter.untagged]++
    this.context.transmit(port, frame)
  }

  private untag(frame: FrameHandle, priority: number): void {
    const { frames, counters } = this.context
    frames.start[frame] = popVlan(frames.bytes(frame), frames.start[frame])
    this.moved(frame, -VLAN_TAG_LENGTH)
    frames.flags[frame] = (frames.flags[frame] & ~PRIORITY_MASK) | (priority << PRIORITY_SHIFT)
    counters[Counter.popped]++
  }

  private tag(frame: FrameHandle, id: number): void {
    const { context } = this
    const { frames, counters } = context
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return context.drop(frame, VlanDrop.runt)
    if (frames.start[frame] - VLAN_TAG_LENGTH < frames.slotStart(frame)) return context.drop(frame, VlanDrop.noRoom)
    const priority = frames.flags[frame] >>> PRIORITY_SHIFT
    frames.start[frame] = pushVlan(frames.bytes(frame), frames.start[frame], EtherType.vlan, ((priority & 7) << 13) | id)
    this.moved(frame, VLAN_TAG_LENGTH)
    counters[Counter.pushed]++
    context.transmit(TrunkPort.cable, frame)
  }

  /** The frame begins `by` bytes earlier than before. */
  private moved(frame: FrameHandle, by: number): void {
    const { frames } = this.context
    frames.length[frame] += by
    frames.flags[frame] &= ~FrameFlag.captured
    if ((frames.flags[frame] & OFFSETS) === 0) return
    frames.csumStart[frame] += by
    if ((frames.flags[frame] & FrameFlag.gso) !== 0 && frames.hdrLen[frame] > 0) frames.hdrLen[frame] += by
  }

  private isConnected(port: number): boolean {
    const { ports } = this.context
    return port < ports.length && ports[port] !== null
  }
}

export const vlanTrunkType: ElementType = {
  type: 'vlan-trunk',
  maxPorts: LAST_VLAN_PORT + 3,
  counters: COUNTERS,
  create: (context) => new VlanTrunk(context)
}
