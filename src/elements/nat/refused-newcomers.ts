/**
 * Frames of no flow that meet a full table: all of a batch end together. Each by itself they cost established flows twice as much.
 */
import type { FrameHandle } from '../../engine/frame-pool.ts'
import { NatDrop } from './nat-drop.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import type { Prerouting } from './prerouting.ts'

const BATCH = 256
/** All NATs of a thread share it: nothing is left in it afterwards. */
const gone = new Int32Array(BATCH)

export class RefusedNewcomers {
  private readonly tables: NatTables
  private readonly prerouting: Prerouting
  private count = 0

  constructor(tables: NatTables, prerouting: Prerouting) {
    this.tables = tables
    this.prerouting = prerouting
  }

  /** Notes a sound TCP or UDP frame over IPv4 of no flow; at most 256 before `end`. */
  add(frame: FrameHandle): void {
    gone[this.count] = frame
    this.count = (this.count + 1) | 0
  }

  /** Drops those that were added, which came in by interface `number`, but for those that are for the router or find room. */
  end(number: number): void {
    const { tables, prerouting, count } = this
    const { frames, eviction, interfaces, context } = tables
    const { start } = frames
    let refused = 0
    let hasRoom = false
    for (let i = 0; i < count; i = (i + 1) | 0) {
      const frame = gone[i]
      const words = frames.words(frame)
      const w = start[frame] >> 2
      // Behind one that found room may come another one of its flow.
      if (hasRoom || interfaces.isGateway((words[w + 7] >>> 16) | (words[w + 8] << 16), false)) {
        prerouting.enter(frame, number)
      } else if (eviction.refuse()) {
        gone[refused] = frame
        refused = (refused + 1) | 0
      } else {
        hasRoom = true
        prerouting.enter(frame, number)
      }
    }
    this.count = 0
    context.counters[Counter.flowsRefused] += refused
    context.dropAll(gone, refused, NatDrop.tableFull)
  }
}
