/**
 * A part of an engine for somebody who believes to have it alone: all names of elements get a prefix on their way in and lose it on
 * their way out. So several controllers, each an emulated host's, share one engine and its thread.
 *
 *   host1's controller   'gateway/nat'  --> 'host1/gateway/nat'  \
 *   host2's controller   'gateway/nat'  --> 'host2/gateway/nat'   engine
 *   host2's controller   '/lan/office'  --> 'lan/office'         /     a name from outside the part begins with a slash
 *
 * `close` takes away what the part has put in, and leaves the engine to its owner.
 */
import type { ElementCounters, ElementUpdate, Plain, Topology, TopologyLink, TopologyPatch, TraceStep } from '../engine/index.ts'
import type { PortReference } from './driver.ts'
import type { EngineEventListener, EngineHost, TraceRequest } from './engine-host.ts'
import { NetworkError } from './network-error.ts'

export class ScopedEngine implements EngineHost {
  private readonly engine: EngineHost
  private readonly prefix: string
  /** What this part has put in, by its name in the engine. */
  private readonly own = new Set<string>()
  private readonly listened = new Set<string>()
  private closing: Promise<void> | null = null

  /** @param prefix ends with a slash: `host1/` */
  constructor(engine: EngineHost, prefix: string) {
    this.engine = engine
    this.prefix = prefix
  }

  get virtual(): boolean {
    return this.engine.virtual
  }

  get epochNs(): bigint {
    return this.engine.epochNs
  }

  /** Rejects with `unsupported`: the whole graph is not this part's to say. */
  async configure(_topology: Topology): Promise<void> {
    throw new NetworkError('unsupported', `${this.prefix} is a part of an engine: change it by patches`)
  }

  async patch(patch: TopologyPatch): Promise<readonly Error[]> {
    if (this.closing !== null) throw new NetworkError('closed', `${this.prefix} is closed`)
    const { elements = {}, updates = [], unlinked = [], removed = [], linked = [] } = patch
    const come = Object.entries(elements).map(([name, element]) => [this.outside(name), element] as const)
    const go = removed.map((name) => this.outside(name))
    const errors = await this.engine.patch({
      elements: Object.fromEntries(come),
      updates: updates.map(({ element, change }): ElementUpdate => ({ element: this.outside(element), change })),
      unlinked: unlinked.map((link) => this.link(link)),
      removed: go,
      linked: linked.map((link) => this.link(link))
    })
    for (const name of go) this.own.delete(name)
    for (const [name] of come) if (name.startsWith(this.prefix)) this.own.add(name)
    return errors
  }

  /** Names of shared things stand in options of elements, which nobody here reads: they are the engine's own. */
  share(name: string, value: unknown): Promise<void> {
    return this.engine.share(name, value)
  }

  command(element: string, verb: string, argument: Plain): Promise<Plain> {
    return this.engine.command(this.outside(element), verb, argument)
  }

  counters(): Map<string, ElementCounters> {
    const own = new Map<string, ElementCounters>()
    for (const [name, counted] of this.engine.counters()) {
      if (name.startsWith(this.prefix)) own.set(name.slice(this.prefix.length), counted)
    }
    return own
  }

  elementCounters(element: string): ElementCounters | undefined {
    return this.engine.elementCounters(this.outside(element))
  }

  /** In the whole engine. */
  framesInUse(): Promise<number> {
    return this.engine.framesInUse()
  }

  trace({ elements, ...request }: TraceRequest): Promise<void> {
    return this.engine.trace({ ...request, ...(elements !== undefined && { elements: elements.map((name) => this.outside(name)) }) })
  }

  /** Of the whole engine, with its names: a frame's walk goes through several parts. */
  traced(session: number): Promise<TraceStep[]> {
    return this.engine.traced(session)
  }

  listen(element: string, listener: EngineEventListener | null): void {
    const name = this.outside(element)
    if (listener === null) this.listened.delete(name)
    else this.listened.add(name)
    this.engine.listen(name, listener)
  }

  now(): number {
    return this.engine.now()
  }

  advance(ns: number): Promise<void> {
    return this.engine.advance(ns)
  }

  wait(ns: number): Promise<void> {
    return this.engine.wait(ns)
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.engine.settle(promise)
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    for (const name of this.listened) this.engine.listen(name, null)
    if (this.own.size === 0) return
    const [error] = await this.engine.patch({ removed: [...this.own] })
    this.own.clear()
    if (error !== undefined) throw new NetworkError('unclean', `${this.prefix} is gone: ${error.message}`, { cause: error })
  }

  private outside(name: string): string {
    return name.startsWith('/') ? name.slice(1) : this.prefix + name
  }

  private link({ a, b, ...rest }: TopologyLink): TopologyLink {
    return { ...rest, a: [this.outside(a[0]), a[1]], b: [this.outside(b[0]), b[1]] }
  }
}

/** A port of an element outside of any part, as parts call it. */
export function outsidePort([element, port]: PortReference): PortReference {
  return [`/${element}`, port]
}
