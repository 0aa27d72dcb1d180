/** Sizes, times and names as Docker's client prints them for people. */

const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** '72.3MB': decimal units, `digits` of them. */
export function humanSize(bytes: number, digits = 3): string {
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < DECIMAL.length - 1; unit++) value /= 1000
  return `${Number(value.toPrecision(digits))}${DECIMAL[unit]}`
}

/** 'About a minute', '3 days': a length of time in seconds. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return 'Less than a second'
  if (seconds < 60) return counted(seconds, 'second')
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.floor(seconds / 3600 + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 730) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`
}

function counted(seconds: number, name: string): string {
  const count = Math.floor(seconds)
  return `${count} ${name}${count === 1 ? '' : 's'}`
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
  const left = a.match(/\d+|\D+/g) ?? []
  const right = b.match(/\d+|\D+/g) ?? []
  for (let at = 0; at < left.length && at < right.length; at++) {
    const [one, other] = [left[at]!, right[at]!]
    if (one === other) continue
    if (/^\d/.test(one) && /^\d/.test(other) && Number(one) !== Number(other)) return Number(one) - Number(other)
    return one < other ? -1 : 1
  }
  return left.length - right.length
}

/** '2026-11-21 11:39:22.5 +0000 UTC' of '2026-11-21T11:39:22.5Z': a time of the API as Go prints it. */
export function goTimeOf(rfc3339: string): string {
  return rfc3339.replace(/^(\S+)T(\S+)Z$/, '$1 $2 +0000 UTC')
}

/** '2026-11-21 11:39:22 +0000 UTC', in the local zone, as Go prints a time. */
export function goTime(ms: number): string {
  const date = new Date(ms)
  const offset = -date.getTimezoneOffset()
  const local = new Date(ms + offset * 60_000).toISOString()
  const sign = offset < 0 ? '-' : '+'
  const zone = `${sign}${String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')}${String(Math.abs(offset) % 60).padStart(2, '0')}`
  const name = new Intl.DateTimeFormat('en', { timeZoneName: 'short' })
    .formatToParts(date)
    .find(({ type }) => type === 'timeZoneName')?.value
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${zone} ${name ?? ''}`
}
