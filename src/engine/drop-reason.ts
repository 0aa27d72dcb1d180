/**
 * Why frames end: each reason has a name and a sentence, and its number is an index into the drop counters.
 *
 * Numbers follow the order in which modules declare them, so they hold within one thread; across threads and processes a
 * reason goes by its name.
 */

/** Reasons that can be declared: the width of every element's block of drop counters. */
export const DROP_REASONS_MAX = 192

export interface DropReason {
  /** `area.name`, such as `bridge.runt`. */
  readonly name: string
  /** One sentence for people. */
  readonly text: string
}

const table: DropReason[] = []

/** Declares the reasons of one area and returns their numbers under the same keys. */
export function declareDrops<T extends Record<string, string>>(area: string, reasons: T): { readonly [K in keyof T]: number } {
  const numbers: Record<string, number> = {}
  for (const [key, text] of Object.entries(reasons)) {
    const name = `${area}.${key}`
    const known = table.findIndex((reason) => reason.name === name)
    if (known < 0 && table.length === DROP_REASONS_MAX) throw new Error(`too many drop reasons (${DROP_REASONS_MAX}) at ${name}`)
    numbers[key] = known < 0 ? table.push({ name, text }) - 1 : known
  }
  return numbers as { readonly [K in keyof T]: number }
}

/** All declared reasons; the index is the number. */
export function dropReasons(): readonly DropReason[] {
  return table
}

/** Reasons of the engine itself. */
export const EngineDrop = declareDrops('engine', {
  linkFull: 'The ring to the next element was full: the consumer is slower than the producer.',
  poolExhausted: 'No free frame slot was left and the pool may not grow any further.',
  unlinked: 'The port that the frame should leave by is not connected.',
  reconfigured: 'The link or the element that held the frame was removed by a change of the topology.'
})
