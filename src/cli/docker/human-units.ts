/** Sizes, times and names as Docker's client prints them for people. */

const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** '72.3MB': decimal units, `digits` of them. */
export function humanSize(bytes: number, digits = 3): string {
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < DECIMAL.length - 1; unit++) value /= 1000
  return `${Number(value.toPrecision(digits))}${DECIMAL[unit]}`
}

const STEPS: readonly [limitSeconds: number, unitSeconds: number, name: string][] = [
  [60, 1, 'second'],
  [3600, 60, 'minute'],
  [48 * 3600, 3600, 'hour'],
  [14 * 86400, 86400, 'day'],
  [60 * 86400, 7 * 86400, 'week'],
  [730 * 86400, 30 * 86400, 'month']
]

/** 'About a minute', '3 days': a length of time in whole seconds. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second'
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  // An hour is one from its second half on, as people count.
  const hours = Math.round(seconds / 3600)
  if (minutes >= 60 && hours === 1) return 'About an hour'
  if (minutes >= 60 && hours < 48) return `${hours} hours`
  for (const [limit, unit, name] of STEPS) {
    if (seconds >= limit) continue
    const count = Math.floor(seconds / unit)
    return `${count} ${name}${count === 1 ? '' : 's'}`
  }
  return `${Math.floor(seconds / (365 * 86400))} years`
}

/** At most `length` characters, the last one … when something was cut. */
export function ellipsis(text: string, length: number): string {
  const characters = [...text]
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}

/** The twelve digits of an id. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}

/** Numbers within names count as numbers: net2 before net10. */
export function compareNaturally(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.match(/\d+|\D+/g) ?? []) as [string[], string[]]
  for (let at = 0; at < left.length && at < right.length; at++) {
    const [one, other] = [left[at]!, right[at]!]
    if (one === other) continue
    if (/^\d/.test(one) && /^\d/.test(other) && Number(one) !== Number(other)) return Number(one) - Number(other)
    return one < other ? -1 : 1
  }
  return left.length - right.length
}

/** '2026-11-21 11:39:22 +0000 UTC', in the local zone, as Go prints a time. */
export function goTime(ms: number): string {
  const date = new Date(ms)
  const offset = -date.getTimezoneOffset()
  const local = new Date(ms + offset * 60_000).toISOString()
  const sign = offset < 0 ? '-' : '+'
  const zone = `${sign}${String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')}${String(Math.abs(offset) % 60).padStart(2, '0')}`
  const name = new Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${zone} ${name ?? ''}`
}
