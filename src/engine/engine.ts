/**
 * Runs a graph of elements to completion, turn by turn.
 *
 *   turn: read the time -> fire timers -> pull devices -> push elements until none has work
 *
 * Elements with waiting frames stand in a queue in the order in which they got work, so a turn costs what is active and not
 * what exists. The topology is data: `configure` compares it with the running one and applies the difference between turns, `patch`
 * is told the difference and costs no more than that.
 */
import type { Clock } from './clock.ts'
import { CounterRegistry } from './counters.ts'
import type { DropWatch, ElementRegistry, Plain, PollRegistry, Reply } from './element.ts'
import type { ElementNode } from './element-node.ts'
import { type FrameHandle, FramePool, type FramePoolOptions } from './frame-pool.ts'
import { FrameWheel } from './frame-wheel.ts'
import { Graph } from './graph.ts'
import type { Port } from './link.ts'
import { TimerQueue } from './timer-queue.ts'
import { EMPTY_TOPOLOGY, type Topology, TopologyError, type TopologyPatch } from './topology.ts'
import { TRACE_SESSIONS_MAX, type TraceFilter, Tracer } from './tracer.ts'

/** Pushes per turn at most: a loop of elements cannot keep the engine from its devices and timers. */
const PUSHES_PER_TURN = 16_384

export interface EngineOptions {
  readonly clock: Clock
  readonly elements: ElementRegistry
  /** Names every random draw of this engine. */
  readonly seed?: number | string
  readonly pool?: FramePoolOptions
  /** Wakes the engine's host; without one every device is pulled each turn. */
  readonly poller?: PollRegistry
  /** What elements tell the control plane. */
  readonly onEvent?: (element: string, event: Plain) => void
}

export class Engine {
  readonly clock: Clock
  readonly seed: number | string
  readonly frames: FramePool
  readonly counters = new CounterRegistry()
  readonly timers = new TimerQueue()
  /** Frames that elements gave to be kept until their time. */
  readonly wheel: FrameWheel
  readonly tracer = new Tracer()
  /** Nanoseconds since the start, as of this turn. */
  now = 0
  /** Who hears of drops; null: nobody. */
  dropWatch: DropWatch | null = null
  private readonly graph: Graph
  private readonly poller: PollRegistry | null
  private readonly onEvent: (element: string, event: Plain) => void
  /** The graph's own lists: of nodes by number, and of devices that no descriptor announces and that are pulled each turn. */
  private readonly byNumber: readonly (ElementNode | undefined)[]
  private readonly unpolled: readonly ElementNode[]
  /** Devices that said "more": to be pulled in the next turn; `pullCount` of them. */
  private pulls: (ElementNode | null)[] = []
  private pullCount = 0
  /** The list of the turn before, used again. */
  private sparePulls: (ElementNode | null)[] = []
  private turns = 0
  /** Ring of nodes with work. */
  private queue: ElementNode[] = new Array(64)
  private queueHead = 0
  private queueCount = 0
  private packets = 0
  private readonly resources = new Map<string, unknown>()

  constructor(options: EngineOptions) {
    this.clock = options.clock
    this.seed = options.seed ?? 1
    this.frames = new FramePool(options.pool)
    this.wheel = new FrameWheel(this.frames, this.timers)
    this.poller = options.poller ?? null
    this.onEvent = options.onEvent ?? (() => {})
    this.now = this.clock.now()
    this.graph = new Graph(this, options.elements, options.poller !== undefined)
    this.byNumber = this.graph.byNumber
    this.unpolled = this.graph.unpolled
  }

  /** Makes the graph be `next`: see Graph.configure. */
  configure(next: Topology): void {
    this.graph.configure(next)
  }

  /** Changes a part of the graph: see Graph.patch. */
  patch(patch: TopologyPatch): unknown[] {
    return this.graph.patch(patch)
  }

  /** Takes removed elements out of the run queue: nothing is left for them to do, and a host must not stay awake for them. */
  forgetRemoved(): void {
    const mask = this.queue.length - 1
    const waiting = this.queueCount
    this.queueCount = 0
    for (let i = 0; i < waiting; i++) {
      const node = this.queue[(this.queueHead + i) & mask]
      if (this.byNumber[node.number] === node) this.queue[(this.queueHead + this.queueCount++) & mask] = node
      else node.queued = false
    }
  }

  /**
   * One turn at the clock's time. `ready[0..count-1]` are numbers of devices that the poller named.
   * True when work is left, so that the host must not sleep.
   */
  turn(ready?: Int32Array, count = 0): boolean {
    this.now = this.clock.now()
    if (this.timers.reach(this)) this.timers.fireDue(this.now)
    this.pullDevices(ready, count)
    let pushes = 0
    while (this.queueCount > 0 && pushes++ < PUSHES_PER_TURN) {
      const node = this.queue[this.queueHead]
      this.queueHead = (this.queueHead + 1) & (this.queue.length - 1)
      this.queueCount--
      node.queued = false
      if (this.tracer.active) node.tracedPush()
      else node.element.push()
    }
    return this.queueCount > 0 || this.pullCount > 0 || this.timers.reach(this)
  }

  /** Those that are named, those that said "more", those that nobody announces: each once. */
  private pullDevices(ready: Int32Array | undefined, count: number): void {
    this.turns = (this.turns + 1) & 0x3fffffff
    const waiting = this.pulls
    const waitingCount = this.pullCount
    this.pulls = this.sparePulls
    this.pullCount = 0
    this.sparePulls = waiting
    for (let i = 0; i < count; i++) {
      const node = this.byNumber[ready![i]]
      if (node !== undefined) this.pull(node)
    }
    for (let i = 0; i < waitingCount; i++) {
      this.pull(waiting[i]!)
      waiting[i] = null
    }
    for (let i = 0; i < this.unpolled.length; i++) this.pull(this.unpolled[i])
  }

  private pull(node: ElementNode): void {
    if (node.pulledIn === this.turns || this.byNumber[node.number] !== node) return // pulled already, or removed meanwhile
    node.pulledIn = this.turns
    if (node.element.pull?.()) this.pulls[this.pullCount++] = node
  }

  /** True when elements or devices have work that a turn would do now. */
  get busy(): boolean {
    return this.queueCount > 0 || this.pullCount > 0
  }

  /**
   * Follows the next `count` frames that match, and of those only what enters by one of some elements; 0 ends the session. Throws
   * TopologyError for an element that is not there, and when too many follow frames already.
   */
  traceFrames(session: number, count: number, elements?: readonly string[], filter: TraceFilter | null = null): void {
    const numbers = elements && new Set(elements.map((name) => this.numberOf(name)))
    const isWanted: TraceFilter | null =
      numbers === undefined ? filter : (frames, frame) => numbers.has(frames.ingress[frame]) && (filter === null || filter(frames, frame))
    if (this.tracer.start(session, count, isWanted)) return
    throw new TopologyError(`${TRACE_SESSIONS_MAX} traces are running already: wait for one to end`)
  }

  private numberOf(name: string): number {
    const node = this.graph.get(name)
    if (node === undefined) throw new TopologyError(`there is no element '${name}'`)
    return node.number
  }

  /** When the next timer is due, nanoseconds; Infinity when none is. */
  get nextDeadline(): number {
    return this.timers.next
  }

  /** Asks an element for something, between two turns. Errors come by `reply`. */
  command(name: string, verb: string, argument: Plain, reply: Reply): void {
    const element = this.graph.get(name)?.element
    if (element === undefined) return reply(new TopologyError(`there is no element '${name}'`))
    if (element.command === undefined) return reply(new TopologyError(`'${name}' takes no commands`))
    this.now = this.clock.now()
    try {
      element.command(verb, argument, reply)
    } catch (error) {
      reply(error as Error)
    }
  }

  /**
   * Keeps a live thing (shared memory, an object of this thread) under a name by which options refer to it: a topology stays
   * data that can be compared. `undefined` forgets it.
   */
  share(name: string, value: unknown): void {
    if (value === undefined) this.resources.delete(name)
    else this.resources.set(name, value)
  }

  resource(name: string): unknown {
    return this.resources.get(name)
  }

  /** The running topology. */
  get running(): Topology {
    return this.graph.running
  }

  /** Closes every element; then throws what the first failing one threw. The engine can be configured again. */
  close(): void {
    try {
      this.configure(EMPTY_TOPOLOGY)
    } finally {
      this.queueCount = 0
      this.pullCount = 0
    }
  }

  // What elements ask for through their node.

  enqueue(node: ElementNode): void {
    node.queued = true
    if (this.queueCount === this.queue.length) this.growQueue()
    this.queue[(this.queueHead + this.queueCount++) & (this.queue.length - 1)] = node
  }

  countIngressDrop(frame: FrameHandle, reason: number): void {
    const drops = this.byNumber[this.frames.ingress[frame]]?.ingressDrops
    if (drops !== undefined && drops.length > 0) drops[reason]++
  }

  /** The same for `handles[0..count-1]`, of which most neighbors came in at one element. */
  countIngressDrops(handles: Int32Array, count: number, reason: number): void {
    const { ingress } = this.frames
    for (let from = 0; from < count; ) {
      const number = ingress[handles[from]]
      let to = from + 1
      while (to < count && ingress[handles[to]] === number) to++
      const drops = this.byNumber[number]?.ingressDrops
      if (drops !== undefined && drops.length > 0) drops[reason] += to - from
      from = to
    }
  }

  tellDrop(frame: FrameHandle, reason: number, element: string): void {
    this.dropWatch!(frame, reason, element, this.byNumber[this.frames.ingress[frame]]?.name ?? '')
  }

  nextPacketId(): number {
    // 31 bits: 0 stands for "none".
    return (this.packets = (this.packets + 1) & 0x7fffffff || 1)
  }

  /** The first of `count` packet ids in a row. */
  takePacketIds(count: number): number {
    // A row does not go past the end: it begins again, some ids are left out.
    if (this.packets + count > 0x7fffffff) this.packets = 0
    const first = this.packets + 1
    this.packets += count
    return first
  }

  emit(element: string, event: Plain): void {
    this.onEvent(element, event)
  }

  portOf(element: string, port: number): Port | null {
    return this.graph.get(element)?.ports[port] ?? null
  }

  poll(fd: number, node: number): void {
    this.poller?.add(fd, node)
  }

  unpoll(fd: number): void {
    this.poller?.remove(fd)
  }

  private growQueue(): void {
    const bigger: ElementNode[] = new Array(this.queue.length * 2)
    for (let i = 0; i < this.queueCount; i++) bigger[i] = this.queue[(this.queueHead + i) & (this.queue.length - 1)]
    this.queue = bigger
    this.queueHead = 0
  }
}
