/** `--seeds 1..1000`, `--seeds 7,11,20..30`. */
import { usageError } from '../cli-error.ts'

const SEEDS_MAX = 1_000_000

/** In the order given. Throws a usage error that names the part. */
export function seedList(text: string): number[] {
  const seeds: number[] = []
  for (const part of text.split(',')) {
    const match = /^\s*(\d+)(?:\.\.(\d+))?\s*$/.exec(part)
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
    if (match === null || !Number.isSafeInteger(last) || last < first) {
      throw usageError(`--seeds '${part}' is neither a number nor a range from low to high`, 'netloom sim FILE --seeds 1..1000')
    }
    if (seeds.length + last - first + 1 > SEEDS_MAX) throw usageError(`--seeds '${text}' are more than ${SEEDS_MAX} seeds`)
    for (let seed = first; seed <= last; seed++) seeds.push(seed)
  }
  return seeds
}
