/** Instants and spans as Go writes and reads them in Docker's JSON. */
import type { Clock } from '../engine/clock.ts'

const SECOND = 1_000_000_000n

/** Nanoseconds since 1970. */
export function wallTime(clock: Clock): bigint {
  return clock.epochNs + BigInt(clock.now())
}

/** RFC 3339 in UTC with up to nine digits, without zeros at the end: '2026-11-20T20:36:39.797021225Z'. */
export function goTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19)
  const fraction = (nanoseconds % SECOND).toString().padStart(9, '0').replace(/0+$/, '')
  return `${date}${fraction === '' ? '' : `.${fraction}`}Z`
}

/** Nanoseconds since 1970 of a text that `goTime` wrote, or any RFC 3339 one. Throws RangeError. */
export function parseGoTime(text: string): bigint {
  const [, whole, digits = '', zone] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? []
  const milliseconds = whole === undefined ? Number.NaN : Date.parse(`${whole}${zone}`)
  if (Number.isNaN(milliseconds)) throw new RangeError(`'${text}' is not a time such as 2026-11-20T20:36:39Z`)
  return BigInt(milliseconds) * 1_000_000n + BigInt(digits.padEnd(9, '0'))
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

/** Nanoseconds of a Go duration, '1h30m', '-1.5s'; undefined for anything else. */
export function parseGoDuration(text: string): bigint | undefined {
  const [, sign, parts] = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)$/.exec(text) ?? []
  if (text === '0') return 0n
  if (parts === undefined) return undefined
  let sum = 0
  for (const [, number, unit] of parts.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) sum += Number(number) * UNITS[unit!]!
  return BigInt(Math.round(sign === '-' ? -sum : sum))
}

/**
 * The instant that a prune's `until` means: a span back from now, a date, or seconds since 1970. Throws RangeError.
 * Dates without a zone are UTC.
 */
export function parseUntil(text: string, now: bigint): bigint {
  const span = parseGoDuration(text)
  if (span !== undefined) return now - span
  if (/^\d+(\.\d{1,9})?$/.test(text)) {
    const [seconds, fraction = ''] = text.split('.')
    return BigInt(seconds!) * SECOND + BigInt(fraction.padEnd(9, '0'))
  }
  const [, date, time = 'T00:00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? []
  if (date === undefined) throw new RangeError(`failed to parse value as time or duration: ${JSON.stringify(text)}`)
  return parseGoTime(`${date}${/^T\d\d:\d\d$/.test(time) ? `${time}:00` : time}${zone}`)
}
