/**
 * The gateway's NAT: connection tracking, destination and source translation, and who may open a flow.
 *
 *   bridge or uplink i  -- 2i -->| prerouting:  flow, state, destination |-- 2i+1 --> router i
 *   bridge or uplink i  <-- 2i --| postrouting: policy, source, port     |<-- 2i+1 -- router i
 *                                 \___ known path: 2i to 2e at once ____/
 *
 * Owns every frame that it receives; transmit and drop give ownership away. Fragments of IPv4 packets are held until they are whole.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import type { Link } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { TICKS_PER_SECOND } from './conntrack.ts'
import { type ExplainArgument, explain } from './explain.ts'
import { FastOpen, NOT_OPENED } from './fast-open.ts'
import { type FastPath, makeFastPath, NEW_FLOW, REFUSED } from './fast-path.ts'
import { describeFlow, type FlowFilter, isPlaced, listFlows, matches } from './flow-list.ts'
import { FlowOpening } from './flow-opening.ts'
import { forgetMoved, forgetUnpublished } from './forgotten-flows.ts'
import { type LookAhead, makeLookAhead } from './look-ahead.ts'
import {
  checkLocal,
  checkPublished,
  INTERFACES_MAX,
  type InterfaceSpec,
  interfaceNumber,
  type NatChange,
  type NatOptions,
  type PublishedPort,
  readNatSettings
} from './nat-options.ts'
import { Counter, NatTables } from './nat-tables.ts'
import { Postrouting } from './postrouting.ts'
import { Prerouting } from './prerouting.ts'
import { portKey } from './published-ports.ts'
import { RefusedNewcomers } from './refused-newcomers.ts'
import { Shortcut } from './shortcut.ts'
import { swap16 } from './tuple.ts'

/** Flows that a sweep removes at most before other work gets its turn, and nanoseconds until it goes on. */
const SWEEP_LIMIT = 16_384
const SWEEP_PAUSE = 10e6
/** Seconds until the next sweep at most: a connection that ends has a shorter time than it had when the last sweep saw it. */
const SWEEP_INTERVAL = 10
const SECOND = 1e9
const BATCH = 256
/** Frames of one port, and the interfaces they leave by. All NATs of a thread share them: nothing is left in them by `push`. */
const batch = new Int32Array(BATCH)
const egress = new Int32Array(BATCH)
// A constant of this module is part of the code that V8 makes; one that it imports is looked up at every use.
const refused = REFUSED
const newFlow = NEW_FLOW
const notOpened = NOT_OPENED

export class Nat implements Element {
  private readonly context: ElementContext
  private readonly tables: NatTables
  private readonly prerouting: Prerouting
  private readonly postrouting: Postrouting
  private readonly fastPath: FastPath
  private readonly fastOpen: FastOpen
  private readonly lookAhead: LookAhead
  private readonly refusedNewcomers: RefusedNewcomers
  /** Those that `refuseSome` has left go out by several interfaces. */
  private isMixed = false
  private readonly sweeper: Timer
  /** Where the sweep goes on; 0: it begins. */
  private sweptTo = 0

  constructor(context: ElementContext, options: NatOptions = {}) {
    this.context = context
    this.tables = new NatTables(context, readNatSettings(options))
    const opening = new FlowOpening(this.tables)
    this.prerouting = new Prerouting(this.tables, new Shortcut(this.tables, opening))
    this.postrouting = new Postrouting(this.tables, opening)
    this.refusedNewcomers = new RefusedNewcomers(this.tables, this.prerouting)
    this.fastOpen = new FastOpen(this.tables, opening)
    this.fastPath = makeFastPath(this.tables, batch, egress)
    this.lookAhead = makeLookAhead(this.tables)
    this.sweeper = context.timer(() => this.sweep())
    this.update({ interfaces: options.interfaces, published: options.published, local: options.local })
  }

  push(): void {
    const { context, tables, postrouting } = this
    tables.keepTime()
    let received = 0
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      const number = port >> 1
      received += rx.size
      if ((port & 1) === 0) this.enterAll(rx, number)
      else while (!rx.empty) postrouting.leave(rx.receive(), number)
    }
    this.count(received)
    if (!this.sweeper.armed && tables.flows.size > 0) this.sweeper.arm(context.now + SECOND)
  }

  private enterAll(rx: Link, number: number): void {
    const { prerouting, fastPath, fastOpen, lookAhead } = this
    while (!rx.empty) {
      const count = rx.receiveAll(batch)
      lookAhead(batch, count)
      // Frames from `sent` to `at` stand as they are to be sent: in one go, but before any frame behind them that goes another way
      // (those of no flow that are refused may go first).
      let sent = 0
      for (let at = 0; at < count; ) {
        const known = fastPath(at, count, number)
        // What ended the run is looked at again where it may begin one: it may only lie in another chunk.
        if (known !== at) {
          at = known
          continue
        }
        const out = egress[at] === newFlow ? fastOpen.open(batch[at], number) : notOpened
        if (out !== notOpened) {
          egress[at++] = out
          continue
        }
        this.sendOff(sent, at, number)
        egress[at] = refused
        prerouting.enter(batch[at++], number)
        sent = at
      }
      this.sendOff(sent, count, number)
    }
  }

  /** Sends `batch[from..to-1]`, which came in by interface `number`, out by those that were chosen. */
  private sendOff(from: number, to: number, number: number): void {
    if (from === to) return
    const { context } = this
    const { counters } = context
    let chosen = 0
    let mixed = 0
    const first = egress[from]
    for (let i = from | 0; i < to; i = (i + 1) | 0) {
      chosen |= egress[i]
      mixed |= egress[i] ^ first
    }
    let count = to
    if (chosen === refused) {
      count = this.refuseSome(from, to)
      this.refusedNewcomers.end(number)
      mixed = this.isMixed ? 1 : 0
    }
    // Mostly the whole batch leaves by one interface; a run from its middle on is not worth a copy.
    const common = from === 0 && mixed === 0 && count > 0 ? context.ports[egress[0] << 1] : null
    if (common) common.tx.transmitAll(batch, count)
    else for (let i = from; i < count; i++) this.sendOne(i)
    counters[Counter.fastFrames] += count - from
    counters[Counter.txFrames] += count - from
  }

  private sendOne(at: number): void {
    const { context } = this
    const port = context.ports[egress[at] << 1]
    if (port === null || port === undefined) context.drop(batch[at], EngineDrop.unlinked)
    else port.tx.transmit(batch[at])
  }

  /** Takes those among `batch[from..to-1]` out that are refused, and moves the others up: `batch[from..]` to what is returned. */
  private refuseSome(from: number, to: number): number {
    const { refusedNewcomers } = this
    let kept = from | 0
    let mixed = 0
    for (let i = from | 0; i < to; i = (i + 1) | 0) {
      const out = egress[i]
      if (out === refused) {
        refusedNewcomers.add(batch[i])
        continue
      }
      batch[kept] = batch[i]
      egress[kept] = out
      mixed |= out ^ egress[from]
      kept = (kept + 1) | 0
    }
    this.isMixed = mixed !== 0
    return kept
  }

  reconfigure(options: Plain): boolean {
    const given = (options ?? {}) as NatOptions
    const settings = readNatSettings(given)
    const { tables } = this
    if (settings.capacity !== tables.settings.capacity) return false
    const { interfaces, published, local } = given
    if (interfaces !== undefined || published !== undefined || local !== undefined) {
      // What is not among the new records goes.
      const gone: Record<string, null> = {}
      tables.interfaces.byNumber.forEach((one, number) => {
        if (one !== null) gone[number] = null
      })
      const unpublished = Object.fromEntries(tables.published.keys.map((key) => [key, null]))
      this.update({ interfaces: { ...gone, ...interfaces }, published: { ...unpublished, ...published }, local: local ?? [] })
    }
    tables.applySettings(settings)
    tables.doubtPaths()
    return true
  }

  /** A NatChange. Costs what it names; flows of an interface or a published port that goes are forgotten. */
  update(change: Plain): Plain {
    const { interfaces = {}, published = {}, local } = change as NatChange
    const { tables } = this
    for (const [key, spec] of Object.entries(interfaces)) tables.interfaces.check(key, spec)
    for (const [key, spec] of Object.entries(published)) if (spec !== null) checkPublished(key, spec)
    if (local !== undefined) checkLocal(local)

    const oldInterfaces: Record<string, InterfaceSpec | null> = {}
    const oldPublished: Record<string, PublishedPort | null> = {}
    for (const [key, spec] of Object.entries(interfaces)) {
      const number = interfaceNumber(key)
      forgetMoved(tables.flows, tables.interfaces.at(number), spec)
      oldInterfaces[key] = tables.interfaces.set(number, spec)
      if (spec === null) this.flush({ interface: number })
    }
    const changed = new Set<number>()
    for (const [key, spec] of Object.entries(published)) {
      const before = tables.published.set(key, spec)
      oldPublished[key] = before?.spec ?? null
      if (before !== null) changed.add(portKey(before.protocol, swap16(before.spec.port)))
    }
    if (changed.size > 0) forgetUnpublished(tables.flows, tables.published, changed)
    const oldLocal = local === undefined ? undefined : tables.published.setLocal(local)
    tables.doubtPaths()
    return { interfaces: oldInterfaces, published: oldPublished, local: oldLocal } satisfies NatChange
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    const { tables } = this
    const given = (argument ?? {}) as { limit?: number; filter?: FlowFilter } & FlowFilter
    tables.keepTime()
    if (verb === 'flows') {
      return reply(null, listFlows(tables.flows, tables.interfaces, given.filter ?? {}, given.limit ?? Number.POSITIVE_INFINITY))
    }
    if (verb === 'flush') return reply(null, this.flush(given))
    if (verb === 'explain') {
      try {
        return reply(null, explain(tables, argument as ExplainArgument))
      } catch (error) {
        return reply(error as Error)
      }
    }
    if (verb === 'stats') return reply(null, this.stats())
    reply(new TypeError(`the NAT has the commands flows, flush, explain and stats, not '${verb}'`))
  }

  close(): void {
    this.prerouting.reassembler.close()
  }

  private stats(): Record<string, number> {
    const { flows, addresses, frames } = this.tables
    return {
      flows: flows.size,
      capacity: flows.capacity,
      addresses: addresses.size,
      bytes: flows.byteLength + addresses.byteLength + frames.start.length * 6,
      heldFragments: this.prerouting.reassembler.held
    }
  }

  /** Forgets flows that match; returns how many. */
  private flush(filter: FlowFilter): number {
    const { flows, interfaces } = this.tables
    const isPlain = filter.address === undefined && filter.protocol === undefined && filter.port === undefined
    let removed = 0
    for (let flow = 0; flow < flows.end; flow++) {
      if (flows.status[flow] === 0 || !isPlaced(flows, flow, filter.interface)) continue
      if (!isPlain && !matches(describeFlow(flows, interfaces, flow), filter)) continue
      flows.remove(flow)
      removed++
    }
    this.count(0)
    return removed
  }

  private sweep(): void {
    const { tables, context } = this
    const { flows } = tables
    tables.keepTime()
    if (this.sweptTo === 0) flows.soonest = 0x7fffffff
    this.sweptTo = flows.sweep(this.sweptTo, SWEEP_LIMIT)
    if (this.sweptTo < flows.end) {
      this.sweeper.arm(context.now + SWEEP_PAUSE)
    } else {
      this.sweptTo = 0
      // Only while there are flows, so that an idle lab has no work. Look-ups see for themselves what is too old.
      const seconds = Math.min(SWEEP_INTERVAL, Math.max(1, flows.soonest / TICKS_PER_SECOND))
      if (flows.size > 0) this.sweeper.arm(context.now + seconds * SECOND)
    }
    this.count(0)
  }

  private count(received: number): void {
    const { counters } = this.context
    const { flows } = this.tables
    const { reassembler } = this.prerouting
    counters[Counter.rxFrames] += received
    counters[Counter.flowsExpired] = flows.swept
    counters[Counter.fragmentsJoined] = reassembler.joined - reassembler.datagrams
    counters[Counter.flows] = flows.size
  }
}

/** Options: NatOptions, taken over in place but for `capacity`; updates: NatChange. */
export const natType: ElementType<NatOptions> = {
  type: 'nat',
  maxPorts: 2 * INTERFACES_MAX,
  counters: Object.keys(Counter),
  create: (context, options) => new Nat(context, options)
}
