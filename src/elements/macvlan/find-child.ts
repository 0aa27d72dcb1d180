/**
 * The frames that are most: to the one child, or the wire, that their destination names. Two a round, because V8 checks the table
 * anew in every round; the arrays of frames are constants to it (see the engine's README, "Loops").
 */
import { FrameFlag, type FramePool } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import type { Fdb } from '../bridge/fdb.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const headerLength = ETHERNET_HEADER_LENGTH
const { traced } = FrameFlag
/** In the first 16 bits of a destination. */
const GROUP_BIT = 0x0100

/**
 * Finds the egress of `batch[from..count-1]` up to the first frame that is for a group or too short, too long, traced, or lies in
 * another chunk, and returns its index. `other`: the port of destinations that are no child's.
 */
export type FindChild = (from: number, count: number, children: Fdb, longest: number, other: number) => number

/** `batch` and `egress` are the same for all. */
const made = new WeakMap<FramePool, FindChild>()

/** The one for macvlans on this pool: V8 takes the arrays for constants only while the function is made once. */
export function findChildFor(frames: FramePool, batch: Int32Array, egress: Int32Array): FindChild {
  let find = made.get(frames)
  if (find === undefined) made.set(frames, (find = makeFindChild(frames, batch, egress)))
  return find
}

function makeFindChild(frames: FramePool, batch: Int32Array, egress: Int32Array): FindChild {
  const { start, length, flags } = frames

  return function findChild(from: number, count: number, children: Fdb, longest: number, other: number): number {
    const view = frames.view(batch[from])
    const chunk = frames.chunkOf(batch[from])
    let i = from
    for (; i < ((count - 1) | 0); i = (i + 2) | 0) {
      const a = batch[i]
      const b = batch[(i + 1) | 0]
      const lengthA = length[a]
      const lengthB = length[b]
      if (lengthA < headerLength || lengthA > longest || lengthB < headerLength || lengthB > longest) break
      if (((flags[a] | flags[b]) & traced) !== 0 || frames.chunkOf(a) !== chunk || frames.chunkOf(b) !== chunk) break
      const hiA = view.getUint16(start[a])
      const hiB = view.getUint16(start[b])
      if (((hiA | hiB) & GROUP_BIT) !== 0) break
      const portA = children.lookup(hiA, view.getInt32((start[a] + 2) | 0))
      const portB = children.lookup(hiB, view.getInt32((start[b] + 2) | 0))
      egress[i] = portA < 0 ? other : portA
      egress[(i + 1) | 0] = portB < 0 ? other : portB
    }
    for (; i < count; i++) {
      const frame = batch[i]
      const size = length[frame]
      if (size < headerLength || size > longest || (flags[frame] & traced) !== 0 || frames.chunkOf(frame) !== chunk) return i
      const hi = view.getUint16(start[frame])
      if ((hi & GROUP_BIT) !== 0) return i
      const port = children.lookup(hi, view.getInt32((start[frame] + 2) | 0))
      egress[i] = port < 0 ? other : port
    }
    return count
  }
}
