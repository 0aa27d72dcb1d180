/**
 * The addresses of the children: IP address to port (ipvlan's hash `ipvl_addr`, drivers/net/ipvlan/ipvlan_core.c).
 *
 *   entry, 32 bytes | four words of the address | port, 0: empty | - |
 *
 * Open addressing with linear probing in one Int32Array, at most a quarter full. IPv4 is kept as ::ffff:a.b.c.d. Changes make the
 * table anew: they are few, and look-ups many.
 */
import { FIRST_CHILD } from '../parent/parent-options.ts'
import type { AddressWords } from './ipvlan-options.ts'

/** What look-ups return for an address that is not in the table. */
export const NO_CHILD = -1
const noChild = NO_CHILD

const WORDS = 8
const PORT = 4
const SPARSE = 4
const SMALLEST = 64
const MAPPED = 0xffff

export class AddressTable {
  private readonly table: Int32Array
  private readonly mask: number
  private readonly shift: number

  /** Ports from FIRST_CHILD on. No address may be there twice. */
  constructor(entries: readonly (readonly [address: AddressWords, port: number])[]) {
    let size = SMALLEST
    while (size < entries.length * SPARSE) size *= 2
    this.table = new Int32Array(size * WORDS)
    this.mask = this.table.length - 1
    this.shift = Math.clz32(this.mask)
    for (const [[a, b, c, d], port] of entries) {
      if (port < FIRST_CHILD) throw new RangeError(`port ${port} is no child's`)
      let at = home(a, b, c, d, this.shift)
      while (this.table[at + PORT] !== 0) at = (at + WORDS) & this.mask
      this.table.set([a, b, c, d, port], at)
    }
  }

  /** `address` as int32. */
  lookup4(address: number): number {
    return this.lookup(0, 0, MAPPED, address)
  }

  lookup(a: number, b: number, c: number, d: number): number {
    const { table, mask, shift } = this
    for (let at = home(a, b, c, d, shift); ; at = (at + WORDS) & mask) {
      const port = table[at + PORT]
      if (port === 0) return noChild
      if (table[at + 3] === d && table[at + 2] === c && table[at + 1] === b && table[at] === a) return port
    }
  }
}

/** Multiplicative hashing with the golden ratio, as the bridge's FDB has it: the words that differ most, the last two, count full. */
function home(a: number, b: number, c: number, d: number, shift: number): number {
  return (Math.imul(d ^ Math.imul(c, 0x85ebca6b) ^ Math.imul(b ^ (a << 7), 0xc2b2ae35), 0x9e3779b1) >>> shift) & -WORDS
}
