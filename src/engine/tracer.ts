/**
 * The walk of chosen frames: which element did what, when. Several sessions may follow frames at once; without one it costs a look per
 * entering frame and two per push.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'

/**
 * enter: came in here; arrive: waits at the element; note: what the element says that it does; leave: was handed on, `text` names the
 * element that has it now; drop: ended, `text` is the reason's name.
 */
export type TraceKind = 'enter' | 'arrive' | 'note' | 'leave' | 'drop'

export interface TraceStep {
  /** Names the frame, its copies and what is made of it, through all rewrites. */
  readonly packetId: number
  /** Nanoseconds since the engine's start. */
  readonly time: number
  readonly element: string
  readonly kind: TraceKind
  readonly text: string
  /** Bytes of the frame at this step. */
  readonly length: number
  /** Its first bytes, TRACE_HEAD at most, as it was then; null for notes. */
  readonly head: Uint8Array | null
  /** The element keeps the frame until then, nanoseconds since the engine's start; 0: it does not say so. */
  readonly until: number
}

export type TraceFilter = (frames: FramePool, frame: FrameHandle) => boolean

/** Enough for the headers of a frame within VXLAN. */
export const TRACE_HEAD = 256
/** Steps that a session keeps at most: a traced flood ends here and not in memory. */
const STEPS_MAX = 100_000
/** Sessions at once. */
export const TRACE_SESSIONS_MAX = 32

interface Session {
  /** Frames still to be found. */
  budget: number
  steps: TraceStep[]
  /** When the last frame that an element keeps will go on. */
  until: number
  readonly filter: TraceFilter | null
  readonly packets: Set<number>
}

export class Tracer {
  /** True while frames may be followed: the engine then notes where they arrive and leave. */
  active = false
  private readonly sessions = new Map<number, Session>()

  /** Follows the next `count` frames that enter and match, in place of what the session did before; 0 ends it. False: there are too many. */
  start(session: number, count: number, filter: TraceFilter | null = null): boolean {
    this.sessions.delete(session)
    const isRoom = this.sessions.size < TRACE_SESSIONS_MAX
    if (count > 0 && isRoom) this.sessions.set(session, { budget: count, steps: [], until: 0, filter, packets: new Set() })
    this.active = this.sessions.size > 0
    return isRoom || count === 0
  }

  /** True when this entering frame is to be followed; takes one from the budget of each session that wants it. */
  wants(frames: FramePool, frame: FrameHandle): boolean {
    let isWanted = false
    for (const session of this.sessions.values()) {
      if (session.budget === 0 || (session.filter !== null && !session.filter(frames, frame))) continue
      session.budget--
      session.packets.add(frames.packetId[frame])
      isWanted = true
    }
    return isWanted
  }

  record(frames: FramePool, frame: FrameHandle, time: number, element: string, kind: TraceKind, text: string, until = 0): void {
    const packetId = frames.packetId[frame]
    const length = frames.length[frame]
    let step: TraceStep | null = null
    for (const session of this.sessions.values()) {
      if (!session.packets.has(packetId) || session.steps.length >= STEPS_MAX) continue
      if (step === null) {
        const start = frames.start[frame]
        const head = kind === 'note' ? null : frames.bytes(frame).slice(start, start + Math.min(length, TRACE_HEAD))
        step = { packetId, time, element, kind, text, length, head, until }
      }
      session.steps.push(step)
      session.until = Math.max(session.until, until)
    }
  }

  /**
   * A session's steps so far, oldest first, and forgets them. When all its frames were found, none is kept anywhere and nothing was done
   * since the last call, the session ends.
   */
  drain(session: number, now: number): TraceStep[] {
    const found = this.sessions.get(session)
    if (found === undefined) return []
    const { steps } = found
    found.steps = []
    if (found.budget === 0 && steps.length === 0 && now > found.until) this.start(session, 0)
    return steps
  }
}
