/**
 * The steps of followed frames as walks: one line for each visit of an element, with all that it did there.
 */
import { frameText } from '../decode/frame-text.ts'
import { dropReasons, type TraceStep } from '../engine/index.ts'
import { traceChanges } from './trace-changes.ts'

/** A visit of an element. */
export interface WalkStep {
  /** Nanoseconds since the frame entered. */
  readonly time: number
  readonly element: string
  /** What it did, in words. */
  readonly text: string
  /** Bytes of the frame when it came there. */
  readonly length: number
}

/** A frame's whole walk, that of its copies and of what it was wrapped into among it. */
export interface FrameWalk {
  readonly packetId: number
  /** When it entered, nanoseconds since the engine's start. */
  readonly time: number
  /** The frame as it entered, in tcpdump's words. */
  readonly frame: string
  readonly steps: readonly WalkStep[]
}

/** Frames that a line of a flood names by the elements they go to, before it only counts them. */
const NAMED_MAX = 4

class Visit {
  readonly step: TraceStep
  readonly notes: string[] = []
  readonly to: string[] = []
  end = ''

  constructor(step: TraceStep) {
    this.step = step
  }

  /** What the frame became, told once: the copies of a flood are alike. */
  noteChanges(after: TraceStep): void {
    if (this.step.head === null || after.head === null) return
    for (const change of traceChanges(this.step.head, this.step.length, after.head, after.length)) {
      if (!this.notes.includes(change)) this.notes.push(change)
    }
  }

  get text(): string {
    const parts = [...this.notes]
    if (this.to.length > 0) parts.push(`to ${named(this.to)}`)
    if (this.end !== '') parts.push(this.end)
    // Nobody handed it on, dropped it or said a word: a device took it out, or a host took it in.
    if (parts.length === 0) parts.push('delivered')
    return parts.join('; ')
  }
}

function named(elements: readonly string[]): string {
  const distinct = [...new Set(elements)]
  return distinct.length <= NAMED_MAX
    ? distinct.join(', ')
    : `${distinct.slice(0, NAMED_MAX).join(', ')} and ${distinct.length - NAMED_MAX} more`
}

/** Collects the steps of one session. */
export class TraceWalks {
  private readonly open = new Map<number, { visits: Visit[]; until: number }>()
  /** Frames that have entered so far. */
  found = 0

  /** Frames whose walks were not taken yet. */
  get size(): number {
    return this.open.size
  }

  add(steps: readonly TraceStep[]): void {
    for (const step of steps) this.addStep(step)
  }

  private addStep(step: TraceStep): void {
    const { packetId, kind, element, text, until } = step
    if (kind === 'enter') this.found++
    let walk = this.open.get(packetId)
    if (walk === undefined) {
      walk = { visits: [], until: 0 }
      this.open.set(packetId, walk)
    }
    walk.until = Math.max(walk.until, until)
    if (kind === 'enter' || kind === 'arrive') {
      const visit = new Visit(step)
      if (kind === 'enter') visit.notes.push('enters')
      walk.visits.push(visit)
      return
    }
    const visit = walk.visits.findLast((each) => each.step.element === element) ?? new Visit(step)
    if (!walk.visits.includes(visit)) walk.visits.push(visit)
    if (kind === 'note') visit.notes.push(text)
    else visit.noteChanges(step)
    if (kind === 'leave') visit.to.push(text)
    if (kind === 'drop') visit.end = `dropped: ${text}${reasonText(text)}`
  }

  /** Takes the walks of frames of which nothing was heard in `steps`, the last ones added, and which nobody keeps beyond `now`. */
  takeQuiet(steps: readonly TraceStep[], now: number): FrameWalk[] {
    const moving = new Set(steps.map(({ packetId }) => packetId))
    return this.take((packetId, until) => !moving.has(packetId) && until < now)
  }

  /** Takes them all, as far as they have come. */
  takeAll(): FrameWalk[] {
    return this.take(() => true)
  }

  private take(isTaken: (packetId: number, until: number) => boolean): FrameWalk[] {
    const walks: FrameWalk[] = []
    for (const [packetId, { visits, until }] of this.open) {
      if (!isTaken(packetId, until)) continue
      this.open.delete(packetId)
      walks.push(walkOf(packetId, visits))
    }
    return walks
  }
}

function walkOf(packetId: number, visits: readonly Visit[]): FrameWalk {
  const { time, head, length } = visits[0].step
  const steps = visits.map(({ step, text }) => ({ time: step.time - time, element: step.element, text, length: step.length }))
  return { packetId, time, frame: head === null ? '' : frameText(head, 0, head.length, { length }), steps }
}

function reasonText(name: string): string {
  const reason = dropReasons().find((each) => each.name === name)
  return reason === undefined ? '' : ` (${reason.text})`
}
