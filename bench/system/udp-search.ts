/**
 * The highest rate of datagrams that arrives with less than 1 % loss.
 *
 * Goes up or down from a first guess in growing steps until it has both a rate that passes and one that does not, then
 * bisects. The first search of a path guesses from what it delivers when overloaded and takes large steps; later ones begin
 * at the last answer with small ones, since a path's limit moves little between rounds.
 */
import type { UdpResult } from './iperf.ts'

export const LOSS_LIMIT = 0.01
/** Where the search ends: a rate that passes and one that does not are so close. */
export const RESOLUTION = 1.06
const FIRST_STEP = 1.4
const MAX_TRIALS = 8
/** A lossless trial that delivers less than this share of what was offered was held back by its sender. */
const SENDER_SHORT = 0.9

export type UdpTrial = (rate: number) => Promise<UdpResult>

export interface UdpSearchResult {
  /** Datagrams a second, of the best trial under the limit; 0 when every trial lost more. */
  readonly delivered: number
  /** The offered rate of that trial: where the next search begins. */
  readonly offered: number
}

const NOTHING: UdpSearchResult = { delivered: 0, offered: 0 }

/** `overload` is what arrives when the sender does not hold back, `last` the offered rate of the last answer or 0; datagrams a second. */
export async function findUdpRate(trial: UdpTrial, overload: number, last: number, resolution = RESOLUTION): Promise<UdpSearchResult> {
  let best = NOTHING
  let low = 0
  // No upper bound: an overloaded path may deliver less than it could.
  let high = Number.POSITIVE_INFINITY
  let rate = last > 0 ? last : overload * 0.8
  let step = last > 0 ? resolution : FIRST_STEP
  for (let i = 0; i < MAX_TRIALS && high / Math.max(low, 1) > resolution; i++) {
    const result = await trial(rate)
    if (result.loss < LOSS_LIMIT) {
      best = better(best, rate, result)
      low = rate
      // The sender is at its own limit: offering more only asks it for what it cannot do.
      if (result.delivered < rate * SENDER_SHORT) return { delivered: best.delivered, offered: best.delivered }
    } else high = rate
    if (low > 0 && high < Number.POSITIVE_INFINITY) rate = Math.sqrt(low * high)
    else {
      rate = low > 0 ? rate * step : rate / step
      step **= 1.5
    }
  }
  return best
}

function better(best: UdpSearchResult, offered: number, { delivered }: UdpResult): UdpSearchResult {
  return delivered > best.delivered ? { delivered, offered } : best
}
