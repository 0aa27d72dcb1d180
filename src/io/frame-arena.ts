import { type FramePool, HEADROOM, LARGE_SLOT, SMALL_SLOT } from '../engine/frame-pool.ts'
import type { NativeArena, NativeBinding } from './native-binding.ts'

const arenas = new WeakMap<FramePool, NativeArena>()

/** The addon's view of a pool: made once per pool, told of every chunk that the pool grows. */
export function arenaOf(pool: FramePool, native: NativeBinding): NativeArena {
  const known = arenas.get(pool)
  if (known !== undefined) return known
  const arena = native.createArena({
    largeBase: pool.largeBase,
    smallSlotSize: SMALL_SLOT,
    largeSlotSize: LARGE_SLOT,
    headroom: HEADROOM,
    start: pool.start,
    length: pool.length,
    flags: pool.flags,
    gsoType: pool.gsoType,
    gsoSize: pool.gsoSize,
    hdrLen: pool.hdrLen,
    csumStart: pool.csumStart,
    csumOffset: pool.csumOffset,
    smallFree: pool.smallFree,
    largeFree: pool.largeFree,
    tops: pool.tops
  })
  pool.onChunk((chunk, bytes) => native.arenaAddChunk(arena, chunk, bytes))
  arenas.set(pool, arena)
  return arena
}
