/**
 * Watches the links of all endpoints and breaks them on purpose: README.md.
 *
 *   endpoint --- port 2 * slot     | out: watched, then broken | port 2 * slot + 1 --- network
 *   endpoint --- port 2 * slot     | in: broken, then watched  | port 2 * slot + 1 --- network
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { completeChecksum } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { ProbeDrop } from './probe-drop.ts'
import { type FaultCommand, ProbeRule, type WatchCommand } from './probe-rule.ts'
import { type Fate, type ProbedFrame, RecentFrames } from './recent-frames.ts'

/** As many as a DNS service has ports. */
const SLOTS_MAX = 65_536
const Counter = { frames: 0, matched: 1, duplicated: 2, corrupted: 3 } as const
const PASSES = -1

/** Arguments by verb. */
export interface ProbeCommands {
  watch: WatchCommand
  fault: FaultCommand
  forget: { readonly id: number }
  cut: { readonly slot: number; readonly on: boolean }
  partition: { readonly id: number; readonly groups: readonly (readonly number[])[] }
  recent: Record<string, never>
}

export interface ProbeEvent {
  readonly kind: 'watch' | 'fault'
  readonly id: number
  readonly frame: ProbedFrame
}

export class Probe implements Element {
  private readonly context: ElementContext
  private readonly view = new PacketView()
  private readonly recent = new RecentFrames()
  private readonly watches = new Map<number, ProbeRule>()
  private readonly faults = new Map<number, ProbeRule>()
  private readonly cuts = new Set<number>()
  /** Group by slot, of each partition. */
  private readonly partitions = new Map<number, ReadonlyMap<number, number>>()
  /** The slot from which frames of an element come, by the element's number. */
  private readonly origins: number[] = []

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      context.counters[Counter.frames] += rx.size
      while (!rx.empty) this.cross(rx.receive(), port >> 1, (port & 1) === 0)
    }
  }

  portsChanged(): void {
    // Who comes to a slot that was left has a link of his own.
    for (const slot of this.cuts) if (!this.context.ports[2 * slot]) this.cuts.delete(slot)
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    switch (verb) {
      case 'watch': {
        const rule = new ProbeRule(argument as WatchCommand)
        this.watches.set(rule.id, rule)
        return reply(null)
      }
      case 'fault': {
        const rule = new ProbeRule(argument as FaultCommand)
        this.faults.set(rule.id, rule)
        return reply(null)
      }
      case 'forget': {
        const { id } = argument as ProbeCommands['forget']
        this.watches.delete(id)
        this.faults.delete(id)
        this.partitions.delete(id)
        return reply(null)
      }
      case 'cut': {
        const { slot, on } = argument as ProbeCommands['cut']
        if (on) this.cuts.add(slot)
        else this.cuts.delete(slot)
        return reply(null)
      }
      case 'partition': {
        const { id, groups } = argument as ProbeCommands['partition']
        this.partitions.set(id, new Map(groups.flatMap((slots, group) => slots.map((slot) => [slot, group]))))
        return reply(null)
      }
      case 'recent':
        return reply(null, this.recent.list())
      default:
        throw new TypeError(`a probe has no command '${verb}'`)
    }
  }

  private cross(frame: FrameHandle, slot: number, isOut: boolean): void {
    const { context, watches, faults } = this
    const { frames } = context
    this.recent.add(frames, frame, context.now, slot, isOut)
    if (isOut) this.origins[frames.ingress[frame]] = slot
    if (isOut && watches.size > 0) this.watch(frame, slot, isOut)
    const reason = this.judge(frame, slot, isOut)
    if (reason !== PASSES) {
      this.recent.mark('dropped')
      return context.drop(frame, reason)
    }
    // What is corrupted or doubled by one fault is judged by those that follow, too.
    if (faults.size > 0 && this.breakFrame(frame, slot, isOut)) return
    if (!isOut && watches.size > 0) this.watch(frame, slot, isOut)
    context.transmit(2 * slot + (isOut ? 1 : 0), frame)
  }

  /** The reason why the link does not carry it, or PASSES. */
  private judge(frame: FrameHandle, slot: number, isOut: boolean): number {
    if (this.cuts.has(slot)) return ProbeDrop.cut
    if (isOut || this.partitions.size === 0) return PASSES
    const origin = this.origins[this.context.frames.ingress[frame]]
    if (origin === undefined) return PASSES
    for (const groups of this.partitions.values()) {
      const from = groups.get(origin)
      const to = groups.get(slot)
      if (from !== undefined && to !== undefined && from !== to) return ProbeDrop.partition
    }
    return PASSES
  }

  private watch(frame: FrameHandle, slot: number, isOut: boolean): void {
    const packetId = this.context.frames.packetId[frame]
    this.look(frame)
    for (const rule of this.watches.values()) {
      if (!rule.takes(this.view, slot, isOut, packetId)) continue
      this.tell('watch', rule.id, frame, slot, isOut, 'passed')
      if (rule.isOver) this.watches.delete(rule.id)
    }
  }

  /** True when the frame is gone. */
  private breakFrame(frame: FrameHandle, slot: number, isOut: boolean): boolean {
    const { context } = this
    const { frames } = context
    const packetId = frames.packetId[frame]
    this.look(frame)
    for (const rule of this.faults.values()) {
      if (!rule.takes(this.view, slot, isOut, packetId)) continue
      const fate = rule.action === 'drop' ? 'dropped' : rule.action === 'duplicate' ? 'duplicated' : 'corrupted'
      this.tell('fault', rule.id, frame, slot, isOut, fate)
      this.recent.mark(fate)
      if (rule.isOver) this.faults.delete(rule.id)
      if (rule.action === 'drop') {
        context.drop(frame, ProbeDrop.fault)
        return true
      }
      if (rule.action === 'corrupt') this.corrupt(frame)
      else this.duplicate(frame, rule.copies, slot, isOut)
    }
    return false
  }

  private duplicate(frame: FrameHandle, copies: number, slot: number, isOut: boolean): void {
    const { context } = this
    for (let i = 0; i < copies; i++) {
      const copy = context.frames.copy(frame)
      if (copy === NO_FRAME) return
      context.counters[Counter.duplicated]++
      context.transmit(2 * slot + (isOut ? 1 : 0), copy)
    }
  }

  /** Flips a bit behind the Ethernet header. */
  private corrupt(frame: FrameHandle): void {
    const { context, view } = this
    const { frames } = context
    const length = frames.length[frame]
    if (length <= ETHERNET_HEADER_LENGTH) return
    const bytes = frames.bytes(frame)
    const start = frames.start[frame]
    if ((frames.flags[frame] & FrameFlag.csum) !== 0) {
      completeChecksum(bytes, start, frames.csumStart[frame], frames.csumOffset[frame], view.end)
    }
    frames.flags[frame] &= ~(FrameFlag.csum | FrameFlag.csumValid | FrameFlag.captured)
    // Within the packet: behind it is padding, which nobody looks at.
    const end = Math.max(view.end - start, ETHERNET_HEADER_LENGTH + 1)
    const bit = context.random.below((end - ETHERNET_HEADER_LENGTH) * 8)
    bytes[start + ETHERNET_HEADER_LENGTH + (bit >> 3)] ^= 1 << (bit & 7)
    context.counters[Counter.corrupted]++
  }

  private look(frame: FrameHandle): void {
    const { frames } = this.context
    const start = frames.start[frame]
    this.view.readFrame(frames.bytes(frame), start, start + frames.length[frame])
  }

  private tell(kind: ProbeEvent['kind'], id: number, frame: FrameHandle, slot: number, isOut: boolean, fate: Fate): void {
    const { frames, now, counters } = this.context
    const start = frames.start[frame]
    const length = frames.length[frame]
    counters[Counter.matched]++
    const event: ProbeEvent = {
      kind,
      id,
      frame: {
        time: now,
        slot,
        way: isOut ? 'out' : 'in',
        packetId: frames.packetId[frame],
        length,
        bytes: frames.bytes(frame).slice(start, start + length),
        fate
      }
    }
    this.context.emit(event)
  }
}

/** Commands and events: README.md. */
export const probeType: ElementType = {
  type: 'probe',
  maxPorts: 2 * SLOTS_MAX,
  counters: Object.keys(Counter),
  create: (context) => new Probe(context)
}
