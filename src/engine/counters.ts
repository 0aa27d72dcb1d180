/**
 * Counters as doubles in shared memory: an element writes its own block, any thread reads it at any time.
 *
 * Doubles because 32 bits wrap within minutes and BigInt64Array allocates. A block is a view of a 64 KiB page; the layout
 * (who owns which offset under which names) is plain data. A reader in another thread is told what changes of it.
 */

const PAGE_VALUES = 8192
/** Values of a block that lies among others of its kind: an element's own counters are written for every frame, those of drops seldom. */
const SMALL_BLOCK = 64

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

/** What has come and gone since the last change that was taken; plain data. */
export interface CounterChange {
  /** New pages, behind those that the reader has. */
  readonly pages: readonly SharedArrayBuffer[]
  /** New lists of names, behind those that the reader has: elements of one type share theirs. */
  readonly nameLists: readonly (readonly string[])[]
  readonly added: readonly NumberedBlock[]
  /** Numbers of blocks that are gone. */
  readonly removed: readonly number[]
}

/** A block with a number in place of itself, and with the index of its list of names. */
export interface NumberedBlock extends Omit<CounterBlockLayout, 'names'> {
  readonly number: number
  readonly names: number
}

export class CounterRegistry {
  private readonly pages: Float64Array[] = []
  private readonly blocks = new Map<Float64Array, CounterBlockLayout & { readonly number: number }>()
  private numbers = 0
  /** What `takeChange` has not told yet. */
  private fresh = new Map<number, CounterBlockLayout>()
  private gone: number[] = []
  private toldPages = 0
  private readonly toldLists = new Map<readonly string[], number>()
  /** Freed areas by size, to be used again. */
  private readonly freed = new Map<number, { page: number; offset: number }[]>()
  /** The pages that are being filled, and what of them is used: with small blocks, with others. */
  private readonly filling = [
    { page: -1, used: PAGE_VALUES },
    { page: -1, used: PAGE_VALUES }
  ]

  /** A zeroed block with one value per name. At most 8,192 names. */
  block(owner: string, kind: CounterBlockLayout['kind'], names: readonly string[]): Float64Array {
    const size = names.length
    if (size > PAGE_VALUES) throw new RangeError(`${owner}: ${size} counters do not fit a page of ${PAGE_VALUES}`)
    const area = this.freed.get(size)?.pop() ?? this.take(size)
    const values = this.pages[area.page].subarray(area.offset, area.offset + size)
    values.fill(0)
    const block = { number: this.numbers++, owner, kind, names, ...area }
    this.blocks.set(values, block)
    this.fresh.set(block.number, block)
    return values
  }

  /** Ends a block; its place is used again. */
  release(values: Float64Array): void {
    const layout = this.blocks.get(values)
    if (layout === undefined) return
    this.blocks.delete(values)
    // What came and went untold is not told at all.
    if (!this.fresh.delete(layout.number)) this.gone.push(layout.number)
    const places = this.freed.get(values.length) ?? []
    places.push({ page: layout.page, offset: layout.offset })
    this.freed.set(values.length, places)
  }

  /** What has changed since the last call; null when nothing has. */
  takeChange(): CounterChange | null {
    if (this.fresh.size === 0 && this.gone.length === 0) return null
    const nameLists: (readonly string[])[] = []
    const added = Array.from(this.fresh, ([number, { owner, kind, names, page, offset }]) => {
      let list = this.toldLists.get(names)
      if (list === undefined) {
        this.toldLists.set(names, (list = this.toldLists.size))
        nameLists.push(names)
      }
      return { number, owner, kind, names: list, page, offset }
    })
    const pages = this.pages.slice(this.toldPages).map((page) => page.buffer as SharedArrayBuffer)
    const change = { pages, nameLists, added, removed: this.gone }
    this.toldPages = this.pages.length
    this.fresh = new Map()
    this.gone = []
    return change
  }

  /** Everything at once. */
  layout(): CounterLayout {
    return { pages: this.pages.map((page) => page.buffer as SharedArrayBuffer), blocks: [...this.blocks.values()] }
  }

  private take(size: number): { page: number; offset: number } {
    const filling = this.filling[size <= SMALL_BLOCK ? 0 : 1]
    if (filling.page < 0 || filling.used + size > PAGE_VALUES) {
      filling.page = this.pages.push(new Float64Array(new SharedArrayBuffer(PAGE_VALUES * 8))) - 1
      filling.used = 0
    }
    const offset = filling.used
    filling.used += size
    return { page: filling.page, offset }
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

/** Reads a whole layout; works in any thread while the engine runs. */
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
