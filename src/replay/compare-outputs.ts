/** What left by a port, as recorded and as it came out again: which frames are missing, which are new, which came in another order. */
import { frameText } from '../decode/frame-text.ts'

export interface OutputDifference {
  /** `network/endpoint`. */
  readonly port: string
  readonly kind: 'missing' | 'unexpected' | 'changed'
  /** Its place among the frames of the port, from 0: of what was recorded, or of what came out where it is unexpected. */
  readonly index: number
  /** In one line, as tcpdump prints it; of the two frames where one is changed. */
  readonly recorded: string | null
  readonly played: string | null
  /** Of a changed frame, the first byte that differs. */
  readonly offset: number | null
}

export interface PortComparison {
  readonly port: string
  readonly recorded: number
  readonly played: number
  /** Frames that are in both, byte by byte. */
  readonly same: number
  /** Whether those are in the same order; what was recorded at one time has none. */
  readonly isOrdered: boolean
  readonly differences: readonly OutputDifference[]
}

/**
 * Compares the frames of one port, in the order in which they left. `times`: of those recorded. `isLate`: of those played, by place, whether
 * they left after the recording's end: what is new there (a router that asks its neighbor again) was not recorded any more.
 */
export function compareOutputs(
  port: string,
  recorded: readonly Uint8Array[],
  played: readonly Uint8Array[],
  times: readonly bigint[],
  isLate: (place: number) => boolean = () => false
): PortComparison {
  const places = new Map<string, number[]>()
  for (const [index, bytes] of played.entries()) {
    const key = keyOf(bytes)
    const list = places.get(key)
    if (list === undefined) places.set(key, [index])
    else list.push(index)
  }
  const missing: number[] = []
  const order: number[] = []
  const orderTimes: bigint[] = []
  for (const [index, bytes] of recorded.entries()) {
    const found = places.get(keyOf(bytes))?.shift()
    if (found === undefined) missing.push(index)
    else {
      order.push(found)
      orderTimes.push(times[index])
    }
  }
  const unexpected = [...places.values()].flat().sort((a, b) => a - b)
  const all = pair(port, missing, unexpected, recorded, played)
  const differences = all.filter(({ kind, index }) => kind !== 'unexpected' || !isLate(index))
  return {
    port,
    recorded: recorded.length,
    played: played.length - (all.length - differences.length),
    same: order.length,
    isOrdered: isInOrder(order, orderTimes),
    differences
  }
}

/** Each place behind those of all earlier times. */
function isInOrder(places: readonly number[], times: readonly bigint[]): boolean {
  let highest = -1
  let before = -1
  for (const [index, place] of places.entries()) {
    if (index > 0 && times[index] !== times[index - 1]) before = highest
    if (place < before) return false
    highest = Math.max(highest, place)
  }
  return true
}

/** A frame that is missing and one that is new are one that changed when they have the same length and the same stations. */
function pair(
  port: string,
  missing: readonly number[],
  unexpected: readonly number[],
  recorded: readonly Uint8Array[],
  played: readonly Uint8Array[]
): OutputDifference[] {
  const left = new Set(unexpected)
  const differences = missing.map((index): OutputDifference => {
    const before = recorded[index]
    for (const place of left) {
      const after = played[place]
      if (after.length !== before.length || !isSame(before, after, 0, 14)) continue
      left.delete(place)
      const offset = before.findIndex((byte, at) => byte !== after[at])
      return { port, kind: 'changed', index, recorded: lineOf(before), played: lineOf(after), offset }
    }
    return { port, kind: 'missing', index, recorded: lineOf(before), played: null, offset: null }
  })
  for (const index of left)
    differences.push({ port, kind: 'unexpected', index, recorded: null, played: lineOf(played[index]), offset: null })
  return differences
}

function isSame(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false
  return true
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function lineOf(bytes: Uint8Array): string {
  return frameText(bytes, 0, bytes.length)
}
