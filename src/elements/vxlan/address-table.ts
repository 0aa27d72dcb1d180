/**
 * IP addresses of both families to two numbers each: which VTEP it is, which MAC has it.
 *
 *   entry, 32 bytes  | four words of the address (IPv4 mapped) | used | first value | second value | - |
 *
 * Open addressing with linear probing in one Int32Array, at most half full. A removed entry is filled by its followers. Nothing
 * is allocated except when the table doubles.
 */

/** What `find` returns for an address that is not in the table. */
export const NO_ENTRY = -1

const WORDS = 8
const USED = 4
const FIRST = 5
const SECOND = 6
const SMALLEST = 16

export class AddressTable {
  private table = new Int32Array(SMALLEST * WORDS)
  private mask = this.table.length - 1
  private shift = Math.clz32(this.mask)
  private count = 0

  get size(): number {
    return this.count
  }

  /** Place of the address, for `first` and `second`; valid until the next change. NO_ENTRY when it is not there. */
  find(w0: number, w1: number, w2: number, w3: number): number {
    const { table, mask } = this
    for (let at = home(w0, w1, w2, w3, this.shift); table[at + USED] !== 0; at = (at + WORDS) & mask) {
      if (table[at + 3] === w3 && table[at + 2] === w2 && table[at + 1] === w1 && table[at] === w0) return at
    }
    return NO_ENTRY
  }

  first(place: number): number {
    return this.table[place + FIRST]
  }

  second(place: number): number {
    return this.table[place + SECOND]
  }

  /** Enters the address or changes its values. `words`: as in VtepAddress. */
  set(words: Int32Array, first: number, second = 0): void {
    let at = this.find(words[0], words[1], words[2], words[3])
    if (at === NO_ENTRY) {
      if (++this.count * 2 * WORDS > this.table.length) this.double()
      at = this.freeAt(words, 0)
      this.table.set(words, at)
      this.table[at + USED] = 1
    }
    this.table[at + FIRST] = first
    this.table[at + SECOND] = second
  }

  remove(words: Int32Array): void {
    const { table, mask, shift } = this
    let hole = this.find(words[0], words[1], words[2], words[3])
    if (hole === NO_ENTRY) return
    this.count--
    for (let next = (hole + WORDS) & mask; table[next + USED] !== 0; next = (next + WORDS) & mask) {
      const first = home(table[next], table[next + 1], table[next + 2], table[next + 3], shift)
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - first) & mask) < ((next - hole) & mask)) continue
      table.copyWithin(hole, next, next + WORDS)
      hole = next
    }
    table.fill(0, hole, hole + WORDS)
  }

  private freeAt(words: Int32Array, from: number): number {
    let at = home(words[from], words[from + 1], words[from + 2], words[from + 3], this.shift)
    while (this.table[at + USED] !== 0) at = (at + WORDS) & this.mask
    return at
  }

  private double(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2)
    this.mask = this.table.length - 1
    this.shift = Math.clz32(this.mask)
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + USED] !== 0) this.table.set(old.subarray(from, from + WORDS), this.freeAt(old, from))
    }
  }
}

function home(w0: number, w1: number, w2: number, w3: number, shift: number): number {
  const mixed = w3 ^ Math.imul(w2, 0x85ebca6b) ^ Math.imul(w1, 0xc2b2ae35) ^ Math.imul(w0, 0x27d4eb2f)
  return (Math.imul(mixed, 0x9e3779b1) >>> shift) & -WORDS
}
