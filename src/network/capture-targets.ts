/** What the words mean that name where to capture: `lan`, `web`, `lan/web`, `host1/eth0`, `uplink`, `all`. */
import type { CapturePoint } from './capture-point.ts'

export const ALL = 'all'

/** Digits of an id that are enough to mean it, as with docker. */
const SHORT_ID = /^[0-9a-f]{6,64}$/

/**
 * Whether a word means a point.
 * @param site the host that it is on; '' where there is only one. `host1/web`, and `host1` alone, mean those of host1; `web` any host's
 */
export function isMeant(word: string, point: CapturePoint, site: string): boolean {
  if (word === '') return false
  if (word === ALL) return true
  if (site !== '') {
    if (word === site) return true
    if (word.startsWith(`${site}/`) && isMeant(word.slice(site.length + 1), point, '')) return true
  }
  if (word === point.name || point.aliases.includes(word)) return true
  return SHORT_ID.test(word) && point.aliases.some((alias) => alias.length === 64 && alias.startsWith(word))
}
