/**
 * An element at its place in the graph: its ports, its counters, what it may ask of the engine.
 */
import { DROP_REASONS_MAX, dropReasons, EngineDrop } from './drop-reason.ts'
import type { DropWatch, Element, ElementContext, ElementType, Plain } from './element.ts'
import type { Engine } from './engine.ts'
import { FrameFlag, type FrameHandle, type FramePool } from './frame-pool.ts'
import type { WheelTarget } from './frame-wheel.ts'
import type { Port } from './link.ts'
import { Random } from './random.ts'
import type { Timer } from './timer-queue.ts'
import type { TopologyLink } from './topology.ts'
import type { TraceKind } from './tracer.ts'

const NO_DROPS = new Float64Array(0)

/** What stands at a node before its element is made and after it is closed. */
const NO_ELEMENT: Element = { push() {} }

export class ElementNode implements ElementContext, WheelTarget {
  readonly name: string
  readonly number: number
  readonly type: ElementType
  readonly frames: FramePool
  readonly ports: (Port | null)[] = []
  /** What the topology says of each port's link; as long as `ports`. */
  readonly cables: (TopologyLink | null)[] = []
  readonly counters: Float64Array
  readonly random: Random
  /** Frames that ended here, by reason. */
  readonly drops: Float64Array
  /** Frames that entered here and ended anywhere, by reason; empty for elements where nothing enters. */
  ingressDrops: Float64Array = NO_DROPS
  /** The turn in which the device was pulled last. */
  pulledIn = -1
  /** True while the node waits in the engine's run queue. */
  queued = false
  options: Plain
  element: Element = NO_ELEMENT
  private readonly engine: Engine
  private readonly timers = new Set<Timer>()
  private readonly fds = new Set<number>()
  /** The number by which the engine's wheel knows this node; -1: it has given it no frame. */
  private wheelTarget = -1
  /** Ports with waiting frames, oldest first; each stands in it at most once. */
  private ready = new Int32Array(4)
  private readyHead = 0
  private readyCount = 0

  constructor(engine: Engine, name: string, number: number, type: ElementType, options: Plain) {
    this.engine = engine
    this.name = name
    this.number = number
    this.type = type
    this.options = options
    this.frames = engine.frames
    this.counters = engine.counters.block(name, 'counters', type.counters)
    this.drops = engine.counters.block(name, 'drops', dropCounterNames())
    // By name and not by order of creation: adding one element does not change what another draws.
    this.random = new Random(`${engine.seed}/${name}`)
  }

  get now(): number {
    return this.engine.now
  }

  get epochNs(): bigint {
    return this.engine.clock.epochNs
  }

  drop(frame: FrameHandle, reason: number): void {
    this.drops[reason]++
    this.engine.countIngressDrop(frame, reason)
    if ((this.frames.flags[frame] & FrameFlag.traced) !== 0) this.recordStep(frame, 'drop', dropReasons()[reason].name)
    if (this.engine.dropWatch !== null) this.engine.tellDrop(frame, reason, this.name)
    this.frames.free(frame)
  }

  dropAll(handles: Int32Array, count: number, reason: number): void {
    const { engine } = this
    if (engine.tracer.active || engine.dropWatch !== null) {
      for (let i = 0; i < count; i++) this.drop(handles[i], reason)
      return
    }
    this.drops[reason] += count
    engine.countIngressDrops(handles, count, reason)
    this.frames.freeAll(handles, count)
  }

  dropLinkFull(frame: FrameHandle): void {
    this.drop(frame, EngineDrop.linkFull)
  }

  transmit(port: number, frame: FrameHandle): void {
    const to = this.ports[port]
    if (to === null || to === undefined) this.drop(frame, EngineDrop.unlinked)
    else to.tx.transmit(frame)
  }

  portOf(element: string, port: number): Port | null {
    return this.engine.portOf(element, port)
  }

  nextReady(): number {
    while (this.readyCount > 0) {
      const port = this.ready[this.readyHead]
      this.readyHead = (this.readyHead + 1) & (this.ready.length - 1)
      this.readyCount--
      const link = this.ports[port]
      if (link === null || link === undefined) continue // disconnected while it waited
      link.rx.listed = 0
      if (!link.rx.empty) return port // else: connected anew while it waited
    }
    return -1
  }

  again(port: number): void {
    const link = this.ports[port]
    if (!link || link.rx.listed === 1) return
    link.rx.listed = 1
    this.markReady(port)
  }

  /** A link to `port` got its first frame. */
  markReady(port: number): void {
    if (this.readyCount === this.ready.length) this.growReady()
    this.ready[(this.readyHead + this.readyCount++) & (this.ready.length - 1)] = port
    if (!this.queued) this.engine.enqueue(this)
  }

  schedule(): void {
    if (!this.queued) this.engine.enqueue(this)
  }

  hold(port: number, frame: FrameHandle, due: number): void {
    const { engine } = this
    if (this.wheelTarget < 0) this.wheelTarget = engine.wheel.addTarget(this)
    engine.wheel.hold(frame, due, engine, this.wheelTarget, port)
  }

  holdAll(port: number, frames: Int32Array, dues: Float64Array, count: number): void {
    const { engine } = this
    if (this.wheelTarget < 0) this.wheelTarget = engine.wheel.addTarget(this)
    engine.wheel.holdAll(frames, dues, count, engine, this.wheelTarget, port)
  }

  /** The wheel gives frames back: see WheelTarget. */
  release(frames: Int32Array, count: number, port: number, isLast: boolean): number {
    const to = this.ports[port]
    if (to === null || to === undefined) {
      for (let i = 0; i < count; i++) this.drop(frames[i], EngineDrop.unlinked)
      return count
    }
    const fitting = Math.min(count, to.tx.space)
    if (fitting === 0 && isLast) {
      to.tx.transmit(frames[0]) // which drops it
      return 1
    }
    to.tx.transmitAll(frames, fitting)
    return fitting
  }

  enter(frame: FrameHandle): void {
    const { engine, frames } = this
    if (this.ingressDrops === NO_DROPS) this.countIngress()
    frames.ingress[frame] = this.number
    frames.timestamp[frame] = engine.now
    frames.packetId[frame] = engine.nextPacketId()
    // A slot that is used again for an answer stands in captures as what it was before.
    frames.flags[frame] &= ~FrameFlag.captured
    if (engine.tracer.active) this.traceEntry(frame)
  }

  enterAll(handles: Int32Array, count: number): void {
    const { engine } = this
    if (this.ingressDrops === NO_DROPS) this.countIngress()
    this.frames.enterAll(handles, count, this.number, engine, engine.takePacketIds(count))
    if (engine.tracer.active) for (let i = 0; i < count; i++) this.traceEntry(handles[i])
  }

  private countIngress(): void {
    this.ingressDrops = this.engine.counters.block(this.name, 'ingress', dropCounterNames())
  }

  private traceEntry(frame: FrameHandle): void {
    if (!this.engine.tracer.wants(this.frames, frame)) return
    this.frames.flags[frame] |= FrameFlag.traced
    this.recordStep(frame, 'enter', '')
  }

  /** The same as the element's own, with the followed frames noted that wait at its ports before and that it has handed on after. */
  tracedPush(): void {
    const { ports } = this
    const sent = ports.map((port) => port?.tx.size ?? 0)
    for (let number = 0; number < ports.length; number++) {
      const rx = ports[number]?.rx
      for (let i = 0; rx !== undefined && i < rx.size; i++) this.traceAt(rx.at(i), 'arrive', `port ${number}`)
    }
    this.element.push()
    for (let number = 0; number < ports.length; number++) {
      const tx = ports[number]?.tx
      for (let i = sent[number]; tx !== undefined && i < tx.size; i++) this.traceAt(tx.at(i), 'leave', tx.consumer.name)
    }
  }

  private traceAt(frame: FrameHandle, kind: TraceKind, text: string): void {
    if ((this.frames.flags[frame] & FrameFlag.traced) !== 0) this.recordStep(frame, kind, text)
  }

  private recordStep(frame: FrameHandle, kind: TraceKind, text: string): void {
    // The clock's own time and not the turn's: how long elements took is what a walk is looked at for.
    this.engine.tracer.record(this.frames, frame, this.engine.clock.now(), this.name, kind, text)
  }

  timer(fire: (now: number) => void): Timer {
    const timer = this.engine.timers.timer(fire)
    this.timers.add(timer)
    return timer
  }

  emit(event: Plain): void {
    this.engine.emit(this.name, event)
  }

  trace(frame: FrameHandle, text: string, until?: number): void {
    this.engine.tracer.record(this.frames, frame, this.engine.clock.now(), this.name, 'note', text, until)
  }

  watchDrops(watch: DropWatch | null): void {
    this.engine.dropWatch = watch
  }

  resource(name: string): unknown {
    return this.engine.resource(name)
  }

  poll(fd: number): void {
    this.fds.add(fd)
    this.engine.poll(fd, this.number)
  }

  unpoll(fd: number): void {
    if (this.fds.delete(fd)) this.engine.unpoll(fd)
  }

  /** Ends the element; its place in the graph, ports and counters stay for another one. */
  closeElement(): void {
    const { element } = this
    // Whoever still has the node in a queue finds an element that does nothing.
    this.element = NO_ELEMENT
    try {
      element.close?.()
    } finally {
      if (this.wheelTarget >= 0) this.engine.wheel.removeTarget(this.wheelTarget, (frame) => this.drop(frame, EngineDrop.reconfigured))
      this.wheelTarget = -1
      for (const timer of this.timers) timer.disarm()
      this.timers.clear()
      for (const fd of [...this.fds]) this.unpoll(fd)
    }
  }

  /** The engine takes the element out of the graph; its links are gone already. */
  close(): void {
    try {
      this.closeElement()
    } finally {
      this.engine.counters.release(this.counters)
      this.engine.counters.release(this.drops)
      if (this.ingressDrops !== NO_DROPS) this.engine.counters.release(this.ingressDrops)
    }
  }

  private growReady(): void {
    const bigger = new Int32Array(this.ready.length * 2)
    for (let i = 0; i < this.readyCount; i++) bigger[i] = this.ready[(this.readyHead + i) & (this.ready.length - 1)]
    this.ready = bigger
    this.readyHead = 0
  }
}

let dropNames: readonly string[] = []
let dropNamesOf = -1

/**
 * Names for a block indexed by drop reason: the declared ones, then blanks for modules loaded later. All blocks share one
 * array: a layout that goes to another thread then has it once and not once per element.
 */
function dropCounterNames(): readonly string[] {
  const reasons = dropReasons()
  if (dropNamesOf !== reasons.length) {
    dropNamesOf = reasons.length
    dropNames = Array.from({ length: DROP_REASONS_MAX }, (_, index) => reasons[index]?.name ?? '')
  }
  return dropNames
}
