/**
 * An engine under a virtual clock with a checked pool and the test elements: what most tests stand on.
 */
import assert from 'node:assert/strict'
import { VirtualClock } from '../../src/engine/clock.ts'
import { type ElementCounters, readCounters } from '../../src/engine/counters.ts'
import { ElementRegistry, type ElementType, type Plain, type PollRegistry } from '../../src/engine/element.ts'
import { Engine } from '../../src/engine/engine.ts'
import type { FramePoolOptions } from '../../src/engine/frame-pool.ts'
import type { Topology } from '../../src/engine/topology.ts'
import { type Fifo, type Sink, type Source, TestElements, type TestPort } from './test-elements.ts'

export interface TestBenchOptions {
  readonly types?: readonly ElementType<never>[]
  readonly pool?: FramePoolOptions
  readonly seed?: number | string
  readonly poller?: PollRegistry
}

export class TestBench {
  readonly clock = new VirtualClock()
  readonly elements = new TestElements()
  readonly events: { element: string; event: Plain }[] = []
  readonly engine: Engine

  constructor({ types = [], pool = {}, seed = 1, poller }: TestBenchOptions = {}) {
    this.engine = new Engine({
      clock: this.clock,
      elements: new ElementRegistry().register(...this.elements.types, ...types),
      seed,
      poller,
      pool: { maxSmallChunks: 4, maxLargeChunks: 2, checked: true, ...pool },
      onEvent: (element, event) => this.events.push({ element, event })
    })
  }

  configure(elements: Topology['elements'], links: Topology['links']): void {
    this.engine.configure({ elements, links })
  }

  port(name: string): TestPort {
    return this.elements.ports.get(name)!
  }

  source(name: string): Source {
    return this.elements.sources.get(name)!
  }

  sink(name: string): Sink {
    return this.elements.sinks.get(name)!
  }

  fifo(name: string): Fifo {
    return this.elements.fifos.get(name)!
  }

  /** Turns until no work is left. */
  run(): void {
    for (let turns = 0; this.engine.turn(); turns++) assert.ok(turns < 100_000, 'the engine never comes to rest')
  }

  /** Moves the time on, timer by timer. */
  advance(seconds: number): void {
    const end = this.clock.now() + seconds * 1e9
    this.run()
    while (this.engine.nextDeadline <= end) {
      this.clock.advanceTo(this.engine.nextDeadline)
      this.run()
    }
    this.clock.advanceTo(end)
    this.run()
  }

  counters(name: string): ElementCounters {
    const counters = readCounters(this.engine.counters.layout()).get(name)
    assert.ok(counters, `no counters of '${name}'`)
    return counters
  }

  /** Sum over all elements. */
  total(what: (counters: ElementCounters) => number): number {
    return [...readCounters(this.engine.counters.layout()).values()].reduce((sum, counters) => sum + what(counters), 0)
  }

  /** The answer to a command that is answered at once. */
  command(name: string, verb: string, argument?: Plain): Plain {
    let answer: { error: Error | null; value?: Plain } | undefined
    this.engine.command(name, verb, argument, (error, value) => {
      answer = { error, value }
    })
    assert.ok(answer, `'${verb}' was not answered at once`)
    if (answer.error) throw answer.error
    return answer.value
  }
}
