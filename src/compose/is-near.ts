/** One letter too many, too few, other, or two exchanged; or another way of joining words. */
export function isNear(a: string, b: string): boolean {
  const [x, y] = [a, b].map((word) => word.toLowerCase().replace(/[-_]/g, ''))
  if (x === y) return true
  if (Math.abs(x!.length - y!.length) > 1 || Math.min(x!.length, y!.length) < 3) return false
  let start = 0
  while (start < x!.length && x![start] === y![start]) start++
  const [restX, restY] = [x!.slice(start), y!.slice(start)]
  const isSwapped = restX.slice(0, 2) === [...restY.slice(0, 2)].reverse().join('') && restX.slice(2) === restY.slice(2)
  return restX.slice(1) === restY.slice(1) || restX === restY.slice(1) || restX.slice(1) === restY || isSwapped
}
