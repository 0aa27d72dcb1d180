/**
 * Counters as doubles in shared memory: an element writes its own block, any thread reads it at any time.
 *
 * Doubles because 32 bits wrap within minutes and BigInt64Array allocates. A block is a view of a 64 KiB page; the layout
 * (who owns which offset under which names) is plain data that goes to the reader once per change of the topology.
 */

const PAGE_VALUES = 8192

export interface CounterBlockLayout {
  readonly owner: string
  /** `counters` has the element's own names; `drops` and `ingress` are indexed by drop reason. */
  readonly kind: 'counters' | 'drops' | 'ingress'
  readonly names: readonly string[]
  readonly page: number
  readonly offset: number
}

export interface CounterLayout {
  readonly pages: readonly SharedArrayBuffer[]
  readonly blocks: readonly CounterBlockLayout[]
}

export class CounterRegistry {
  private readonly pages: Float64Array[] = []
  private readonly blocks = new Map<Float64Array, CounterBlockLayout>()
  /** Freed areas by size, to be used again. */
  private readonly freed = new Map<number, { page: number; offset: number }[]>()
  private used = 0
  /** Changes whenever a block comes or goes: a reader's layout of another version is out of date. */
  version = 0

  /** A zeroed block with one value per name. At most 8,192 names. */
  block(owner: string, kind: CounterBlockLayout['kind'], names: readonly string[]): Float64Array {
    const size = names.length
    if (size > PAGE_VALUES) throw new RangeError(`${owner}: ${size} counters do not fit a page of ${PAGE_VALUES}`)
    const area = this.freed.get(size)?.pop() ?? this.take(size)
    const values = this.pages[area.page].subarray(area.offset, area.offset + size)
    values.fill(0)
    this.version++
    this.blocks.set(values, { owner, kind, names, ...area })
    return values
  }

  /** Ends a block; its place is used again. */
  release(values: Float64Array): void {
    const layout = this.blocks.get(values)
    if (layout === undefined) return
    this.blocks.delete(values)
    this.version++
    const places = this.freed.get(values.length) ?? []
    places.push({ page: layout.page, offset: layout.offset })
    this.freed.set(values.length, places)
  }

  layout(): CounterLayout {
    return { pages: this.pages.map((page) => page.buffer as SharedArrayBuffer), blocks: [...this.blocks.values()] }
  }

  private take(size: number): { page: number; offset: number } {
    if (this.pages.length === 0 || this.used + size > PAGE_VALUES) {
      this.pages.push(new Float64Array(new SharedArrayBuffer(PAGE_VALUES * 8)))
      this.used = 0
    }
    const offset = this.used
    this.used += size
    return { page: this.pages.length - 1, offset }
  }
}

/** What one element has counted, by name; drops of zero are left out. */
export interface ElementCounters {
  readonly counters: Record<string, number>
  /** Frames that ended in this element, by reason. */
  readonly drops: Record<string, number>
  /** Frames that came in through this element and ended anywhere, by reason. */
  readonly ingressDrops: Record<string, number>
}

/** Reads a layout; works in any thread while the engine runs. */
export function readCounters(layout: CounterLayout): Map<string, ElementCounters> {
  const pages = layout.pages.map((page) => new Float64Array(page))
  const result = new Map<
    string,
    { counters: Record<string, number>; drops: Record<string, number>; ingressDrops: Record<string, number> }
  >()
  for (const { owner, kind, names, page, offset } of layout.blocks) {
    let entry = result.get(owner)
    if (entry === undefined) result.set(owner, (entry = { counters: {}, drops: {}, ingressDrops: {} }))
    const into = kind === 'counters' ? entry.counters : kind === 'drops' ? entry.drops : entry.ingressDrops
    names.forEach((name, index) => {
      const value = pages[page][offset + index]
      if (kind === 'counters' || value !== 0) into[name] = value
    })
  }
  return result
}
