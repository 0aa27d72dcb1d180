/**
 * What macvlan and ipvlan have in common: one parent interface, the children that share it, and how frames leave to them. Whose a
 * frame is, the class that extends this one says.
 *
 *                      | 2 -- child
 *   wire  -- 0 |       | 3 -- child
 *   stack -- 1 |       | ...
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Super-frames pass whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link, Port } from '../../engine/link.ts'
import { FIRST_CHILD } from './parent-options.ts'

const wire = 0
const stack = 1
const all = -2
/** The wire: the parent as its driver sees it. */
export const WIRE = wire
/** The parent's own stack. */
export const STACK = stack
/** In place of a child that gets no copy: none is left out. */
export const NOBODY = -1
/** In place of a child that gets no copy: none of them does. */
export const ALL = all

// Constants of this module are part of the code that V8 makes; those that it imports, or exports, are looked up at every use.
const BATCH = 256
const batch = new Int32Array(BATCH)
const egress = new Int32Array(BATCH)
/** Frames of one port, and the ports they leave by. All parents of a thread share them: nothing is left in them by `push`. */
export const PARENT_BATCH = batch
export const PARENT_EGRESS = egress

export const PARENT_COUNTERS = ['rxFrames', 'forwarded', 'flooded', 'copies', 'copyFailures'] as const
const Counter = { rxFrames: 0, forwarded: 1, flooded: 2, copies: 3, copyFailures: 4 } as const

/** Why frames end that are for a port that is not connected. */
export interface ParentDrops {
  /** For the stack. */
  readonly parent: number
  /** For the wire. */
  readonly noWire: number
}

export abstract class Parent implements Element {
  protected readonly context: ElementContext
  protected readonly frames: FramePool
  /** Where each port sends, null where nothing is connected. */
  protected links: (Link | null)[] = []
  private readonly ports: readonly (Port | null)[]
  private readonly drops: ParentDrops
  /** Ports of children that are connected, ascending. */
  private childPorts = new Int32Array(0)

  /** Who extends it calls `portsChanged` at its end: an element made anew behind existing links is not told of them. */
  protected constructor(context: ElementContext, drops: ParentDrops) {
    this.context = context
    this.frames = context.frames
    this.ports = context.ports
    this.drops = drops
  }

  /** `ports`: of children, ascending, connected or not. */
  protected abstract readonly children: { readonly ports: Int32Array }

  /** `PARENT_BATCH[0..count-1]`, which came in by a port: all of them are to be sent or dropped. */
  protected abstract forwardAll(count: number, ingress: number): void

  abstract reconfigure(options: Plain): boolean
  abstract update(change: Plain): Plain
  abstract command(verb: string, argument: Plain, reply: Reply): void

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

  /** Sends `PARENT_BATCH[from..to-1]` by the ports in `PARENT_EGRESS`. */
  protected send(from: number, to: number): void {
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

  /**
   * To all children but one, NOBODY, or ALL, and to `outside`. The frame itself goes to the last of them; where the pool is exhausted,
   * children are left out and counted.
   */
  protected flood(frame: FrameHandle, ingress: number, except: number, outside: number): void {
    const { frames, links, childPorts } = this
    const { counters } = this.context
    let last = links[outside]
    let copies = 0
    if (except !== all) {
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

  protected toOne(frame: FrameHandle, ingress: number, port: number, why: string): void {
    const { context, frames } = this
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `from port ${ingress} to ${port}: ${why}`)
    const link = this.links[port]
    if (link === null) return this.dropAt(frame, port)
    context.counters[Counter.forwarded]++
    link.transmit(frame)
  }

  /** `is_skb_forwardable` of the kernel: what a child sends to another passes no wire that would cut it. */
  protected isTooLong(frame: FrameHandle, longest: number): boolean {
    return this.frames.length[frame] > longest && (this.frames.flags[frame] & FrameFlag.gso) === 0
  }

  /** Nothing is connected to the port. */
  private dropAt(frame: FrameHandle, port: number): void {
    const { parent, noWire } = this.drops
    this.context.drop(frame, port === stack ? parent : port === wire ? noWire : EngineDrop.unlinked)
  }

  portsChanged(): void {
    const { ports, children } = this
    const count = Math.max(ports.length, FIRST_CHILD, (children.ports.at(-1) ?? 0) + 1)
    this.links = Array.from({ length: count }, (_, port) => ports[port]?.tx ?? null)
    this.childPorts = children.ports.filter((port) => this.links[port] !== null)
  }
}
