/**
 * Which packets a link loses. The models are those of tc netem (net/sched/sch_netem.c; Salsano, Ludovici, Ordine, "Definition of a
 * general and intuitive loss model for packet networks", 2012).
 */
import type { Random } from '../../engine/random.ts'
import { Chance } from './chance.ts'
import type { LossSettings } from './link-settings.ts'

export interface LossModel {
  /** Whether the next packet is lost. */
  next(): boolean
}

export function lossModel(random: Random, loss: LossSettings): LossModel {
  switch (loss.model) {
    case 'random':
      return new Chance(random, loss)
    case 'gilbert-elliott':
      return new GilbertElliott(random, loss)
    case 'states':
      return new FourStates(random, loss)
    case 'nth':
      return new EveryNth(loss.n)
  }
}

class EveryNth implements LossModel {
  private readonly n: number
  private count = 0

  constructor(n: number) {
    this.n = n
  }

  next(): boolean {
    if (++this.count < this.n) return false
    this.count = 0
    return true
  }
}

/**
 * Two states, each with a share of losses. A packet is judged in the state in which it comes, and moves the chain on:
 *
 *            toBad ->
 *   good  --------------  bad         mean loss = (lossInGood toGood + lossInBad toBad) / (toGood + toBad)
 *            <- toGood
 */
class GilbertElliott implements LossModel {
  private readonly random: Random
  private readonly settings: Extract<LossSettings, { model: 'gilbert-elliott' }>
  private isBad = false

  constructor(random: Random, settings: Extract<LossSettings, { model: 'gilbert-elliott' }>) {
    this.random = random
    this.settings = settings
  }

  next(): boolean {
    const { random, settings } = this
    const isLost = random.next() < (this.isBad ? settings.lossInBad : settings.lossInGood)
    if (random.next() < (this.isBad ? settings.toGood : settings.toBad)) this.isBad = !this.isBad
    return isLost
  }
}

const State = { received: 1, receivedInBurst: 2, lostInBurst: 3, lostAlone: 4 } as const

/**
 * Periods of losses (states 2 and 3) in which some packets come through, and single losses (state 4) outside of them:
 *
 *   4 <--p14-- 1 <--p31-- 3 <--p23-- 2
 *   4 ---1---> 1 --p13--> 3 --p32--> 2
 *
 * The chain moves first; the state that it reaches says what becomes of the packet.
 */
class FourStates implements LossModel {
  private readonly random: Random
  private readonly settings: Extract<LossSettings, { model: 'states' }>
  private state: number = State.received

  constructor(random: Random, settings: Extract<LossSettings, { model: 'states' }>) {
    this.random = random
    this.settings = settings
  }

  next(): boolean {
    this.state = this.following()
    return this.state >= State.lostInBurst
  }

  private following(): number {
    const { p13, p14, p23, p31, p32 } = this.settings
    const draw = this.random.next()
    switch (this.state) {
      case State.received:
        if (draw < p14) return State.lostAlone
        return draw < p14 + p13 ? State.lostInBurst : State.received
      case State.receivedInBurst:
        return draw < p23 ? State.lostInBurst : State.receivedInBurst
      case State.lostInBurst:
        if (draw < p32) return State.receivedInBurst
        return draw < p32 + p31 ? State.received : State.lostInBurst
      default:
        return State.received
    }
  }
}
