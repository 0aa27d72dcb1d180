/**
 * Seeded randomness: sfc32 (Chris Doty-Humphrey's Small Fast Counting generator), 128 bits of state, integers only, so that
 * the same seed gives the same numbers on any machine.
 */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  /** Any number or text is a seed. */
  constructor(seed: number | string) {
    // FNV-1a over the text spreads close seeds; the first rounds mix the rest.
    let hash = 0x811c9dc5
    for (const char of String(seed)) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193)
    this.a = hash | 0
    this.b = Math.imul(hash ^ 0x9e3779b9, 0x85ebca6b) | 0
    this.c = Math.imul(hash ^ 0x7f4a7c15, 0xc2b2ae35) | 0
    for (let round = 0; round < 12; round++) this.int32()
  }

  /** 32 random bits as an int32. */
  int32(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum
  }

  /** A number in [0, 1) with 32 random bits. */
  next(): number {
    return (this.int32() >>> 0) / 4294967296
  }

  /** The next `count` numbers of `next`, into `numbers`: the state stays in registers meanwhile. */
  nextAll(numbers: Float64Array, count: number): void {
    let { a, b, c, counter } = this
    for (let i = 0; i < count; i++) {
      const sum = (((a + b) | 0) + counter) | 0
      counter = (counter + 1) | 0
      a = b ^ (b >>> 9)
      b = (c + (c << 3)) | 0
      c = (((c << 21) | (c >>> 11)) + sum) | 0
      numbers[i] = (sum >>> 0) / 4294967296
    }
    this.a = a
    this.b = b
    this.c = c
    this.counter = counter
  }

  /** An integer in [0, limit); limit up to 2^32. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A generator of its own for a part of the whole: what one part draws does not move the others. */
  fork(name: string): Random {
    return new Random(`${this.int32()}/${name}`)
  }
}

/** A seed for runs that nobody asked to repeat; print it, so that they can be. */
export function freshSeed(): number {
  return Math.floor(Math.random() * 0x7fffffff)
}
