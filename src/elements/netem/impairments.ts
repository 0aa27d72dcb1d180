/**
 * What happens to single packets of one direction: too long, lost, doubled, damaged. Of a super-frame each segment is judged for itself,
 * and it is cut only where the decision changes.
 *
 *   --> | MTU | loss | duplicate | corrupt | -->
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Random } from '../../engine/random.ts'
import { completeChecksum } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { Chance } from './chance.ts'
import { cutSuperFrame, headersOf, segmentsOf } from './cut-super-frame.ts'
import { DirectionCounter, type DirectionCounters } from './direction-counters.ts'
import { type FilterCompiler, FrameMatcher } from './frame-match.ts'
import type { ChanceSettings, LinkSettings } from './link-settings.ts'
import type { LinkStage } from './link-stage.ts'
import { type LossModel, lossModel } from './loss-model.ts'
import { NetemDrop } from './netem-drop.ts'

/** What decides; null where there is nothing to decide. */
export interface ImpairmentModels {
  readonly loss: LossModel | null
  /** null: any frame may be lost. */
  readonly lossMatch: FrameMatcher | null
  readonly duplicate: Chance | null
  readonly corrupt: Chance | null
  /** Bytes of the longest frame without tags. */
  readonly longest: number
}

/** null: nothing of that kind is set. `followsLoss`: a schedule says how much is lost. */
export function impairmentModels(
  random: Random,
  { loss, duplicate, corrupt, mtu }: LinkSettings,
  followsLoss: boolean,
  compile?: FilterCompiler
): ImpairmentModels | null {
  if (loss === undefined && !followsLoss && duplicate === undefined && corrupt === undefined && mtu === undefined) return null
  const chance = (settings: ChanceSettings | undefined): Chance | null => (settings === undefined ? null : new Chance(random, settings))
  return {
    loss: loss !== undefined ? lossModel(random, loss) : followsLoss ? new Chance(random, { probability: 0 }) : null,
    lossMatch: loss?.match === undefined ? null : new FrameMatcher(loss.match, compile),
    duplicate: chance(duplicate),
    corrupt: chance(corrupt),
    longest: mtu === undefined ? Number.POSITIVE_INFINITY : mtu + ETHERNET_HEADER_LENGTH
  }
}

/** What becomes of a segment. */
const Fate = { passes: 0, lost: 1, doubled: 2, corrupted: 4 } as const
const TAG_LENGTH = 4

/** Fates of the segments of the frame at hand: 65,536 bytes hold no more. */
const fates = new Uint8Array(65_536)

export class Impairments implements LinkStage {
  private readonly context: ElementContext
  private readonly counters: DirectionCounters
  private readonly models: ImpairmentModels
  private readonly next: LinkStage

  constructor(context: ElementContext, counters: DirectionCounters, models: ImpairmentModels, next: LinkStage) {
    this.context = context
    this.counters = counters
    this.models = models
    this.next = next
  }

  admit(frame: FrameHandle): void {
    const { context, models } = this
    const { frames } = context
    const segments = segmentsOf(frames, frame)
    if (this.isTooLong(frame, segments)) return context.drop(frame, NetemDrop.mtu)
    const at = frames.start[frame]
    const canBeLost = models.lossMatch === null || models.lossMatch.matches(frames.bytes(frame), at, at + frames.length[frame])
    let all = -1
    for (let i = 0; i < segments; i++) {
      const fate = this.drawFate(canBeLost)
      fates[i] = fate
      all = i === 0 || fate === all ? fate : -1
    }
    if (all === Fate.passes) this.next.admit(frame)
    else if (all === Fate.lost) this.lose(frame, segments)
    else this.divide(frame, segments)
  }

  private isTooLong(frame: FrameHandle, segments: number): boolean {
    const { frames } = this.context
    const { longest } = this.models
    const length = segments === 1 ? frames.length[frame] : headersOf(frames, frame) + frames.gsoSize[frame]
    if (length <= longest) return false
    // A tag is no part of the packet.
    const at = frames.start[frame] + ETHERNET_HEADER_LENGTH - 2
    const bytes = frames.bytes(frame)
    const isTagged = bytes[at] === 0x81 && bytes[at + 1] === 0
    return length - (isTagged ? TAG_LENGTH : 0) > longest
  }

  private drawFate(canBeLost: boolean): number {
    const { loss, duplicate, corrupt } = this.models
    if (canBeLost && loss?.next()) return Fate.lost
    let fate: number = Fate.passes
    if (duplicate?.next()) fate |= Fate.doubled
    if (corrupt?.next()) fate |= Fate.corrupted
    return fate
  }

  private lose(frame: FrameHandle, segments: number): void {
    this.counters.add(DirectionCounter.lost, segments)
    this.context.drop(frame, NetemDrop.loss)
  }

  /** Each run of segments with one fate goes its own way; a corrupted segment goes alone. */
  private divide(frame: FrameHandle, segments: number): void {
    const { context } = this
    const { frames } = context
    if (segments === 1) return this.meet(frame, fates[0], 1)
    let lost = 0
    for (let first = 0; first < segments; ) {
      const fate = fates[first]
      let end = first + 1
      if ((fate & Fate.corrupted) === 0) while (end < segments && fates[end] === fate) end++
      if (fate === Fate.lost) lost += end - first
      else {
        const part = cutSuperFrame(frames, frame, first, end - first)
        if (part === NO_FRAME) return context.drop(frame, EngineDrop.poolExhausted)
        this.meet(part, fate, end - first)
      }
      first = end
    }
    if (lost > 0) this.lose(frame, lost)
    else frames.free(frame)
  }

  /** A frame whose segments have one fate, and are not lost. */
  private meet(frame: FrameHandle, fate: number, segments: number): void {
    const { frames } = this.context
    let copy: FrameHandle = NO_FRAME
    if ((fate & Fate.doubled) !== 0) {
      copy = frames.copy(frame)
      if (copy !== NO_FRAME) this.counters.add(DirectionCounter.duplicated, segments)
    }
    if ((fate & Fate.corrupted) !== 0) this.flipBit(frame)
    if (fate !== Fate.passes && (frames.flags[frame] & FrameFlag.traced) !== 0) this.context.trace(frame, fateText(fate))
    this.next.admit(frame)
    if (copy !== NO_FRAME) this.next.admit(copy)
  }

  /** One bit of the frame behind its Ethernet header. */
  private flipBit(frame: FrameHandle): void {
    const { frames, random } = this.context
    const bytes = frames.bytes(frame)
    const start = frames.start[frame]
    const length = frames.length[frame]
    if (length <= ETHERNET_HEADER_LENGTH) return
    if ((frames.flags[frame] & FrameFlag.csum) !== 0) {
      // Whoever finished it later would make the mistake right.
      completeChecksum(bytes, start, frames.csumStart[frame], frames.csumOffset[frame], start + length)
    }
    frames.flags[frame] &= ~(FrameFlag.csum | FrameFlag.csumValid | FrameFlag.captured)
    const bit = random.below((length - ETHERNET_HEADER_LENGTH) * 8)
    bytes[start + ETHERNET_HEADER_LENGTH + (bit >>> 3)] ^= 1 << (bit & 7)
    this.counters.add(DirectionCounter.corrupted, 1)
  }
}

/** Of a packet that is damaged, or goes twice. */
function fateText(fate: number): string {
  const texts = []
  if ((fate & Fate.doubled) !== 0) texts.push('duplicated')
  if ((fate & Fate.corrupted) !== 0) texts.push('one bit flipped')
  return texts.join(', ')
}
