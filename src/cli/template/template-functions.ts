/** What templates can call: Go's own functions, and those that Docker's client adds (json, split, join, title...). */
import { TemplateError } from './template-error.ts'
import { isTrue, printValue, type Value } from './template-value.ts'

type TemplateFunction = (...values: Value[]) => Value

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => goJson(value),
  split: (text, separator) => printValue(text).split(printValue(separator)),
  join: (list, separator) => (Array.isArray(list) ? list.map(printValue).join(printValue(separator)) : printValue(list)),
  title: (text) => printValue(text).replace(/(^|\s)(\p{L})/gu, (_all, before: string, letter: string) => before + letter.toUpperCase()),
  lower: (text) => printValue(text).toLowerCase(),
  upper: (text) => printValue(text).toUpperCase(),
  pad: (text, before, after) => (text === '' ? '' : ' '.repeat(Number(before)) + printValue(text) + ' '.repeat(Number(after))),
  truncate: (text, length) => [...printValue(text)].slice(0, Number(length)).join(''),
  println: (...values) => `${values.map(printValue).join(' ')}\n`,
  print: (...values) => printAll(values),
  printf: (format, ...values) => printFormatted(printValue(format), values),
  len: (value) => lengthOf(value),
  index: (value, ...keys) => keys.reduce(indexed, value),
  slice: (value, from, to) => sliced(value, from, to),
  not: (value) => !isTrue(value),
  eq: (first, ...others) => others.some((other) => compare(first, other) === 0),
  ne: (first, second) => compare(first, second) !== 0,
  lt: (first, second) => compare(first, second) < 0,
  le: (first, second) => compare(first, second) <= 0,
  gt: (first, second) => compare(first, second) > 0,
  ge: (first, second) => compare(first, second) >= 0,
  html: (value) => printValue(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`),
  urlquery: (value) => encodeURIComponent(printValue(value)),
  call: (called, ...values) => (typeof called === 'function' ? called(...values) : fail(`call of non-function`))
}

/** As Go's encoding/json without escaping for HTML. Keys of our own rows come in order already. */
export function goJson(value: Value): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'function' ? undefined : inner)) ?? 'null'
}

/** print: a blank between two values when neither is a text. */
function printAll(values: readonly Value[]): string {
  return values
    .map((value, at) => (at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string' ? ' ' : '') + printValue(value))
    .join('')
}

function printFormatted(format: string, values: readonly Value[]): string {
  let next = 0
  const text = format.replace(
    /%([-+0 #]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_all, flags: string, width: string, precision: string, verb: string) => {
      if (verb === '%') return '%'
      if (next >= values.length) return `%!${verb}(MISSING)`
      const shown = formatOne(values[next++]!, verb, precision)
      if (flags.includes('-')) return shown.padEnd(Number(width ?? 0))
      return shown.padStart(Number(width ?? 0), flags.includes('0') && typeof values[next - 1] === 'number' ? '0' : ' ')
    }
  )
  const extra = values.slice(next).map((value) => `${typeof value}=${printValue(value)}`)
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(', ')})`
}

function formatOne(value: Value, verb: string, precision: string | undefined): string {
  switch (verb) {
    case 'q':
      return JSON.stringify(printValue(value))
    case 's':
    case 'v':
      return precision === undefined ? printValue(value) : printValue(value).slice(0, Number(precision))
    case 'd':
      return String(Math.trunc(Number(value)))
    case 'f':
      return Number(value).toFixed(Number(precision ?? 6))
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(printValue(value)).toString('hex')
    case 'o':
      return Number(value).toString(8)
    case 't':
      return String(isTrue(value))
    default:
      return `%!${verb}(${printValue(value)})`
  }
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (typeof value === 'object' && value !== null) return Object.keys(value).length
  return fail('error calling len: len of nil pointer')
}

function indexed(value: Value, key: Value): Value {
  if (value === null || value === undefined) return fail('error calling index: index of untyped nil')
  if (Array.isArray(value) || typeof value === 'string') {
    const at = Number(key)
    if (!Number.isInteger(at)) return fail(`error calling index: cannot index slice/array with type ${typeof key}`)
    if (at < 0 || at >= value.length) return fail(`error calling index: index out of range: ${at}`)
    return typeof value === 'string' ? value.charCodeAt(at) : value[at]
  }
  if (typeof value !== 'object') return fail(`error calling index: can't index item of type ${typeof value}`)
  // A missing key gives the zero value, which for every map of Docker's is the empty one.
  const name = printValue(key)
  return Object.hasOwn(value, name) ? (value as Record<string, Value>)[name] : ''
}

function sliced(value: Value, from: Value, to: Value): Value {
  if (typeof value !== 'string' && !Array.isArray(value)) return fail(`error calling slice: can't slice item of type ${typeof value}`)
  const [start, end] = [Number(from ?? 0), to === undefined ? value.length : Number(to)]
  if (!(start >= 0 && end <= value.length && start <= end)) return fail(`error calling slice: index out of range: ${end}`)
  return value.slice(start, end)
}

function compare(first: Value, second: Value): number {
  if (typeof first === 'number' && typeof second === 'number') return first - second
  if (typeof first !== typeof second) return fail('error calling eq: incompatible types for comparison')
  const [a, b] = [printValue(first), printValue(second)]
  return a === b ? 0 : a < b ? -1 : 1
}

function fail(problem: string): never {
  throw new TemplateError(problem)
}
