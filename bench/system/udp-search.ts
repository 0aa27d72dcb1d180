/**
 * The highest rate of datagrams that arrives with less than 1 % loss.
 *
 * The first search bisects around what an overloaded path delivers; later ones begin at the last answer and climb
 * or descend in small steps, since a path's limit moves little between rounds.
 */
import type { UdpResult } from './iperf.ts'

export const LOSS_LIMIT = 0.01
const STEP = 1.06
const MAX_TRIALS = 8

export type UdpTrial = (rate: number) => Promise<UdpResult>

export interface UdpSearchResult {
  /** Datagrams a second, of the best trial under the limit; 0 when every trial lost more. */
  readonly delivered: number
  /** The offered rate of that trial: where the next search begins. */
  readonly offered: number
}

const NOTHING: UdpSearchResult = { delivered: 0, offered: 0 }

/** `overload` is what arrives when the sender does not hold back, datagrams a second. */
export async function findUdpRate(trial: UdpTrial, overload: number, last: number): Promise<UdpSearchResult> {
  return last > 0 ? climb(trial, last) : bisect(trial, overload)
}

async function bisect(trial: UdpTrial, overload: number): Promise<UdpSearchResult> {
  let best = NOTHING
  let low = 0
  // No upper bound: an overloaded path may deliver less than it could.
  let high = Number.POSITIVE_INFINITY
  let rate = overload * 0.8
  for (let i = 0; i < MAX_TRIALS && high / Math.max(low, 1) > STEP; i++) {
    const result = await trial(rate)
    if (result.loss < LOSS_LIMIT) {
      best = better(best, rate, result)
      low = rate
    } else high = rate
    if (low === 0) rate /= 2
    else rate = high === Number.POSITIVE_INFINITY ? rate * 1.4 : Math.sqrt(low * high)
  }
  return best
}

async function climb(trial: UdpTrial, last: number): Promise<UdpSearchResult> {
  let best = NOTHING
  let rate = last
  for (let i = 0; i < MAX_TRIALS; i++) {
    const result = await trial(rate)
    if (result.loss < LOSS_LIMIT) {
      best = better(best, rate, result)
      rate *= STEP
    } else if (best.delivered > 0) break
    else rate /= STEP * STEP
  }
  return best
}

function better(best: UdpSearchResult, offered: number, { delivered }: UdpResult): UdpSearchResult {
  return delivered > best.delivered ? { delivered, offered } : best
}
