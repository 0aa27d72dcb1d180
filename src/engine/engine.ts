/**
 * Runs a graph of elements to completion, turn by turn.
 *
 *   turn: read the time -> fire timers -> pull devices -> push elements until none has work
 *
 * Elements with waiting frames stand in a queue in the order in which they got work, so a turn costs what is active and not
 * what exists. The topology is data: `configure` compares it with the running one and applies the difference between turns.
 */
import type { Clock } from './clock.ts'
import { CounterRegistry } from './counters.ts'
import { EngineDrop } from './drop-reason.ts'
import type { ElementRegistry, Plain, PollRegistry, Reply } from './element.ts'
import { ElementNode } from './element-node.ts'
import { type FrameHandle, FramePool, type FramePoolOptions } from './frame-pool.ts'
import { Link } from './link.ts'
import { TimerQueue } from './timer-queue.ts'
import {
  checkTopology,
  diffTopology,
  EMPTY_TOPOLOGY,
  type Topology,
  type TopologyElement,
  TopologyError,
  type TopologyLink
} from './topology.ts'
import { Tracer } from './tracer.ts'

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
  readonly tracer = new Tracer()
  /** Nanoseconds since the start, as of this turn. */
  now = 0
  private readonly registry: ElementRegistry
  private readonly poller: PollRegistry | null
  private readonly onEvent: (element: string, event: Plain) => void
  private topology: Topology = EMPTY_TOPOLOGY
  private readonly nodes = new Map<string, ElementNode>()
  private readonly byNumber: (ElementNode | undefined)[] = []
  private readonly freeNumbers: number[] = []
  /** Devices that no descriptor announces: pulled each turn. */
  private unpolled: ElementNode[] = []
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
    this.registry = options.elements
    this.seed = options.seed ?? 1
    this.frames = new FramePool(options.pool)
    this.poller = options.poller ?? null
    this.onEvent = options.onEvent ?? (() => {})
    this.now = this.clock.now()
  }

  /**
   * Makes the graph be `next`. Everything is checked before anything is changed: throws TopologyError. Throws as well what an
   * element throws while it is made or closed; `running` then says what is there.
   */
  configure(next: Topology): void {
    checkTopology(next)
    for (const [name, { type }] of Object.entries(next.elements)) {
      if (this.registry.get(type) === undefined) {
        throw new TopologyError(`'${name}' has the unknown type '${type}'; known: ${this.registry.names.join(', ')}`)
      }
    }
    for (const { a, b } of next.links) {
      for (const [name, port] of [a, b]) {
        const { maxPorts } = this.registry.get(next.elements[name].type)!
        if (port >= maxPorts) throw new TopologyError(`'${name}' has ports 0 to ${maxPorts - 1}, not ${port}`)
      }
    }
    this.apply(next)
  }

  private apply(next: Topology): void {
    const change = diffTopology(this.topology, next)
    const touched = new Set<ElementNode>()
    // A change that has begun is finished: an element that fails while it is closed is gone all the same.
    const failures: unknown[] = []
    for (const link of change.unlinked) this.unlink(link, touched)
    for (const name of change.removed) attempt(() => this.remove(name), failures)
    const known: Record<string, Topology['elements'][string]> = {}
    for (const [name, element] of Object.entries(this.topology.elements)) if (this.nodes.has(name)) known[name] = element
    try {
      for (const name of change.added) {
        this.add(name, next)
        known[name] = next.elements[name]
      }
      for (const name of change.changed) {
        this.change(name, next, touched, { known, failures })
      }
      for (const link of change.linked) this.link(link, touched)
    } catch (error) {
      failures.push(error)
    }
    // An element that could not be made leaves a graph that is smaller, never one that is not what it says.
    const links = next.links.filter(({ a, b }) => this.nodes.get(a[0])?.ports[a[1]] && this.nodes.get(b[0])?.ports[b[1]])
    this.topology = { elements: known, links }
    this.unpolled = this.poller === null ? [...this.nodes.values()].filter((node) => node.element.pull) : []
    this.forgetRemoved()
    for (const node of touched) if (this.nodes.get(node.name) === node) attempt(() => node.element.portsChanged?.(), failures)
    if (failures.length > 0) throw failures[0]
  }

  private add(name: string, next: Topology): void {
    const { type, options } = next.elements[name]
    const number = this.freeNumbers.pop() ?? this.byNumber.length
    const node = new ElementNode(this, name, number, this.registry.get(type)!, options)
    this.byNumber[number] = node
    try {
      node.element = node.type.create(node, options)
    } catch (error) {
      this.byNumber[number] = undefined
      this.freeNumbers.push(number)
      node.close()
      throw error
    }
    this.nodes.set(name, node)
  }

  private change(name: string, next: Topology, touched: Set<ElementNode>, outcome: Outcome): void {
    const { known, failures } = outcome
    const node = this.nodes.get(name)!
    const { options } = next.elements[name]
    if (!node.element.reconfigure?.(options)) {
      // The links stay; only the element behind them is new. The old one goes first: both may want the same device.
      attempt(() => node.closeElement(), failures)
      try {
        node.element = node.type.create(node, options)
      } catch (error) {
        // Nothing is left that could take frames.
        for (const link of this.topology.links) if (link.a[0] === name || link.b[0] === name) this.unlink(link, touched)
        this.remove(name)
        delete known[name]
        throw error
      }
      if (node.ports.length > 0) touched.add(node)
    }
    node.options = options
    known[name] = next.elements[name]
  }

  private remove(name: string): void {
    const node = this.nodes.get(name)!
    try {
      node.close()
    } finally {
      this.nodes.delete(name)
      this.byNumber[node.number] = undefined
      this.freeNumbers.push(node.number)
    }
  }

  /** Takes removed elements out of the run queue: nothing is left for them to do, and a host must not stay awake for them. */
  private forgetRemoved(): void {
    const mask = this.queue.length - 1
    const waiting = this.queueCount
    this.queueCount = 0
    for (let i = 0; i < waiting; i++) {
      const node = this.queue[(this.queueHead + i) & mask]
      if (this.byNumber[node.number] === node) this.queue[(this.queueHead + this.queueCount++) & mask] = node
      else node.queued = false
    }
  }

  private link(link: TopologyLink, touched: Set<ElementNode>): void {
    const a = this.nodes.get(link.a[0])!
    const b = this.nodes.get(link.b[0])!
    const forth = new Link(a, b, link.b[1], link.capacity)
    const back = new Link(b, a, link.a[1], link.capacity)
    setPort(a, link.a[1], { rx: back, tx: forth })
    setPort(b, link.b[1], { rx: forth, tx: back })
    touched.add(a).add(b)
  }

  private unlink(link: TopologyLink, touched: Set<ElementNode>): void {
    for (const [name, port] of [link.a, link.b]) {
      const node = this.nodes.get(name)
      const old = node?.ports[port]
      if (!node || !old) continue
      while (!old.rx.empty) node.drop(old.rx.receive(), EngineDrop.reconfigured)
      node.ports[port] = null
      touched.add(node)
    }
  }

  /**
   * One turn at the clock's time. `ready[0..count-1]` are numbers of devices that the poller named.
   * True when work is left, so that the host must not sleep.
   */
  turn(ready?: Int32Array, count = 0): boolean {
    this.now = this.clock.now()
    this.timers.fireDue(this.now)
    this.pullDevices(ready, count)
    let pushes = 0
    while (this.queueCount > 0 && pushes++ < PUSHES_PER_TURN) {
      const node = this.queue[this.queueHead]
      this.queueHead = (this.queueHead + 1) & (this.queue.length - 1)
      this.queueCount--
      node.queued = false
      if (this.tracer.active) node.traceArrivals()
      node.element.push()
    }
    return this.queueCount > 0 || this.pullCount > 0 || this.timers.next <= this.now
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

  /** Follows the next `count` frames, or those that enter by one element. Throws TopologyError. */
  traceFrames(count: number, element?: string): void {
    const node = element === undefined ? undefined : this.nodes.get(element)
    if (element !== undefined && node === undefined) throw new TopologyError(`there is no element '${element}'`)
    this.tracer.start(count, node === undefined ? null : (frames, frame) => frames.ingress[frame] === node.number)
  }

  /** When the next timer is due, nanoseconds; Infinity when none is. */
  get nextDeadline(): number {
    return this.timers.next
  }

  /** Asks an element for something, between two turns. Errors come by `reply`. */
  command(name: string, verb: string, argument: Plain, reply: Reply): void {
    const element = this.nodes.get(name)?.element
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
    return this.topology
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

/** What a change leaves behind: the elements that run, and what went wrong, in order. */
interface Outcome {
  readonly known: Record<string, TopologyElement>
  readonly failures: unknown[]
}

function attempt(step: () => void, failures: unknown[]): void {
  try {
    step()
  } catch (error) {
    failures.push(error)
  }
}

function setPort(node: ElementNode, port: number, links: { rx: Link; tx: Link }): void {
  while (node.ports.length <= port) node.ports.push(null)
  node.ports[port] = links
}
