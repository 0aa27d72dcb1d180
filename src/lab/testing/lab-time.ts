/** Spans and instants of a lab's time: `'2 s'`, `'500ms'`, or a number of milliseconds. */
import { NetworkError } from '../../network/network-error.ts'

export type LabTime = string | number

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3600e9 }

/** Throws NetworkError `invalid` that names the field. */
export function nanoseconds(time: LabTime, field: string): number {
  const ns = typeof time === 'number' ? time * 1e6 : parse(time)
  if (Number.isFinite(ns) && ns >= 0) return Math.round(ns)
  throw new NetworkError('invalid', `${field}: '${time}' is no time`, {
    fix: "a number with a unit, as '2 s', '500 ms' or '1 min', or milliseconds"
  })
}

function parse(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/.exec(text)
  return match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2]] ?? Number.NaN)
}

/** `1.5 s`, to the nanosecond. */
export function timeText(ns: number): string {
  return `${Number((ns / 1e9).toFixed(9))} s`
}
