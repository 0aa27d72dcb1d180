/**
 * What a pool does with whole batches of frames: closures over its arrays, and not methods.
 *
 * V8 compiles a closure that is the only one made of its function for the variables around it: the arrays' addresses and
 * lengths are part of the code, where a method checks and loads each array anew in every round of a loop. A thread has one
 * engine and that one pool. With several pools in a thread, the same functions run at the price of methods.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'
import type { RestingSlots } from './resting-slots.ts'

export interface FrameBatches {
  /**
   * Puts up to `count` small frames of `length` bytes (at most SMALL_CAPACITY) into `handles`; returns how many there were.
   * They have no packet id until they are entered. One call for a batch costs a quarter of as many `allocate`.
   */
  allocateAll(handles: Int32Array, count: number, length: number): number
  /**
   * Stamps `handles[0..count-1]` with the element and the time of their entry and with packet ids from `firstId` on. The time
   * comes in its object: V8 would make an object of a double that is an argument.
   */
  enterAll(handles: Int32Array, count: number, element: number, time: { readonly now: number }, firstId: number): void
  /** Gives the slots of `handles[0..count-1]` back. */
  freeAll(handles: Int32Array, count: number): void
}

/** Where a fresh small frame begins: `(handle & mask) * size + headroom`. */
export interface SmallSlots {
  readonly mask: number
  readonly size: number
  readonly headroom: number
}

/** `live`: one byte per handle in checked pools (see `endLife`), else null. */
export function frameBatches(
  pool: FramePool,
  { mask, size, headroom }: SmallSlots,
  live: Uint8Array | null,
  resting: RestingSlots
): FrameBatches {
  const { start, length: lengths, flags, ingress, timestamp, packetId, smallFree, largeFree, tops, largeBase } = pool

  function allocateAll(handles: Int32Array, count: number, length: number): number {
    if (tops[0] < count) pool.reserve(count, 0)
    let top = tops[0]
    const given = Math.min(count, top)
    // Four a round: see the README, "Loops".
    let i = 0
    for (; i < ((given - 3) | 0); i = (i + 4) | 0) {
      const a = smallFree[(top - 1) | 0]
      const b = smallFree[(top - 2) | 0]
      const c = smallFree[(top - 3) | 0]
      top = (top - 4) | 0
      const d = smallFree[top]
      start[a] = (a & mask) * size + headroom
      start[b] = (b & mask) * size + headroom
      start[c] = (c & mask) * size + headroom
      start[d] = (d & mask) * size + headroom
      lengths[a] = length
      lengths[b] = length
      lengths[c] = length
      lengths[d] = length
      flags[a] = 0
      flags[b] = 0
      flags[c] = 0
      flags[d] = 0
      handles[i] = a
      handles[(i + 1) | 0] = b
      handles[(i + 2) | 0] = c
      handles[(i + 3) | 0] = d
    }
    for (; i < given; i++) {
      const frame = smallFree[--top]
      start[frame] = (frame & mask) * size + headroom
      lengths[frame] = length
      flags[frame] = 0
      handles[i] = frame
    }
    tops[0] = top
    if (live !== null) for (let i = 0; i < given; i++) live[handles[i]] = 1
    return given
  }

  function enterAll(handles: Int32Array, count: number, element: number, time: { readonly now: number }, firstId: number): void {
    const { now } = time
    let id = firstId | 0
    let i = 0
    for (; i < ((count - 3) | 0); i = (i + 4) | 0) {
      const a = handles[i]
      const b = handles[(i + 1) | 0]
      const c = handles[(i + 2) | 0]
      const d = handles[(i + 3) | 0]
      ingress[a] = element
      ingress[b] = element
      ingress[c] = element
      ingress[d] = element
      timestamp[a] = now
      timestamp[b] = now
      timestamp[c] = now
      timestamp[d] = now
      packetId[a] = id
      packetId[b] = (id + 1) | 0
      packetId[c] = (id + 2) | 0
      packetId[d] = (id + 3) | 0
      id = (id + 4) | 0
    }
    for (; i < count; i++) {
      const frame = handles[i]
      ingress[frame] = element
      timestamp[frame] = now
      packetId[frame] = id++
    }
  }

  function freeAll(handles: Int32Array, count: number): void {
    if (live !== null) for (let i = 0; i < count; i++) endLife(live, handles[i])
    if (resting.isUsed) return rest(handles, count)
    let top = tops[0]
    let i = 0
    for (; i < ((count - 3) | 0); i = (i + 4) | 0) {
      const a = handles[i]
      const b = handles[(i + 1) | 0]
      const c = handles[(i + 2) | 0]
      const d = handles[(i + 3) | 0]
      if (a >= largeBase || b >= largeBase || c >= largeBase || d >= largeBase) break
      smallFree[top] = a
      smallFree[(top + 1) | 0] = b
      smallFree[(top + 2) | 0] = c
      smallFree[(top + 3) | 0] = d
      top = (top + 4) | 0
    }
    tops[0] = top
    for (; i < count; i++) {
      const frame = handles[i]
      if (frame < largeBase) smallFree[tops[0]++] = frame
      else largeFree[tops[1]++] = frame
    }
  }

  function rest(handles: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const frame = handles[i]
      if (frame < largeBase) resting.add(frame)
      else largeFree[tops[1]++] = frame
    }
  }

  return { allocateAll, enterAll, freeAll }
}

/** Notes the end of a frame in a checked pool; throws when it has ended already. */
export function endLife(live: Uint8Array, frame: FrameHandle): void {
  if (live[frame] === 0) throw new Error(`frame ${frame} is freed twice or was never allocated`)
  live[frame] = 0
}
