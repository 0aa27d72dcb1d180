/**
 * The last frames that passed the probe: a ring of copies, overwritten in turn.
 */
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'

/** From the endpoint, or to it. */
export type Way = 'out' | 'in'
/** What became of a frame at the probe. */
export type Fate = 'passed' | 'dropped' | 'duplicated' | 'corrupted'

/** A frame as it was when it crossed the probe. */
export interface ProbedFrame {
  /** Nanoseconds since the engine's start. */
  readonly time: number
  /** Whose link it was on. */
  readonly slot: number
  readonly way: Way
  readonly packetId: number
  /** Bytes of the frame; `bytes` may have fewer. */
  readonly length: number
  readonly bytes: Uint8Array
  readonly fate: Fate
}

const COUNT = 256
const KEPT = 256
const FATES: readonly Fate[] = ['passed', 'dropped', 'duplicated', 'corrupted']

export class RecentFrames {
  private readonly bytes = new Uint8Array(COUNT * KEPT)
  private readonly times = new Float64Array(COUNT)
  private readonly slots = new Int32Array(COUNT)
  private readonly ways = new Uint8Array(COUNT)
  private readonly fates = new Uint8Array(COUNT)
  private readonly packetIds = new Int32Array(COUNT)
  private readonly lengths = new Int32Array(COUNT)
  private total = 0

  add(frames: FramePool, frame: FrameHandle, time: number, slot: number, isOut: boolean): void {
    const place = this.total++ % COUNT
    const from = frames.bytes(frame)
    const start = frames.start[frame]
    const length = frames.length[frame]
    const kept = Math.min(length, KEPT)
    const at = place * KEPT
    for (let i = 0; i < kept; i++) this.bytes[at + i] = from[start + i]
    this.times[place] = time
    this.slots[place] = slot
    this.ways[place] = isOut ? 0 : 1
    this.fates[place] = 0
    this.packetIds[place] = frames.packetId[frame]
    this.lengths[place] = length
  }

  /** What became of the frame that was added last. */
  mark(fate: Fate): void {
    this.fates[(this.total - 1) % COUNT] = FATES.indexOf(fate)
  }

  /** Oldest first. */
  list(): ProbedFrame[] {
    const count = Math.min(this.total, COUNT)
    return Array.from({ length: count }, (_, index) => {
      const place = (this.total - count + index) % COUNT
      const length = this.lengths[place]
      return {
        time: this.times[place],
        slot: this.slots[place],
        way: this.ways[place] === 0 ? 'out' : 'in',
        packetId: this.packetIds[place],
        length,
        bytes: this.bytes.slice(place * KEPT, place * KEPT + Math.min(length, KEPT)),
        fate: FATES[this.fates[place]]
      }
    })
  }
}
