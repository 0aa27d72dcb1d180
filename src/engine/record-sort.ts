/**
 * Puts records that stand in a chain of blocks into the order of their times; those of one time stay as they came.
 *
 *   chain --> buckets by time, as many as there are records --> each bucket by moving, or by merging --> chain
 *
 * Times that are spread as they mostly are give about one record to a bucket: then a record costs the same whether there are a
 * hundred or a million. Where all crowd into a few buckets the buckets are sorted by merging.
 */

/** Where the records stand: two doubles each, the first of which is the time. */
export interface RecordChain {
  readonly records: Float64Array
  /** By block: the next one. */
  readonly nextBlock: Int32Array
  /** Records of a block, as a power of two. */
  readonly blockBits: number
}

/** Buckets at most: what counts them is 16 KiB, half of the nearest cache. */
const BUCKETS = 4096
/** Records that are put into order by moving. */
const FEW = 32

const ends = new Int32Array(BUCKETS)
/** In order, and what merging needs beside it. Both grow. */
let sorted = new Float64Array(0)
let spare = new Float64Array(0)

/** Records `first` to `last` of a chain, whose times are from `lowest` to `highest`, and not all the same. */
export function sortRecords(
  { records, nextBlock, blockBits }: RecordChain,
  first: number,
  last: number,
  lowest: number,
  highest: number
): void {
  // Mostly a tick's frames lie in one block.
  if (first >> blockBits === last >> blockBits) return byMoving(records, first, last + 1)
  const count = countRecords(nextBlock, blockBits, first, last)
  const buckets = Math.min(BUCKETS, 2 ** (32 - Math.clz32(count))) | 0
  // A bucket's number grows with the time or stays: rounding keeps the order of what it rounds.
  const scale = (buckets - 1) / (highest - lowest)
  const mask = (1 << blockBits) - 1
  ends.fill(0, 0, buckets)
  for (let at = first; ; at = (at & mask) === mask ? nextBlock[at >> blockBits] << blockBits : (at + 1) | 0) {
    ends[((records[at << 1] - lowest) * scale) | 0]++
    if (at === last) break
  }
  let most = 0
  for (let bucket = 0, end = 0; bucket < buckets; bucket = (bucket + 1) | 0) {
    const size = ends[bucket]
    if (size > most) most = size
    ends[bucket] = end
    end = (end + size) | 0
  }
  if (sorted.length < 2 * count) sorted = new Float64Array(4 * count)
  for (let at = first; ; at = (at & mask) === mask ? nextBlock[at >> blockBits] << blockBits : (at + 1) | 0) {
    const time = records[at << 1]
    const bucket = ((time - lowest) * scale) | 0
    const to = ends[bucket]
    ends[bucket] = (to + 1) | 0
    sorted[to << 1] = time
    sorted[(to << 1) + 1] = records[(at << 1) + 1]
    if (at === last) break
  }
  // None moves out of its bucket.
  if (most <= FEW) byMoving(sorted, 0, count)
  else for (let bucket = 0; bucket < buckets; bucket++) sortPart(bucket === 0 ? 0 : ends[bucket - 1], ends[bucket])
  let from = 0
  for (let at = first; ; at = (at & mask) === mask ? nextBlock[at >> blockBits] << blockBits : (at + 1) | 0) {
    records[at << 1] = sorted[from]
    records[(at << 1) + 1] = sorted[from + 1]
    if (at === last) break
    from = (from + 2) | 0
  }
}

/** Records of a chain: the blocks between its ends are full. */
function countRecords(nextBlock: Int32Array, blockBits: number, first: number, last: number): number {
  let count = 1 + (last & ((1 << blockBits) - 1)) - (first & ((1 << blockBits) - 1))
  for (let block = first >> blockBits; block !== last >> blockBits; block = nextBlock[block]) count += 1 << blockBits
  return count
}

function sortPart(from: number, end: number): void {
  if (end - from <= FEW) byMoving(sorted, from, end)
  else byMerging(from, end)
}

/** Records `from` to `end - 1`, of which few stand far from their place. */
function byMoving(records: Float64Array, from: number, end: number): void {
  for (let i = (from + 1) | 0; i < end; i = (i + 1) | 0) {
    const time = records[i << 1]
    let j = (i - 1) | 0
    if (records[j << 1] <= time) continue
    const rest = records[(i << 1) + 1]
    for (; j >= from && records[j << 1] > time; j = (j - 1) | 0) {
      records[(j << 1) + 2] = records[j << 1]
      records[(j << 1) + 3] = records[(j << 1) + 1]
    }
    records[(j << 1) + 2] = time
    records[(j << 1) + 3] = rest
  }
}

/** Records `from` to `end - 1` of `sorted`: runs of FEW, then of twice as many, and so on. */
function byMerging(from: number, end: number): void {
  for (let at = from; at < end; at += FEW) byMoving(sorted, at, Math.min(at + FEW, end))
  if (spare.length < sorted.length) spare = new Float64Array(sorted.length)
  let source = sorted
  let target = spare
  for (let width = FEW; width < end - from; width *= 2) {
    for (let at = from; at < end; at += 2 * width) merge(source, target, at, Math.min(at + width, end), Math.min(at + 2 * width, end))
    ;[source, target] = [target, source]
  }
  if (source !== sorted) sorted.set(source.subarray(2 * from, 2 * end), 2 * from)
}

/** Two runs of `source`, from `from` and from `middle` on, to one of `target`. */
function merge(source: Float64Array, target: Float64Array, from: number, middle: number, end: number): void {
  let left = from
  let right = middle
  for (let at = from; at < end; at++) {
    const takesLeft = left < middle && (right >= end || source[left << 1] <= source[right << 1])
    const taken = takesLeft ? left++ : right++
    target[at << 1] = source[taken << 1]
    target[(at << 1) + 1] = source[(taken << 1) + 1]
  }
}
