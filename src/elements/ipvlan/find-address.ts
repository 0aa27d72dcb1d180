/**
 * The frames that are most: IPv4 packets to the one MAC that parent and children share, for a child's address. Two a round, because
 * V8 checks the table anew in every round; the arrays of frames are constants to it (see the engine's README, "Loops").
 */
import { FrameFlag, type FramePool } from '../../engine/frame-pool.ts'
import type { AddressTable } from './address-table.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
/** Ethernet and IPv4 without options. */
const SHORTEST = 34
const { traced } = FrameFlag
/** EtherType 0x0800, version 4, five words of header, any type of service: bytes 12 to 15 of the frame. */
const PLAIN_IPV4 = 0x08004500
const PLAIN_MASK = 0xffffff00 | 0
const TOTAL_LENGTH = 16
const DESTINATION = 30

/**
 * Finds the egress of `batch[from..count-1]` up to the first frame that is not of this kind or lies in another chunk, and returns
 * its index. `longest`: bytes of the longest frame; `macHi`, `macLo`: the MAC.
 */
export type FindAddress = (from: number, count: number, children: AddressTable, longest: number, macHi: number, macLo: number) => number

/** `batch` and `egress` are the same for all. */
const made = new WeakMap<FramePool, FindAddress>()

/** The one for ipvlans on this pool: V8 takes the arrays for constants only while the function is made once. */
export function findAddressFor(frames: FramePool, batch: Int32Array, egress: Int32Array): FindAddress {
  let find = made.get(frames)
  if (find === undefined) made.set(frames, (find = makeFindAddress(frames, batch, egress)))
  return find
}

function makeFindAddress(frames: FramePool, batch: Int32Array, egress: Int32Array): FindAddress {
  const { start, length, flags } = frames

  return function findAddress(from: number, count: number, children: AddressTable, longest: number, macHi: number, macLo: number): number {
    const view = frames.view(batch[from])
    const chunk = frames.chunkOf(batch[from])
    // The MAC as it is read: 32 bits, then 16.
    const first = (macHi << 16) | (macLo >>> 16)
    const rest = macLo & 0xffff
    let i = from
    for (; i < ((count - 1) | 0); i = (i + 2) | 0) {
      const a = batch[i]
      const b = batch[(i + 1) | 0]
      const lengthA = length[a]
      const lengthB = length[b]
      if (lengthA < SHORTEST || lengthA > longest || lengthB < SHORTEST || lengthB > longest) break
      if (((flags[a] | flags[b]) & traced) !== 0 || frames.chunkOf(a) !== chunk || frames.chunkOf(b) !== chunk) break
      const atA = start[a]
      const atB = start[b]
      if (view.getInt32(atA) !== first || view.getInt32(atB) !== first) break
      if (view.getUint16((atA + 4) | 0) !== rest || view.getUint16((atB + 4) | 0) !== rest) break
      if ((view.getInt32((atA + 12) | 0) & PLAIN_MASK) !== PLAIN_IPV4 || (view.getInt32((atB + 12) | 0) & PLAIN_MASK) !== PLAIN_IPV4) break
      const totalA = view.getUint16((atA + TOTAL_LENGTH) | 0)
      const totalB = view.getUint16((atB + TOTAL_LENGTH) | 0)
      if (totalA < 20 || totalA + 14 > lengthA || totalB < 20 || totalB + 14 > lengthB) break
      const portA = children.lookup4(view.getInt32((atA + DESTINATION) | 0))
      const portB = children.lookup4(view.getInt32((atB + DESTINATION) | 0))
      if ((portA | portB) < 0) break
      egress[i] = portA
      egress[(i + 1) | 0] = portB
    }
    for (; i < count; i++) {
      const frame = batch[i]
      const size = length[frame]
      if (size < SHORTEST || size > longest || (flags[frame] & traced) !== 0 || frames.chunkOf(frame) !== chunk) return i
      const at = start[frame]
      if (view.getInt32(at) !== first || view.getUint16(at + 4) !== rest) return i
      if ((view.getInt32(at + 12) & PLAIN_MASK) !== PLAIN_IPV4) return i
      const total = view.getUint16(at + TOTAL_LENGTH)
      if (total < 20 || total + 14 > size) return i
      const port = children.lookup4(view.getInt32(at + DESTINATION))
      if (port < 0) return i
      egress[i] = port
    }
    return count
  }
}
