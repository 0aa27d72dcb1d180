/**
 * A watch or a fault: which frames it is for, and which of them by number.
 */
import type { PacketView } from '../../wire/packet-view.ts'
import { CompiledPattern, type FramePattern } from './frame-pattern.ts'
import type { Way } from './recent-frames.ts'

export type FaultAction = 'drop' | 'duplicate' | 'corrupt'

export interface WatchCommand {
  /** The caller's name for it. */
  readonly id: number
  readonly pattern: FramePattern
  /** On one endpoint's link alone; anywhere without. */
  readonly slot?: number
  readonly way?: Way
  /** Frames to tell of. */
  readonly count: number
}

export interface FaultCommand extends Omit<WatchCommand, 'count'> {
  readonly action: FaultAction
  /** Of the frames that match, counted from 1: the first and the last to which it happens; without `to`, all that follow. */
  readonly from?: number
  readonly to?: number
  /** `duplicate`: frames that are made of one, beside it; default 1. */
  readonly copies?: number
}

/** Packets that a rule remembers to have counted. */
const SEEN_MAX = 4096
const COPIES_MAX = 100

export class ProbeRule {
  readonly id: number
  /** null: a watch. */
  readonly action: FaultAction | null
  readonly copies: number
  private readonly pattern: CompiledPattern
  private readonly slot: number
  private readonly isOut: boolean | null
  private readonly from: number
  private readonly to: number
  private hits = 0
  /** Of a rule for all links: a frame passes several of them and counts once. */
  private readonly seen = new Set<number>()

  /** Throws PatternError, RangeError. */
  constructor(command: WatchCommand | FaultCommand) {
    const { id, pattern, slot, way } = command
    this.id = id
    this.pattern = new CompiledPattern(pattern)
    this.slot = slot ?? -1
    if (way !== undefined && way !== 'in' && way !== 'out') throw new RangeError(`way '${way}' is neither 'in' nor 'out'`)
    this.isOut = way === undefined ? null : way === 'out'
    if ('action' in command) {
      if (!['drop', 'duplicate', 'corrupt'].includes(command.action)) throw new RangeError(`there is no fault '${command.action}'`)
      this.action = command.action
      this.copies = whole('copies', command.copies ?? 1, 1, COPIES_MAX)
      this.from = whole('from', command.from ?? 1, 1, Number.MAX_SAFE_INTEGER)
      this.to = command.to === undefined ? Number.POSITIVE_INFINITY : whole('to', command.to, this.from, Number.MAX_SAFE_INTEGER)
    } else {
      this.action = null
      this.copies = 0
      this.from = 1
      this.to = whole('count', command.count, 1, Number.MAX_SAFE_INTEGER)
    }
  }

  /** Whether the frame is one of those that are meant; counts it. */
  takes(view: PacketView, slot: number, isOut: boolean, packetId: number): boolean {
    if (this.slot >= 0 && this.slot !== slot) return false
    if (this.isOut !== null && this.isOut !== isOut) return false
    const { seen } = this
    if (seen.has(packetId) || !this.pattern.matches(view)) return false
    if (seen.size === SEEN_MAX) seen.delete(seen.values().next().value!)
    seen.add(packetId)
    this.hits++
    return this.hits >= this.from && this.hits <= this.to
  }

  /** No frame will be taken any more. */
  get isOver(): boolean {
    return this.hits >= this.to
  }
}

function whole(field: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RangeError(`${field} ${value} is not a whole number from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`)
}
