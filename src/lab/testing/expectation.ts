/**
 * What a test expects of the frames of its lab: that some come, or that none does, within a span of the lab's time.
 */
import { CompiledPattern } from '../../elements/probe/frame-pattern.ts'
import type { ProbedFrame } from '../../elements/probe/recent-frames.ts'
import type { EngineHost } from '../../network/engine-host.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { type FrameMatcher, type MatchArguments, matcherText, splitArguments } from './frame-matchers.ts'
import type { LabProbe, Place } from './lab-probe.ts'
import { type LabTime, nanoseconds, timeText } from './lab-time.ts'
import { frameLines, type SeenFrame, seenFrame } from './seen-frame.ts'

export interface ExpectOptions {
  /** On the link of one endpoint; anywhere by default. */
  readonly at?: Place
  /** From the endpoint, or to it. */
  readonly way?: 'out' | 'in'
  /** Of the lab's time, from now on; default 1 s. */
  readonly within?: LabTime
  /** Frames that must come; default 1. */
  readonly count?: number
}

/** What was expected did not happen; the message has what happened instead. */
export class ExpectationError extends Error {
  readonly code = 'ERR_EXPECTATION'

  constructor(message: string) {
    super(message)
    this.name = 'ExpectationError'
  }
}

const DEFAULT_WITHIN = '1 s'
const LINES = 12

/** Settles at the instant that decides it. A failure that nobody has waited for fails the test all the same (`withLab`). */
export class FrameExpectation<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = 'FrameExpectation'
  /** Fulfilled when it is decided, either way. */
  readonly decided: Promise<void>
  /** Why it failed. */
  failure: unknown = null
  /** Somebody waits for it, and is told. */
  isAwaited = false
  private readonly promise: Promise<T>

  constructor(promise: Promise<T>) {
    this.promise = promise
    this.decided = promise.then(
      () => {},
      (error) => {
        this.failure = error
      }
    )
  }

  // biome-ignore lint/suspicious/noThenProperty: it is awaited as a promise, and must notice that it is.
  then<A = T, B = never>(
    done?: ((value: T) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    this.isAwaited = true
    return this.promise.then(done, failed)
  }

  catch<B = never>(failed?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, failed)
  }

  finally(done?: (() => void) | null): Promise<T> {
    this.isAwaited = true
    return this.promise.finally(done)
  }
}

interface Wish {
  readonly matchers: readonly FrameMatcher[]
  readonly pattern: CompiledPattern
  readonly withinNs: number
  readonly start: number
  readonly count: number
  readonly slot: number | undefined
  readonly way: 'in' | 'out' | undefined
}

/** Throws PatternError for matchers that cannot be, NetworkError for a place or a time. */
export function expectFrame(probe: LabProbe, engine: EngineHost, given: MatchArguments<ExpectOptions>): FrameExpectation<SeenFrame> {
  const wish = readWish(probe, engine, given)
  const come: ProbedFrame[] = []
  return new FrameExpectation(
    new Promise((resolve, reject) => {
      const forget = probe.watch({ pattern: wish.matchers, ...placeOf(wish), count: wish.count }, (frame) => {
        if (come.push(frame) === wish.count) resolve(seenFrame(frame, probe.nameOf))
      })
      engine.wait(wish.withinNs).then(async () => {
        forget()
        if (come.length < wish.count) reject(new ExpectationError(await missingText(probe, wish, come.length)))
      }, reject)
    })
  )
}

/** Throws as `expectFrame`. */
export function expectNoFrame(probe: LabProbe, engine: EngineHost, given: MatchArguments<ExpectOptions>): FrameExpectation<void> {
  const wish = readWish(probe, engine, given)
  return new FrameExpectation(
    new Promise((resolve, reject) => {
      const forget = probe.watch({ pattern: wish.matchers, ...placeOf(wish), count: 1 }, (frame) => {
        const { time, at, way, text } = seenFrame(frame, probe.nameOf)
        const where = way === 'out' ? `from ${at}` : `to ${at}`
        reject(
          new ExpectationError(
            `there should be no frame that matches ${matcherText(wish.matchers)}\n  at ${timeText(time)}, ${where}: ${text}`
          )
        )
      })
      engine.wait(wish.withinNs).then(() => {
        forget()
        resolve()
      }, reject)
    })
  )
}

function readWish(probe: LabProbe, engine: EngineHost, given: MatchArguments<ExpectOptions>): Wish {
  const { matchers, options } = splitArguments(given)
  const { at, way, within = DEFAULT_WITHIN, count = 1 } = options
  return {
    matchers,
    // Here, so that a mistake is told where it is made.
    pattern: new CompiledPattern(matchers),
    withinNs: nanoseconds(within, 'within'),
    start: engine.now(),
    count,
    slot: at === undefined ? undefined : probe.slotOf(at),
    way
  }
}

function placeOf({ slot, way }: Wish): { slot?: number; way?: 'in' | 'out' } {
  return { ...(slot !== undefined && { slot }), ...(way !== undefined && { way }) }
}

/** What came instead: the last frames, and the first thing in which each is not what was expected. */
async function missingText(probe: LabProbe, wish: Wish, come: number): Promise<string> {
  const { matchers, pattern, withinNs, start, count, slot, way } = wish
  const view = new PacketView()
  const difference = ({ bytes, slot: on, way: going }: ProbedFrame): string | null => {
    view.readFrame(bytes, 0, bytes.length)
    const differs = pattern.difference(view)
    if (differs !== null) return differs
    if (slot !== undefined && slot !== on) return 'at'
    return way !== undefined && way !== going ? 'way' : null
  }
  const recent = await probe.recent()
  const wanted = `${count === 1 ? 'no frame' : `${come} of ${count} frames`} matched ${matcherText(matchers)}`
  const where = slot === undefined ? '' : ` at ${probe.nameOf(slot)}`
  const lines = [`${wanted}${where} within ${timeText(withinNs)}, from ${timeText(start)} on`]
  const early = recent.findLast((frame) => frame.time < start && difference(frame) === null)
  if (early !== undefined) {
    lines.push(`  one did at ${timeText(early.time)}, before: begin to expect before you do what sends the frame`)
  }
  if (recent.length === 0) lines.push('  no frame was seen at all')
  else {
    lines.push('  the last frames, and in what they are otherwise:')
    const note = (frame: ProbedFrame): string => (frame.time < start ? '(before)' : (difference(frame) ?? ''))
    lines.push(...frameLines(recent, probe.nameOf, LINES, note).map((line) => `    ${line}`))
  }
  return lines.join('\n')
}
