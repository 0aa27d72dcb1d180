/**
 * The elements that stand in an engine and the links between them: how they come, change and go.
 *
 * `configure` is told how the graph is to be and finds the difference; `patch` is told the difference and costs no more than
 * that, however large the graph is.
 */
import { EngineDrop } from './drop-reason.ts'
import type { ElementRegistry, Plain } from './element.ts'
import { ElementNode } from './element-node.ts'
import type { Engine } from './engine.ts'
import { Link } from './link.ts'
import {
  checkTopology,
  diffTopology,
  type ElementUpdate,
  type Topology,
  type TopologyElement,
  TopologyError,
  type TopologyLink,
  type TopologyPatch
} from './topology.ts'

export class Graph {
  readonly byNumber: (ElementNode | undefined)[] = []
  /** Devices that no descriptor announces. */
  readonly unpolled: ElementNode[] = []
  private readonly engine: Engine
  private readonly registry: ElementRegistry
  private readonly isPolled: boolean
  private readonly nodes = new Map<string, ElementNode>()
  private readonly freeNumbers: number[] = []
  /** As `running` gave it last; null when the graph has changed since. */
  private topology: Topology | null = null

  constructor(engine: Engine, registry: ElementRegistry, isPolled: boolean) {
    this.engine = engine
    this.registry = registry
    this.isPolled = isPolled
  }

  get(name: string): ElementNode | undefined {
    return this.nodes.get(name)
  }

  /** The running topology. */
  get running(): Topology {
    this.topology ??= this.describe()
    return this.topology
  }

  private describe(): Topology {
    const elements: Record<string, TopologyElement> = {}
    const links = new Set<TopologyLink>()
    for (const [name, { type, options, cables }] of this.nodes) {
      elements[name] = options === undefined ? { type: type.type } : { type: type.type, options }
      for (const cable of cables) if (cable !== null) links.add(cable)
    }
    return { elements, links: [...links] }
  }

  /**
   * Makes the graph be `next`. Everything is checked before anything is changed: throws TopologyError. Throws as well what an
   * element throws while it is made or closed; `running` then says what is there.
   */
  configure(next: Topology): void {
    checkTopology(next)
    for (const [name, { type }] of Object.entries(next.elements)) this.checkType(name, type)
    for (const { a, b } of next.links) for (const [name, port] of [a, b]) this.checkPort(name, next.elements[name].type, port)
    const { removed, added, changed, unlinked, linked } = diffTopology(this.running, next)
    const work: Work = { touched: new Set(), failures: [] }
    // What goes first: a new element may want an old one's device. Elements that cannot be made leave a smaller graph.
    this.dismantle(removed, unlinked, work)
    try {
      this.make(Object.fromEntries([...added, ...changed].map((name) => [name, next.elements[name]])), [], work)
      for (const link of linked) this.link(link, work)
    } catch (error) {
      work.failures.push(error)
    }
    this.finish(work)
    if (work.failures.length > 0) throw work.failures[0]
  }

  /**
   * Changes a part of the graph. Throws, and leaves everything as it was, when the patch contradicts the graph (TopologyError)
   * or when an element cannot be made or updated.
   * @returns what elements threw that could not be closed; they are gone all the same, and the patch is applied
   */
  patch(patch: TopologyPatch): unknown[] {
    const { elements = {}, updates = [], unlinked = [], removed = [], linked = [] } = patch
    this.checkPatch({ elements, updates, unlinked, removed, linked })
    const work: Work = { touched: new Set(), failures: [] }
    this.make(elements, updates, work)
    this.dismantle(removed, unlinked, work)
    for (const link of linked) this.link(link, work)
    this.finish(work)
    return work.failures
  }

  private checkType(name: string, type: string): void {
    if (this.registry.get(type) !== undefined) return
    throw new TopologyError(`'${name}' has the unknown type '${type}'; known: ${this.registry.names.join(', ')}`)
  }

  private checkPort(name: string, type: string, port: number): void {
    const { maxPorts } = this.registry.get(type)!
    if (!Number.isInteger(port) || port < 0 || port >= maxPorts) {
      throw new TopologyError(`'${name}' has ports 0 to ${maxPorts - 1}, not ${port}`)
    }
  }

  private checkPatch({ elements, updates, unlinked, removed, linked }: Required<TopologyPatch>): void {
    const gone = new Set(removed)
    for (const name of removed) {
      if (!this.nodes.has(name)) throw new TopologyError(`the element '${name}' is to go and is not there`)
      if (Object.hasOwn(elements, name)) throw new TopologyError(`the element '${name}' is to go and to come: that takes two patches`)
    }
    for (const [name, { type }] of Object.entries(elements)) {
      this.checkType(name, type)
      const now = this.nodes.get(name)?.type.type ?? type
      if (now !== type) throw new TopologyError(`'${name}' is a ${now} and cannot become a ${type}: that takes two patches`)
    }
    const free = new Set<string>()
    for (const link of unlinked) {
      for (const [here, there] of [
        [link.a, link.b],
        [link.b, link.a]
      ]) {
        if (!isLinked(this.nodes.get(here[0]), here[1], there)) {
          throw new TopologyError(`the link from ${here.join('.')} to ${there.join('.')} is to go and is not there`)
        }
        free.add(here.join('.'))
      }
    }
    const used = new Set<string>()
    for (const { a, b } of linked) {
      for (const [name, port] of [a, b]) {
        const node = gone.has(name) ? undefined : this.nodes.get(name)
        const type = node?.type.type ?? (Object.hasOwn(elements, name) ? elements[name].type : undefined)
        if (type === undefined) throw new TopologyError(`a link names the element '${name}', which is not in the topology`)
        this.checkPort(name, type, port)
        const end = `${name}.${port}`
        const peer = node?.ports[port]?.tx.consumer.name
        if (used.has(end) || (peer !== undefined && !gone.has(peer) && !free.has(end))) {
          throw new TopologyError(`port ${end} is linked twice`)
        }
        used.add(end)
      }
    }
    for (const { element } of updates) {
      const there = Object.hasOwn(elements, element) || (this.nodes.has(element) && !gone.has(element))
      if (!there) throw new TopologyError(`the element '${element}' is to be updated and is not in the topology`)
    }
  }

  /** Elements that come or change, and updates. Puts everything back when one fails. */
  private make(elements: Readonly<Record<string, TopologyElement>>, updates: readonly ElementUpdate[], work: Work): void {
    const undo: (() => void)[] = []
    try {
      for (const [name, { type, options }] of Object.entries(elements)) {
        const node = this.nodes.get(name)
        if (node === undefined) {
          this.add(name, type, options)
          undo.push(() => this.remove(name))
        } else {
          const before = node.options
          this.change(node, options, work)
          undo.push(() => this.change(node, before, work))
        }
      }
      for (const { element, change } of updates) {
        const node = this.nodes.get(element)!
        if (node.element.update === undefined) throw new TopologyError(`'${element}' takes no updates`)
        const inverse = node.element.update(change)
        undo.push(() => node.element.update?.(inverse))
      }
    } catch (error) {
      // What fails while it is put back is gone; the first error says why.
      for (const step of undo.reverse()) attempt(step, [])
      this.finish(work)
      throw error
    }
  }

  private dismantle(removed: readonly string[], unlinked: readonly TopologyLink[], work: Work): void {
    for (const link of unlinked) this.unlink(link, work)
    for (const name of removed) for (const cable of this.nodes.get(name)!.cables) if (cable !== null) this.unlink(cable, work)
    for (const name of removed) attempt(() => this.remove(name), work.failures)
    if (removed.length > 0) this.engine.forgetRemoved()
  }

  private finish({ touched, failures }: Work): void {
    this.topology = null
    for (const node of touched) if (this.nodes.get(node.name) === node) attempt(() => node.element.portsChanged?.(), failures)
    touched.clear()
  }

  private add(name: string, type: string, options: Plain): void {
    const number = this.freeNumbers.pop() ?? this.byNumber.length
    const node = new ElementNode(this.engine, name, number, this.registry.get(type)!, options)
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
    this.listPulled(node)
  }

  /** New options; an element that cannot take them is made anew. One that cannot be made is put back, or goes with its links. */
  private change(node: ElementNode, options: Plain, work: Work): void {
    if (!node.element.reconfigure?.(options)) {
      // The links stay; only the element behind them is new. The old one goes first: both may want the same device.
      attempt(() => node.closeElement(), work.failures)
      if (node.ports.length > 0) work.touched.add(node)
      try {
        node.element = node.type.create(node, options)
      } catch (error) {
        try {
          node.element = node.type.create(node, node.options)
        } catch {
          this.dismantle([node.name], [], work)
        }
        throw error
      } finally {
        this.listPulled(node)
      }
    }
    node.options = options
  }

  private remove(name: string): void {
    const node = this.nodes.get(name)!
    try {
      node.close()
    } finally {
      this.nodes.delete(name)
      this.byNumber[node.number] = undefined
      this.freeNumbers.push(node.number)
      this.listPulled(node)
    }
  }

  /** Without a poller, devices are asked each turn: keeps the list of them. */
  private listPulled(node: ElementNode): void {
    if (this.isPolled) return
    const pulled = this.nodes.get(node.name) === node && node.element.pull !== undefined
    const at = this.unpolled.indexOf(node)
    if (pulled && at < 0) this.unpolled.push(node)
    else if (!pulled && at >= 0) this.unpolled.splice(at, 1)
  }

  private link(link: TopologyLink, { touched }: Work): void {
    const a = this.nodes.get(link.a[0])!
    const b = this.nodes.get(link.b[0])!
    const forth = new Link(a, b, link.b[1], link.capacity)
    const back = new Link(b, a, link.a[1], link.capacity)
    setPort(a, link.a[1], { rx: back, tx: forth }, link)
    setPort(b, link.b[1], { rx: forth, tx: back }, link)
    touched.add(a).add(b)
  }

  private unlink(link: TopologyLink, { touched }: Work): void {
    for (const [name, port] of [link.a, link.b]) {
      const node = this.nodes.get(name)
      const old = node?.ports[port]
      if (!node || !old) continue
      while (!old.rx.empty) node.drop(old.rx.receive(), EngineDrop.reconfigured)
      node.ports[port] = null
      node.cables[port] = null
      touched.add(node)
    }
  }
}

/** What a change has done so far: the elements whose ports changed, and what went wrong, in order. */
interface Work {
  readonly touched: Set<ElementNode>
  readonly failures: unknown[]
}

function isLinked(node: ElementNode | undefined, port: number, to: readonly [string, number]): boolean {
  const link = node?.ports[port]?.tx
  return link !== undefined && link.consumer.name === to[0] && link.port === to[1]
}

function attempt(step: () => void, failures: unknown[]): void {
  try {
    step()
  } catch (error) {
    failures.push(error)
  }
}

function setPort(node: ElementNode, port: number, links: { rx: Link; tx: Link }, cable: TopologyLink): void {
  while (node.ports.length <= port) {
    node.ports.push(null)
    node.cables.push(null)
  }
  node.ports[port] = links
  node.cables[port] = cable
}
