/**
 * Numbers with units, as tc reads them: a time without a unit is microseconds, a rate bits a second, a size bytes, a share percent; kbit
 * is 1,000 bits, kbps 1,000 bytes, kb 1,024 bytes.
 */

/** Words that are none: names the word and what was expected. */
export class LinkWordsError extends Error {
  readonly code = 'ERR_LINK_WORDS'
}

type Units = Readonly<Record<string, number>>

const TIME_UNITS: Units = {
  '': 1e3,
  ns: 1,
  nsec: 1,
  nsecs: 1,
  us: 1e3,
  usec: 1e3,
  usecs: 1e3,
  ms: 1e6,
  msec: 1e6,
  msecs: 1e6,
  s: 1e9,
  sec: 1e9,
  secs: 1e9
}
const RATE_UNITS: Units = {
  '': 1,
  bit: 1,
  kbit: 1e3,
  mbit: 1e6,
  gbit: 1e9,
  tbit: 1e12,
  kibit: 2 ** 10,
  mibit: 2 ** 20,
  gibit: 2 ** 30,
  tibit: 2 ** 40,
  bps: 8,
  kbps: 8e3,
  mbps: 8e6,
  gbps: 8e9,
  tbps: 8e12,
  kibps: 8 * 2 ** 10,
  mibps: 8 * 2 ** 20,
  gibps: 8 * 2 ** 30,
  tibps: 8 * 2 ** 40
}
const SIZE_UNITS: Units = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kb: 2 ** 10,
  m: 2 ** 20,
  mb: 2 ** 20,
  g: 2 ** 30,
  gb: 2 ** 30
}
const COUNT_UNITS: Units = { '': 1 }
const SHARE_UNITS: Units = { '': 0.01, '%': 0.01 }

/** Nanoseconds, from 0 on. `what`: the word before it. Throws LinkWordsError, as the others. */
export function readTime(what: string, word: string): number {
  const ns = Math.round(inUnits(what, word, TIME_UNITS))
  if (ns < 0) throw new LinkWordsError(`${what}: '${word}' is less than no time`)
  return ns
}

/** Bits a second. */
export function readRate(what: string, word: string): number {
  return inUnits(what, word, RATE_UNITS)
}

/** Bytes; overheads may be negative. */
export function readSize(what: string, word: string): number {
  return Math.round(inUnits(what, word, SIZE_UNITS))
}

/** Of 1; correlations may be negative. */
export function readShare(what: string, word: string): number {
  return inUnits(what, word, SHARE_UNITS)
}

export function readCount(what: string, word: string): number {
  return inUnits(what, word, COUNT_UNITS)
}

function inUnits(what: string, word: string, units: Units): number {
  const [, number, unit = ''] = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([a-z%]*)$/i.exec(word) ?? []
  const factor = units[unit.toLowerCase()]
  if (number === undefined || factor === undefined || !Number.isFinite(Number(number) * factor)) {
    const names = Object.keys(units).filter((name) => name !== '')
    throw new LinkWordsError(`${what}: '${word}' is no number${names.length === 0 ? '' : ` with one of the units ${names.join(', ')}`}`)
  }
  // 1 % of 0.01 x 3 would be 0.030000000000000002.
  return factor === 0.01 ? Number(number) / 100 : Number(number) * factor
}
