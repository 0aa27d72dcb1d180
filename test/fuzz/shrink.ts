/**
 * The fewest items that still fail, found by leaving out ever smaller pieces (Zeller's ddmin, in short).
 * @param budget calls of `fails` at most
 */
export function shrink<T>(items: readonly T[], fails: (items: readonly T[]) => boolean, budget = 300): readonly T[] {
  let kept = items
  for (let size = Math.ceil(kept.length / 2); size >= 1 && budget > 0; ) {
    let removed = false
    for (let at = 0; at < kept.length && budget > 0; ) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)]
      budget--
      if (rest.length < kept.length && fails(rest)) {
        kept = rest
        removed = true
      } else at += size
    }
    if (size === 1 && !removed) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return kept
}
