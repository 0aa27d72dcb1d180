/**
 * Follows frames for people and programs: says which, collects their walks while time passes, and ends when all were found and have come
 * to rest, when the time is up, or when nobody listens any more.
 */
import type { BpfProgram } from '../capture/filter/bpf-instruction.ts'
import type { NetworkController } from './controller.ts'
import { endpointsNamed } from './explain-target.ts'
import { NetworkError } from './network-error.ts'
import { type FrameWalk, TraceWalks } from './trace-walk.ts'

export interface TraceWish {
  /** Frames to follow, 1 to TRACE_COUNT_MAX. */
  readonly count: number
  /**
   * Only frames that enter there: a network, an endpoint (`web`, or `lan/web` where several networks have one), or an element with all that
   * is below it (`uplink`).
   */
  readonly target?: string
  /** Only frames that it takes as they enter. */
  readonly filter?: BpfProgram
  /** Seconds; without it the trace waits until the frames have come. */
  readonly timeoutSeconds?: number
}

/** Frames of one trace at most. */
export const TRACE_COUNT_MAX = 10_000
const POLL_NS = 50e6
const SECOND = 1e9

/** Numbers of this process' traces: several controllers may share an engine. The lab's own is 0. */
let lastSession = 0

export class TraceControl {
  private readonly controller: NetworkController

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  /**
   * Frames are followed from when it resolves. Throws NetworkError `invalid`, `not-found`, and `conflict` when too many traces run.
   * What it gives must be iterated to its end: that ends the following.
   */
  async open(wish: TraceWish): Promise<RunningTrace> {
    const { count, target, filter, timeoutSeconds } = wish
    if (!Number.isInteger(count) || count < 1 || count > TRACE_COUNT_MAX) {
      throw new NetworkError('invalid', `count ${count}: a trace follows 1 to ${TRACE_COUNT_MAX} frames`)
    }
    if (timeoutSeconds !== undefined && !(timeoutSeconds > 0))
      throw new NetworkError('invalid', `timeout ${timeoutSeconds}: it must be positive`)
    const elements = target === undefined ? undefined : traceElements(this.controller, target)
    const { engine } = this.controller
    const session = ++lastSession
    try {
      await engine.trace({ session, count, ...(elements && { elements }), ...(filter && { filter }) })
    } catch (error) {
      throw new NetworkError('conflict', (error as Error).message, { cause: error })
    }
    return new RunningTrace(engine, session, wish)
  }
}

/** The elements by which frames of a target enter. Throws NetworkError `not-found`. */
export function traceElements(controller: NetworkController, target: string): string[] {
  const below = [...controller.engine.counters().keys()].filter((name) => name === target || name.startsWith(`${target}/`))
  if (below.length > 0) return below
  try {
    return endpointsNamed(controller, target).map(({ endpoint }) => endpoint.element)
  } catch (error) {
    throw new NetworkError('not-found', `nothing is called ${target}: no network, no endpoint and no element`, {
      fix: 'name one as netloom network ls and ps list them, or leave it out',
      cause: error
    })
  }
}

type Engine = NetworkController['engine']

/** A trace that runs. */
export class RunningTrace {
  private readonly engine: Engine
  private readonly session: number
  private readonly count: number
  private readonly deadline: number
  private readonly walks = new TraceWalks()

  constructor(engine: Engine, session: number, { count, timeoutSeconds = Number.POSITIVE_INFINITY }: TraceWish) {
    this.engine = engine
    this.session = session
    this.count = count
    this.deadline = engine.now() + timeoutSeconds * SECOND
  }

  /** Walks as they come to rest; those that have not come to rest at the end of the time, or when `signal` fires, as far as they are. */
  async *frames(signal?: AbortSignal): AsyncGenerator<FrameWalk> {
    const { engine, session, walks } = this
    try {
      for (;;) {
        await engine.wait(Math.max(0, Math.min(POLL_NS, this.deadline - engine.now())))
        const steps = await engine.traced(session)
        walks.add(steps)
        yield* walks.takeQuiet(steps, engine.now())
        if (walks.found >= this.count && walks.size === 0) return
        if (signal?.aborted || engine.now() >= this.deadline) break
      }
      yield* walks.takeAll()
    } finally {
      await engine.trace({ session, count: 0 })
    }
  }
}
