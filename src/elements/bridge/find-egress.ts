/**
 * The frames that are most: a station that is where it was sends to one that is known on another port. Two frames a round,
 * because V8 checks the table anew in every round; the arrays of frames are constants to it (see the engine's README, "Loops").
 */
import { FrameFlag, type FramePool } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import type { Fdb } from './fdb.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const headerLength = ETHERNET_HEADER_LENGTH
const { traced } = FrameFlag

/**
 * Finds the egress of `batch[from..count-1]` up to the first frame that is not of this kind or lies in another chunk, and returns
 * its index. `longest`: bytes of the longest frame; `port`: where they came in; `now`: whole seconds.
 */
export type FindEgress = (from: number, count: number, fdb: Fdb, longest: number, port: number, now: number) => number

/** `batch` and `egress` are the same for all. */
const made = new WeakMap<FramePool, FindEgress>()

/** The one for bridges on this pool: V8 takes the arrays for constants only while the function is made once. */
export function findEgressFor(frames: FramePool, batch: Int32Array, egress: Int32Array): FindEgress {
  let find = made.get(frames)
  if (find === undefined) made.set(frames, (find = makeFindEgress(frames, batch, egress)))
  return find
}

function makeFindEgress(frames: FramePool, batch: Int32Array, egress: Int32Array): FindEgress {
  const { start, length, flags } = frames

  return function findEgress(from: number, count: number, fdb: Fdb, longest: number, ingress: number, seconds: number): number {
    const view = frames.view(batch[from])
    const chunk = frames.chunkOf(batch[from])
    // Integers from here on, as V8 would find out at every use.
    const port = ingress | 0
    const now = seconds | 0
    let i = from
    for (; i < ((count - 1) | 0); i = (i + 2) | 0) {
      const a = batch[i]
      const b = batch[(i + 1) | 0]
      const lengthA = length[a]
      const lengthB = length[b]
      if (lengthA < headerLength || lengthA > longest || lengthB < headerLength || lengthB > longest) break
      if (((flags[a] | flags[b]) & traced) !== 0 || frames.chunkOf(a) !== chunk || frames.chunkOf(b) !== chunk) break
      // Both addresses in three reads: destination 32 + 16 bits, source 16 + 32.
      const atA = start[a]
      const atB = start[b]
      const firstA = view.getInt32(atA)
      const firstB = view.getInt32(atB)
      const middleA = view.getInt32((atA + 4) | 0)
      const middleB = view.getInt32((atB + 4) | 0)
      const lastA = view.getInt32((atA + 8) | 0)
      const lastB = view.getInt32((atB + 8) | 0)
      let portA = fdb.relayNear(middleA & 0xffff, lastA, firstA >>> 16, (firstA << 16) | (middleA >>> 16), port, now)
      let portB = fdb.relayNear(middleB & 0xffff, lastB, firstB >>> 16, (firstB << 16) | (middleB >>> 16), port, now)
      if ((portA | portB) < 0) {
        portA = fdb.relay(middleA & 0xffff, lastA, firstA >>> 16, (firstA << 16) | (middleA >>> 16), port, now)
        if (portA < 0) return i
        portB = fdb.relay(middleB & 0xffff, lastB, firstB >>> 16, (firstB << 16) | (middleB >>> 16), port, now)
        if (portB < 0) break
      }
      egress[i] = portA
      egress[(i + 1) | 0] = portB
    }
    for (; i < count; i++) {
      const frame = batch[i]
      const size = length[frame]
      if (size < headerLength || size > longest || (flags[frame] & traced) !== 0 || frames.chunkOf(frame) !== chunk) return i
      const at = start[frame]
      const first = view.getInt32(at)
      const middle = view.getInt32(at + 4)
      const last = view.getInt32(at + 8)
      const known = fdb.relay(middle & 0xffff, last, first >>> 16, (first << 16) | (middle >>> 16), port, now)
      if (known < 0) return i
      egress[i] = known
    }
    return count
  }
}
