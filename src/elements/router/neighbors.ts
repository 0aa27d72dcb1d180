/**
 * Neighbor unreachability detection, RFC 4861 7.3, for IPv4 as well: what is known of a next hop, and the frames that wait for it.
 *
 *   incomplete --answer--> reachable --15 to 45 s--> stale --used--> delay --5 s--> probe --answer--> reachable
 *        |                                                                            |
 *        +-- 3 questions, 1 s apart, no answer --> failed <-- 3 questions to the MAC -+
 *
 * Who may claim what is in the README ("Neighbors"); ARP and neighbor discovery read the claims.
 */
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { formatMac, type Mac } from '../../wire/address.ts'
import { setMac } from '../../wire/ethernet.ts'
import { addressText, type Words } from './address-words.ts'
import { FrameQueues } from './frame-queue.ts'
import { NeighborState, NeighborTable, NO_NEIGHBOR, Waiting } from './neighbor-table.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'

/** RFC 4861 section 10, and Linux: RETRANS_TIMER, DELAY_FIRST_PROBE_TIME, MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT. */
const RETRANSMIT_NS = 1e9
const DELAY_NS = 5e9
const REQUESTS_MAX = 3
/** BaseReachableTime 30 s, times MIN_RANDOM_FACTOR 0.5 to MAX_RANDOM_FACTOR 1.5. */
const REACHABLE_LEAST_NS = 15e9
const REACHABLE_SPAN_NS = 30e9
/** How long a neighbor that did not answer is not asked again. */
const FAILED_NS = 1e9
/** How long the MAC of a valid entry stays as it is: Linux's locktime. */
const LOCK_NS = 1e9

/** Share of the table that questions of one interface may fill. */
const INCOMPLETE_SHARE = 0.25
const ANY_INTERFACE = -1

/** How a MAC was heard. */
export const Heard = {
  /** The neighbor asked for us: it is about to talk to us. */
  question: 0,
  /** An answer, to us. */
  answer: 1,
  /** Neither: an announcement, or what was for others. */
  announcement: 2
} as const

/** `claim` found nothing wrong. */
export const CLAIM_OK = -1

/** For people. */
export interface NeighborEntry {
  readonly address: string
  /** null while it is not known. */
  readonly mac: string | null
  readonly interface: number
  readonly name: string | null
  readonly state: 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'failed'
  /** Seconds since it was last confirmed; null: never. */
  readonly age: number | null
  /** Frames that wait for it. */
  readonly waiting: number
}

const STATE_NAMES = ['', 'incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed'] as const

export class Neighbors {
  readonly table: NeighborTable
  readonly queues: FrameQueues
  private readonly core: RouterCore
  private readonly timer: Timer
  private isTicking = false

  constructor(core: RouterCore, capacity: number) {
    this.core = core
    this.table = new NeighborTable(capacity, () => core.context.random.int32())
    this.queues = new FrameQueues(core.frames, capacity, (frame) => core.drop(frame, RouterDrop.neighborQueueFull))
    this.timer = core.context.timer((now) => this.tick(now))
  }

  /** Sends a frame to a next hop; its destination MAC is written here, the source MAC stands already. Takes the frame. */
  send(egress: RouterInterface, family: 4 | 6, w0: number, w1: number, w2: number, w3: number, frame: FrameHandle): void {
    const { table, core } = this
    let slot = table.find(egress.number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR) slot = this.add(egress.number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR) return core.drop(frame, RouterDrop.neighborTableFull)
    const { now } = core.context
    const state = table.state[slot]
    if (state === NeighborState.stale || (state === NeighborState.reachable && now > table.until[slot])) this.useStale(slot, now)
    else if (state === NeighborState.incomplete || state === NeighborState.failed) return this.hold(slot, frame, now)
    this.sendNow(slot, frame)
  }

  /** The slot of a neighbor whose MAC may be used without further ado, or NO_NEIGHBOR. */
  usable(number: number, family: 4 | 6, w0: number, w1: number, w2: number, w3: number): number {
    const slot = this.table.find(number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR) return NO_NEIGHBOR
    return this.usableUntil(slot) > this.core.context.now ? slot : NO_NEIGHBOR
  }

  /** Until when the MAC of a slot may be used without looking at it again, ns; 0: not at all. */
  usableUntil(slot: number): number {
    const state = this.table.state[slot]
    if (state === NeighborState.reachable) return this.table.until[slot]
    // The state goes on by itself; what comes of it is seen a second later.
    return state === NeighborState.delay || state === NeighborState.probe ? this.core.context.now + RETRANSMIT_NS : 0
  }

  /**
   * A station said that an address has this MAC; whether it may say so at all is `Claims`' matter.
   * @param isOverriding false: the MAC of a valid entry may not be changed by it (ND without the override flag)
   * @returns CLAIM_OK, or the reason for which the message should be dropped
   */
  heard(
    number: number,
    family: 4 | 6,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    hi: number,
    lo: number,
    how: number,
    isOverriding: boolean
  ): number {
    const { table, core } = this
    const { now } = core.context
    let slot = table.find(number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR) {
      if (how !== Heard.question) return CLAIM_OK
      slot = this.add(number, family, w0, w1, w2, w3)
      if (slot === NO_NEIGHBOR) return RouterDrop.neighborTableFull
    }
    const state = table.state[slot]
    const isKnown = state !== NeighborState.incomplete && state !== NeighborState.failed
    const isAwaited = state === NeighborState.incomplete || state === NeighborState.probe
    const isSame = isKnown && table.macHi[slot] === hi && table.macLo[slot] === lo
    if (isKnown && !isSame) {
      if (!isOverriding) {
        // RFC 4861 7.2.5: somebody else answers for a proxy or a copy; look who is there before it is used again.
        if (state === NeighborState.reachable) this.setStale(slot)
        return CLAIM_OK
      }
      if (now - table.updated[slot] < LOCK_NS) return RouterDrop.neighborLocked
      // Ways rest on the MAC that it had. Those to a new neighbor there are none of: who invents some does not slow down the others.
      core.cache.invalidate()
    }
    if (!isSame) this.setMac(slot, hi, lo, now)
    if (how === Heard.answer && isAwaited) this.confirm(slot, now)
    else if (!isSame) this.setStale(slot)
    if (!isKnown) this.flush(slot)
    return CLAIM_OK
  }

  /** An advertisement without a MAC: it confirms the one that is known, if it was asked for. */
  heardAgain(number: number, family: 4 | 6, w0: number, w1: number, w2: number, w3: number, how: number): void {
    const slot = this.table.find(number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR || how !== Heard.answer) return
    if (this.table.state[slot] === NeighborState.probe) this.confirm(slot, this.core.context.now)
  }

  /** Forgets everything of an interface; the frames that wait there are dropped. */
  forget(number: number): void {
    const { table } = this
    for (let slot = 0; slot < table.used; slot++) {
      if (table.state[slot] === NeighborState.free || table.interface[slot] !== number) continue
      for (let frame = this.queues.take(slot); frame !== NO_FRAME; frame = this.queues.take(slot)) {
        this.core.drop(frame, RouterDrop.interfaceGone)
      }
      table.remove(slot)
    }
    this.core.cache.invalidate()
  }

  /** Forgets a neighbor that is not known by this MAC (null: by any), so that it is asked for again. */
  forgetUnless(number: number, family: 4 | 6, words: Words, mac: Mac | null): void {
    const { table } = this
    const slot = table.find(number, family, ...words)
    if (slot === NO_NEIGHBOR || table.state[slot] === NeighborState.incomplete) return
    if (mac !== null && table.macHi[slot] === mac.hi && table.macLo[slot] === mac.lo) return
    table.remove(slot)
    this.core.cache.invalidate()
  }

  entries(only: number | null): NeighborEntry[] {
    const { table, core } = this
    const { now } = core.context
    const entries: NeighborEntry[] = []
    for (let slot = 0; slot < table.used; slot++) {
      const number = table.interface[slot]
      let state = table.state[slot]
      if (state === NeighborState.free || (only !== null && number !== only)) continue
      if (state === NeighborState.reachable && now > table.until[slot]) state = NeighborState.stale
      const isKnown = state !== NeighborState.incomplete && state !== NeighborState.failed
      entries.push({
        address: addressText(table.family[slot] as 4 | 6, table.words(slot)),
        mac: isKnown ? formatMac({ hi: table.macHi[slot], lo: table.macLo[slot] }) : null,
        interface: number,
        name: core.interface(number)?.given.name ?? null,
        state: STATE_NAMES[state] as NeighborEntry['state'],
        age: table.confirmed[slot] === 0 ? null : (now - table.confirmed[slot]) / 1e9,
        waiting: this.queues.length(slot)
      })
    }
    return entries.sort((a, b) => a.interface - b.interface || (a.address < b.address ? -1 : 1))
  }

  /** Gives back every frame that waits. */
  close(): void {
    for (let slot = 0; slot < this.table.used; slot++) {
      for (let frame = this.queues.take(slot); frame !== NO_FRAME; frame = this.queues.take(slot)) this.core.frames.free(frame)
    }
  }

  /** A slot for a neighbor that has none. Who asks for addresses that nobody has takes the place of its own questions, not of others'. */
  private add(number: number, family: number, w0: number, w1: number, w2: number, w3: number): number {
    const { table } = this
    if (table.incompleteOn(number) >= table.capacity * INCOMPLETE_SHARE) this.giveUp(table.longestIncomplete(number))
    const slot = table.add(number, family, w0, w1, w2, w3)
    if (slot !== NO_NEIGHBOR) return slot
    // What is stale by now no cached way rests on any more. One that is just failing still tells the senders of its frames.
    const evicted = table.evictable(this.core.context.now)
    if (evicted !== NO_NEIGHBOR && this.queues.length(evicted) === 0) table.remove(evicted)
    else this.giveUp(table.longestIncomplete(ANY_INTERFACE))
    return table.add(number, family, w0, w1, w2, w3)
  }

  /** Ends a question for the sake of another one. */
  private giveUp(slot: number): void {
    if (slot === NO_NEIGHBOR) return
    for (let frame = this.queues.take(slot); frame !== NO_FRAME; frame = this.queues.take(slot)) {
      this.core.drop(frame, RouterDrop.neighborTableFull)
    }
    this.table.remove(slot)
  }

  /** A frame for a neighbor whose MAC is not known. */
  private hold(slot: number, frame: FrameHandle, now: number): void {
    const { table } = this
    if (table.state[slot] === NeighborState.failed) {
      if (now < table.until[slot]) return this.unreachable(slot, frame)
      table.become(slot, NeighborState.incomplete)
      table.requests[slot] = 0
    }
    const { frames, context } = this.core
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) {
      const asked = table.requests[slot]
      const answerBy = asked === 0 ? now + REQUESTS_MAX * RETRANSMIT_NS : table.since[slot] + (REQUESTS_MAX - asked + 1) * RETRANSMIT_NS
      context.trace(frame, 'waits for the MAC of its next hop', answerBy)
    }
    this.queues.put(slot, frame, table.interface[slot])
    if (table.requests[slot] === 0) this.ask(slot, now)
  }

  private useStale(slot: number, now: number): void {
    this.table.become(slot, NeighborState.delay)
    this.table.requests[slot] = 0
    this.wait(slot, Waiting.delay, now)
  }

  private sendNow(slot: number, frame: FrameHandle): void {
    const { table, core } = this
    const { frames } = core
    setMac(frames.bytes(frame), frames.start[frame], table.macHi[slot], table.macLo[slot])
    core.transmit(table.interface[slot], frame)
  }

  private setMac(slot: number, hi: number, lo: number, now: number): void {
    const { table } = this
    table.macHi[slot] = hi
    table.macLo[slot] = lo
    table.updated[slot] = now
  }

  private setStale(slot: number): void {
    const { table } = this
    if (this.usableUntil(slot) > 0) this.core.cache.invalidate()
    table.stopWaiting(slot)
    table.become(slot, NeighborState.stale)
    table.requests[slot] = 0
  }

  private confirm(slot: number, now: number): void {
    const { table, core } = this
    if (table.state[slot] === NeighborState.incomplete) core.counters[Counter.resolved]++
    table.stopWaiting(slot)
    table.become(slot, NeighborState.reachable)
    table.requests[slot] = 0
    table.confirmed[slot] = table.updated[slot] = now
    table.until[slot] = now + REACHABLE_LEAST_NS + core.context.random.next() * REACHABLE_SPAN_NS
  }

  /** Sends what waited, now that the MAC is known. */
  private flush(slot: number): void {
    if (this.queues.length(slot) > 0 && this.table.state[slot] === NeighborState.stale) this.useStale(slot, this.core.context.now)
    for (let frame = this.queues.take(slot); frame !== NO_FRAME; frame = this.queues.take(slot)) this.sendNow(slot, frame)
  }

  /** Asks for the neighbor: everybody while it is not known, itself in a probe. */
  private ask(slot: number, now: number): void {
    const { table, core } = this
    const egress = core.interface(table.interface[slot])!
    table.requests[slot]++
    this.wait(slot, Waiting.retransmit, now)
    const isProbe = table.state[slot] === NeighborState.probe
    if (table.family[slot] === 4) core.arp.ask(egress, table.address[4 * slot], isProbe, table.macHi[slot], table.macLo[slot])
    else core.discovery.solicit(egress, table.words(slot), isProbe, table.macHi[slot], table.macLo[slot])
  }

  private wait(slot: number, list: number, now: number): void {
    this.table.wait(slot, list, now)
    const due = now + (list === Waiting.delay ? DELAY_NS : RETRANSMIT_NS)
    if (!this.isTicking && (!this.timer.armed || due < this.timer.at)) this.timer.arm(due)
  }

  private tick(now: number): void {
    const { table } = this
    this.isTicking = true
    for (let slot = table.longest(Waiting.delay); slot !== NO_NEIGHBOR; slot = table.longest(Waiting.delay)) {
      if (table.since[slot] + DELAY_NS > now) break
      table.become(slot, NeighborState.probe)
      this.ask(slot, now)
    }
    for (let slot = table.longest(Waiting.retransmit); slot !== NO_NEIGHBOR; slot = table.longest(Waiting.retransmit)) {
      if (table.since[slot] + RETRANSMIT_NS > now) break
      if (table.requests[slot] < REQUESTS_MAX) this.ask(slot, now)
      else this.fail(slot, now)
    }
    this.isTicking = false
    const delayed = table.longest(Waiting.delay)
    const asked = table.longest(Waiting.retransmit)
    const next = Math.min(
      delayed === NO_NEIGHBOR ? Number.POSITIVE_INFINITY : table.since[delayed] + DELAY_NS,
      asked === NO_NEIGHBOR ? Number.POSITIVE_INFINITY : table.since[asked] + RETRANSMIT_NS
    )
    if (next !== Number.POSITIVE_INFINITY) this.timer.arm(next)
  }

  private fail(slot: number, now: number): void {
    const { table, core } = this
    const wasProbe = table.state[slot] === NeighborState.probe
    table.stopWaiting(slot)
    table.become(slot, NeighborState.failed)
    table.requests[slot] = 0
    // A neighbor that was there may have another MAC now: everybody is asked as soon as it is needed.
    table.until[slot] = wasProbe ? 0 : now + FAILED_NS
    core.counters[Counter.unresolved]++
    if (wasProbe) core.cache.invalidate()
    for (let waiting = this.queues.length(slot); waiting > 0; waiting--) this.unreachable(slot, this.queues.take(slot))
  }

  private unreachable(slot: number, frame: FrameHandle): void {
    const { core, table } = this
    core.errors.neighborFailed(frame, core.interface(table.interface[slot])!)
    core.drop(frame, RouterDrop.neighborUnresolved)
  }
}
