/**
 * The MACs of the benchmarks: 02:cc and 32 bits that look random, so that no hash has an easy time with counted-up numbers.
 */
export const STATION_MAC_HI = 0x02cc

/** The last 32 bits of station `number`'s MAC, int32; different for different numbers (an odd factor is a bijection). */
export function macLow(number: number): number {
  const mixed = Math.imul(number + 1, 0x85ebca6b)
  return mixed ^ (mixed >>> 16)
}
