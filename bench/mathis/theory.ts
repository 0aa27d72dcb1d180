/**
 * What TCP Reno is to reach: M. Mathis, J. Semke, J. Mahdavi, T. Ott, "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm",
 * Computer Communication Review 27(3), 1997:
 *
 *   BW = (MSS / RTT) (C / sqrt(p))
 *
 * C is sqrt(3/2) = 1.22 for losses in equal distances and 1.31 for losses that are independent, as those of the link are (the paper's
 * table 1, from T. Ott, J. Kemperman, M. Mathis, "The stationary behavior of ideal TCP congestion avoidance", 1996), with a window that
 * grows by a segment per round trip. Linux grows so although it acknowledges every other segment: it counts the bytes (RFC 3465).
 */

/** Each way takes half of the round trip; only data are lost, no acknowledgments. */
export const LINK_OUT = 'delay 20ms rate 100mbit limit 1000 loss 0.1%'
export const LINK_IN = 'delay 20ms rate 100mbit limit 1000'
export const RTT_MS = 40
export const LOSS = 0.001
/** Seconds before the measured ones: slow start is not what the formula is about. */
export const WARM_UP = 5

export const PERIODIC = Math.sqrt(3 / 2)
export const INDEPENDENT = 1.31

export interface MathisTrial {
  readonly seed: number
  /** Bytes of payload of a segment. */
  readonly mss: number
  /** Payload that arrived. */
  readonly bitsPerSecond: number
  /** The sender's mean. */
  readonly rttMs: number
  /** Of the segments sent, as the link counted them. */
  readonly lossShare: number
  readonly queueDrops: number
}

/** bit/s */
export function mathisBound(constant: number, mss: number, rttMs = RTT_MS, loss = LOSS): number {
  return ((mss * 8) / (rttMs / 1000)) * (constant / Math.sqrt(loss))
}

/** Two-sided 95 % quantiles of Student's t distribution, by degrees of freedom from 1 on. */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086,
  2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045
]

export interface MeanInterval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

/** The mean and its 95 % interval by Student's t. Beyond 30 samples the quantile of 30 is used, which is a little wide. */
export function meanInterval(samples: readonly number[]): MeanInterval {
  const count = samples.length
  const mean = samples.reduce((sum, value) => sum + value, 0) / count
  if (count < 2) return { mean, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }
  const variance = samples.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)
  const half = STUDENT[Math.min(count - 2, STUDENT.length - 1)]! * Math.sqrt(variance / count)
  return { mean, low: mean - half, high: mean + half }
}
