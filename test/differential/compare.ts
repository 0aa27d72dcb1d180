/** Plays streams through two gateways and tells what they did differently, with as few steps as show it. */
import { shrink } from '../fuzz/shrink.ts'
import { DECISIONS } from './decisions.ts'
import type { Gateway } from './gateway.ts'
import { generateStream } from './generate.ts'
import { type Played, type PlayOptions, play } from './player.ts'
import { formatStep, formatStream, type Stream } from './stream.ts'
import { SLOTS } from './world.ts'

/** What a run was made of, to show that it was not idle. */
export interface Tally {
  streams: number
  steps: number
  frames: number
  /** Streams in which a gateway had to choose a port. */
  withChoice: number
  /** Flows compared at the ends of streams. */
  flows: number
  /** Steps at which a decision showed, by its name. */
  readonly decided: Record<string, number>
}

export interface Difference {
  readonly seed: number | string
  readonly number: number
  readonly kind: string
  /** False: it differed once and, played again, did not. */
  readonly persists: boolean
  readonly text: string
}

export interface Pair {
  readonly one: Gateway
  readonly other: Gateway
}

type Generate = (seed: number | string, number: number, slot?: number) => Stream

export interface RunOptions {
  readonly seed: number | string
  readonly first: number
  readonly count: number
  /** Every how many streams the flow tables are compared; default 1. */
  readonly flowsEvery?: number
  /** Persisting differences after which the run ends; default 1. */
  readonly limit?: number
  /** Default: those of `generate`. */
  readonly generate?: Generate
}

/** Streams one after the other, each in its slot; when the slots are used up everything is forgotten. */
export function compareStreams(pair: Pair, options: RunOptions): { tally: Tally; differences: Difference[] } {
  const { seed, first, count, flowsEvery = 1, limit = 1, generate = generateStream } = options
  const tally: Tally = { streams: 0, steps: 0, frames: 0, withChoice: 0, flows: 0, decided: {} }
  const differences: Difference[] = []
  let used = 0
  const persisting = (): number => differences.filter(({ persists }) => persists).length
  for (let number = first; number < first + count && persisting() < limit; number++) {
    if (used === SLOTS) {
      forget(pair)
      used = 0
    }
    const stream = generate(seed, number, used++)
    const [left, right] = playBoth(pair, stream, { withFlows: number % flowsEvery === 0 })
    add(tally, left)
    if (isAlike(stream, left, right, tally.decided)) continue
    differences.push(explain(pair, generate, stream, report(pair, stream, left, right)))
    used = 0
    forget(pair)
  }
  return { tally, differences }
}

function playBoth({ one, other }: Pair, stream: Stream, options: PlayOptions): [Played, Played] {
  return [play(stream, one, options), play(stream, other, options)]
}

function add(tally: Tally, { steps, flows, chosen }: Played): void {
  tally.streams++
  tally.steps += steps.length
  tally.flows += flows.length
  for (const lines of steps) tally.frames += lines.length
  if (chosen > 0) tally.withChoice++
}

/** Whether all that is to be compared is equal. `decided`: counts of what is not, by decision. */
function isAlike({ steps }: Stream, one: Played, other: Played, decided: Record<string, number> = {}): boolean {
  for (const [index, left] of one.steps.entries()) {
    const right = other.steps[index]
    const notes = other.notes[index]
    const isEqual = left.length === right.length && left.every((line, at) => line === right[at])
    // What was alike may still have left the two in different states.
    const candidates = isEqual ? DECISIONS.filter(({ leavesOut }) => leavesOut === 'rest') : DECISIONS
    const decision = candidates.find(({ isThis }) => isThis({ step: steps[index], left, right, notes }))
    if (decision === undefined && isEqual) continue
    if (decision === undefined) return false
    decided[decision.name] = (decided[decision.name] ?? 0) + 1
    if (decision.leavesOut === 'rest') return true
  }
  return one.flows.length === other.flows.length && one.flows.every((line, at) => line === other.flows[at])
}

/** Adds `part` to `total`. */
export function addTally(total: Tally, { decided, ...part }: Tally): void {
  for (const key of Object.keys(part) as (keyof typeof part)[]) total[key] += part[key]
  for (const [name, count] of Object.entries(decided)) total.decided[name] = (total.decided[name] ?? 0) + count
}

/** The fewest steps that still differ. Each try has a slot of its own, so that fragments left over from one cannot meet the next. */
function explain(pair: Pair, generate: Generate, { seed, number, kind }: Stream, seen: string): Difference {
  let slot = 0
  const trial = (indices: readonly number[]): Stream => {
    if (slot === SLOTS) slot = 0
    if (slot === 0) forget(pair)
    const stream = generate(seed, number, slot++)
    return { ...stream, steps: indices.map((index) => stream.steps[index]) }
  }
  forget(pair)
  const differs = (indices: readonly number[]): boolean => {
    const stream = trial(indices)
    const [left, right] = playBoth(pair, stream, { withFlows: true })
    return !isAlike(stream, left, right)
  }
  const all = [...generate(seed, number).steps.keys()]
  if (!differs(all))
    return {
      seed,
      number,
      kind,
      persists: false,
      text: `differed once, and not again:
${seen}`
    }
  const stream = trial(shrink(all, differs, SLOTS - 2))
  const [left, right] = playBoth(pair, stream, { withFlows: true })
  if (isAlike(stream, left, right)) return { seed, number, kind, persists: false, text: `differs now and then:\n${seen}` }
  return { seed, number, kind, persists: true, text: report(pair, stream, left, right) }
}

function report({ one, other }: Pair, stream: Stream, left: Played, right: Played): string {
  const lines = [formatStream({ ...stream, steps: [] })]
  for (const [index, step] of stream.steps.entries()) {
    lines.push(`> ${formatStep(step)}`, ...both(one, other, left.steps[index], right.steps[index]))
    for (const [name, notes] of [
      [one.name, left.notes[index]],
      [other.name, right.notes[index]]
    ] as const) {
      if (notes !== undefined && notes.length > 0) lines.push(`    ${name} says: ${notes.join(', ')}`)
    }
  }
  lines.push('flows', ...both(one, other, left.flows, right.flows))
  return lines.join('\n')
}

function both(one: Gateway, other: Gateway, left: readonly string[], right: readonly string[]): string[] {
  if (JSON.stringify(left) === JSON.stringify(right))
    return left.length === 0 ? ['    both: nothing'] : left.map((line) => `    both: ${line}`)
  const side = (name: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [`    ${name}: nothing`] : lines.map((line) => `    ${name}: ${line}`)
  return [...side(one.name, left), ...side(other.name, right)]
}

function forget({ one, other }: Pair): void {
  one.flush()
  other.flush()
}
