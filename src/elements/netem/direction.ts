/**
 * The way of frames in one direction of an emulated link, and how it changes with time. Only the parts that are set stand in it.
 *
 *   in --> | down | --> | Impairments | --> | RatedWire: queue, rate | --> | Flight: delay, reorder | --> out
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { Chance } from './chance.ts'
import { DelayModel } from './delay-model.ts'
import { DirectionCounters } from './direction-counters.ts'
import { Flight } from './flight.ts'
import type { FilterCompiler } from './frame-match.ts'
import { type ImpairmentModels, Impairments, impairmentModels } from './impairments.ts'
import type { LinkSettings, SchedulePoint } from './link-settings.ts'
import type { LinkStage } from './link-stage.ts'
import { NetemDrop } from './netem-drop.ts'
import { RatedWire } from './rated-wire.ts'

const batch = new Int32Array(256)

/** They belong to the element: a direction comes and goes with its settings. */
export interface DirectionTimers {
  /** Calls `drain`. */
  readonly free: Timer
  /** Calls `followSchedule`. */
  readonly schedule: Timer
}

export class Direction {
  private readonly context: ElementContext
  /** The port by which frames leave. */
  private readonly out: number
  private readonly settings: LinkSettings
  private readonly since: number
  private readonly timers: DirectionTimers
  private readonly isUnshaped: boolean
  private isDown: boolean
  private readonly impairments: ImpairmentModels | null
  private readonly delay: DelayModel | null
  private readonly flight: Flight
  private readonly wire: RatedWire | null
  /** Where a frame begins its way, and where one goes on that has been judged already. */
  private readonly first: LinkStage
  private readonly second: LinkStage
  private schedulePoint = 0
  private scheduleRound = 0

  /** `settings` are checked, those with a filter only where there is something to compile it. */
  constructor(context: ElementContext, out: number, settings: LinkSettings, timers: DirectionTimers, compile?: FilterCompiler) {
    const { random } = context
    const { reorder, delay, rate, queue, schedule } = settings
    const follows = (key: keyof SchedulePoint): boolean => schedule?.points.some((point) => point[key] !== undefined) === true
    this.context = context
    this.out = out
    this.settings = settings
    this.since = context.now
    this.timers = timers
    this.isUnshaped = Object.keys(settings).every((key) => key === 'queue')
    this.isDown = settings.down === true

    const counters = new DirectionCounters(context.counters, 1 - out)
    this.impairments = impairmentModels(random, settings, follows('lossProbability'), compile)
    const overtaking = reorder === undefined ? null : new Chance(random, reorder)
    this.delay = delay !== undefined || follows('delayNs') ? new DelayModel(random, delay ?? { meanNs: 0 }) : null
    this.flight = new Flight(context, counters, out, { delay: this.delay, reorder: overtaking, gap: reorder?.gap ?? 1 })
    const speed = rate ?? (follows('bitsPerSecond') ? { bitsPerSecond: Number.POSITIVE_INFINITY } : null)
    const wireParts = { timer: timers.free, next: this.flight, countsDelayed: this.delay === null }
    this.wire = speed === null ? null : new RatedWire(context, counters, { rate: speed, queue }, wireParts)
    this.second = this.wire ?? this.flight
    this.first = this.impairments === null ? this.second : new Impairments(context, counters, this.impairments, this.second)
    if (schedule !== undefined) timers.schedule.arm(this.since + schedule.points[0].atNs)
  }

  /** Segments and bytes that wait for the rate. */
  get backlog(): { packets: number; bytes: number } {
    return this.wire?.backlog ?? { packets: 0, bytes: 0 }
  }

  /** Handles what waits in `rx`. */
  push(rx: Link): void {
    if (this.isUnshaped) return this.pass(rx)
    const { context, first } = this
    if (this.isDown || this.isFlapped(context.now)) {
      while (!rx.empty) context.drop(rx.receive(), NetemDrop.down)
      return
    }
    if (first === this.flight) this.flight.admitAll(rx)
    else while (!rx.empty) first.admit(rx.receive())
  }

  /** Takes over what is on the wire and in the queue of the direction that this one replaces. */
  inherit({ wire: before }: Direction): void {
    if (before === null) return
    if (this.wire !== null) this.wire.inherit(before)
    const sending = before.takeOnWire()
    if (sending !== NO_FRAME) this.flight.admit(sending)
    eachWaiting(before, (frame) => this.second.admit(frame))
  }

  /** The end: what waits is dropped. */
  close(): void {
    this.stop()
    if (this.wire === null) return
    const sending = this.wire.takeOnWire()
    if (sending !== NO_FRAME) this.context.drop(sending, EngineDrop.reconfigured)
    eachWaiting(this.wire, (frame) => this.context.drop(frame, EngineDrop.reconfigured))
  }

  /** No timer of this direction fires any more. */
  stop(): void {
    this.timers.free.disarm()
    this.timers.schedule.disarm()
  }

  /** The rate is free. */
  drain(now: number): void {
    this.wire?.drain(now)
  }

  /** The next point of the schedule has come. */
  followSchedule(): void {
    const { points, repeatNs } = this.settings.schedule!
    const { bitsPerSecond, delayNs, lossProbability, down } = points[this.schedulePoint]
    if (down !== undefined) this.isDown = down
    if (bitsPerSecond !== undefined) this.wire!.setRate(bitsPerSecond)
    if (delayNs !== undefined) this.delay!.setMean(delayNs)
    const loss = this.impairments?.loss
    if (lossProbability !== undefined && loss instanceof Chance) loss.setProbability(lossProbability)
    this.schedulePoint++
    if (this.schedulePoint === points.length) {
      if (repeatNs === undefined) return
      this.schedulePoint = 0
      this.scheduleRound++
    }
    this.timers.schedule.arm(this.since + this.scheduleRound * (repeatNs ?? 0) + points[this.schedulePoint].atNs)
  }

  private pass(rx: Link): void {
    const port = this.context.ports[this.out]
    if (port && rx.handOver(port.tx)) return
    while (!rx.empty) {
      if (port === null || port === undefined) this.context.transmit(this.out, rx.receive())
      else port.tx.transmitAll(batch, rx.receiveAll(batch))
    }
  }

  private isFlapped(now: number): boolean {
    const { flap } = this.settings
    return flap !== undefined && (now - this.since) % (flap.upNs + flap.downNs) >= flap.upNs
  }
}

/** Empties the queue; `take` owns the frames. */
function eachWaiting(wire: RatedWire, take: (frame: FrameHandle) => void): void {
  for (let frame = wire.takeWaiting(); frame !== NO_FRAME; frame = wire.takeWaiting()) take(frame)
}
