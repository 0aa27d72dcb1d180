/**
 * Reads the counters of a running engine, in any thread, from what the registry tells of its changes.
 */
import type { CounterBlockLayout, CounterChange, ElementCounters } from './counters.ts'

/** A block with its values at hand. */
interface Block {
  readonly owner: string
  readonly kind: CounterBlockLayout['kind']
  readonly names: readonly string[]
  readonly values: Float64Array
}

export class CounterReader {
  private readonly pages: SharedArrayBuffer[] = []
  private readonly nameLists: (readonly string[])[] = []
  private readonly byNumber = new Map<number, Block>()
  private readonly byOwner = new Map<string, Set<Block>>()

  /** Takes over a change; changes come in the order in which they were taken from the registry, none left out. */
  apply({ pages, nameLists, added, removed }: CounterChange): void {
    this.pages.push(...pages)
    this.nameLists.push(...nameLists)
    for (const number of removed) this.remove(number)
    for (const { number, owner, kind, names: list, page, offset } of added) {
      const names = this.nameLists[list]
      const block = { owner, kind, names, values: new Float64Array(this.pages[page], offset * 8, names.length) }
      this.byNumber.set(number, block)
      const its = this.byOwner.get(owner)
      if (its === undefined) this.byOwner.set(owner, new Set([block]))
      else its.add(block)
    }
  }

  /** What one element has counted; undefined where there is none of the name. */
  element(owner: string): ElementCounters | undefined {
    const blocks = this.byOwner.get(owner)
    return blocks && readBlocks(blocks)
  }

  /** What every element has counted. */
  all(): Map<string, ElementCounters> {
    return new Map(Array.from(this.byOwner, ([owner, blocks]) => [owner, readBlocks(blocks)]))
  }

  private remove(number: number): void {
    const block = this.byNumber.get(number)
    if (block === undefined) return
    this.byNumber.delete(number)
    const its = this.byOwner.get(block.owner)!
    its.delete(block)
    if (its.size === 0) this.byOwner.delete(block.owner)
  }
}

function readBlocks(blocks: Iterable<Block>): ElementCounters {
  const result = { counters: {}, drops: {}, ingressDrops: {} } satisfies ElementCounters
  for (const { kind, names, values } of blocks) {
    const into: Record<string, number> = kind === 'counters' ? result.counters : kind === 'drops' ? result.drops : result.ingressDrops
    for (let i = 0; i < names.length; i++) if (kind === 'counters' || values[i] !== 0) into[names[i]] = values[i]
  }
  return result
}
