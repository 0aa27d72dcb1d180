/**
 * Which external port stands for an internal address and port: RFC 4787 4.1.
 *
 *   (source, port, protocol, external address) -> external port, flows that use it
 *   (external address, external port, protocol) -> flows that use it                 endpoint-independent mapping only
 *
 * Endpoint-independent mapping notes every translated source, and nobody else may use its external port. Otherwise only sources are noted
 * that got another port than their own: the next flow of such a source tries that port first, as Linux's nf_nat does.
 */
const WORDS = 5
const VALUE = 3
const REFERENCES = 4
const SMALLEST = 64
/** What `portOf` returns for a source without one. */
export const NO_MAPPING = -1

export class SourceMappings {
  private readonly bySource: CountedKeys
  private readonly byExternal: CountedKeys
  private isNotingExternal = false

  /** `random` gives 32 random bits. */
  constructor(random: () => number) {
    this.bySource = new CountedKeys(random() | 1)
    this.byExternal = new CountedKeys(random() | 1)
  }

  /** Sources that are noted. */
  get size(): number {
    return this.bySource.size
  }

  /** Whether external ports are noted. Those that are taken already when this begins are for the caller to note with `noteExternal`. */
  set areExclusive(exclusive: boolean) {
    if (!exclusive) this.byExternal.clear()
    this.isNotingExternal = exclusive
  }

  get areExclusive(): boolean {
    return this.isNotingExternal
  }

  noteExternal(kind: number, external: number, externalPort: number): void {
    this.byExternal.take(external, portAndKind(externalPort, kind), 0, 0)
  }

  /** The external port, a field of a tuple, or NO_MAPPING. Addresses and ports are those of tuples, `kind` is `d` of the original. */
  portOf(source: number, port: number, kind: number, external: number): number {
    return this.bySource.get(source, portAndKind(port, kind), external)
  }

  /** Whether any source has this external port. */
  isTaken(external: number, port: number, kind: number): boolean {
    return this.byExternal.get(external, portAndKind(port, kind), 0) !== NO_MAPPING
  }

  take(source: number, port: number, kind: number, external: number, externalPort: number): void {
    this.bySource.take(source, portAndKind(port, kind), external, externalPort)
    if (this.isNotingExternal) this.noteExternal(kind, external, externalPort)
  }

  release(source: number, port: number, kind: number, external: number, externalPort: number): void {
    this.bySource.release(source, portAndKind(port, kind), external)
    if (this.isNotingExternal) this.byExternal.release(external, portAndKind(externalPort, kind), 0)
  }
}

/** Port, protocol and family; not the ICMP type. */
function portAndKind(port: number, kind: number): number {
  return (port << 16) | (kind & 0x1ff)
}

/** Keys of three words with a value and a count; open addressing, at most half full. */
class CountedKeys {
  size = 0
  private table = new Int32Array(SMALLEST * WORDS)
  private places = SMALLEST
  private readonly secret: number

  constructor(secret: number) {
    this.secret = secret
  }

  clear(): void {
    this.size = 0
    this.table = new Int32Array(SMALLEST * WORDS)
    this.places = SMALLEST
  }

  get(a: number, b: number, c: number): number {
    const at = this.find(a, b, c)
    return this.table[at + REFERENCES] === 0 ? NO_MAPPING : this.table[at + VALUE]
  }

  take(a: number, b: number, c: number, value: number): void {
    if (this.size * 2 >= this.places) this.double()
    const { table } = this
    const at = this.find(a, b, c)
    if (table[at + REFERENCES]++ > 0) return
    this.size++
    table[at] = a
    table[at + 1] = b
    table[at + 2] = c
    table[at + VALUE] = value
  }

  release(a: number, b: number, c: number): void {
    const { table } = this
    const at = this.find(a, b, c)
    if (table[at + REFERENCES] === 0 || --table[at + REFERENCES] > 0) return
    this.size--
    // Followers that would no longer be found move up.
    let hole = at / WORDS
    for (let next = (hole + 1) & (this.places - 1); table[next * WORDS + REFERENCES] !== 0; next = (next + 1) & (this.places - 1)) {
      const from = next * WORDS
      const home = this.home(table[from], table[from + 1], table[from + 2])
      if (((next - home) & (this.places - 1)) < ((next - hole) & (this.places - 1))) continue
      table.copyWithin(hole * WORDS, from, from + WORDS)
      hole = next
    }
    table.fill(0, hole * WORDS, (hole + 1) * WORDS)
  }

  /** Word of the entry, or of the empty one where it belongs. */
  private find(a: number, b: number, c: number): number {
    const { table, places } = this
    let place = this.home(a, b, c)
    for (;;) {
      const at = place * WORDS
      if (table[at + REFERENCES] === 0 || (table[at] === a && table[at + 1] === b && table[at + 2] === c)) return at
      place = (place + 1) & (places - 1)
    }
  }

  private home(a: number, b: number, c: number): number {
    let hash = Math.imul(a ^ this.secret, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ c, this.secret)
    return (hash ^ (hash >>> 16)) & (this.places - 1)
  }

  private double(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2)
    this.places *= 2
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + REFERENCES] === 0) continue
      this.table.set(old.subarray(from, from + WORDS), this.find(old[from], old[from + 1], old[from + 2]))
    }
  }
}
