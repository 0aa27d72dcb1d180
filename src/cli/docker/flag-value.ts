/** Values of docker's flags, read as Go reads them, and refused in Docker's words. */

/** A flag's value is none: `invalid argument "x" for "--cpus" flag: ...`, with the command's usage under it. Exit code 125. */
export class FlagError extends Error {
  constructor(value: string, flag: string, why: string) {
    super(`invalid argument "${value}" for "${flag}" flag: ${why}`)
    this.name = 'FlagError'
  }
}

const INT64_MAX = 2n ** 63n - 1n

/** `flag` as docker names it: '-c, --cpu-shares'. Doubles hold integers of up to 2^53 exactly; limits beyond it do not exist. */
export function intFlag(text: string, flag: string): number {
  const why = integerProblem(text)
  if (why !== undefined) throw new FlagError(text, flag, why)
  return Number(text)
}

/** What Go's strconv.ParseInt says of a text that is no int64. */
export function integerProblem(text: string): string | undefined {
  if (!/^[+-]?\d+$/.test(text)) return `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`
  const value = BigInt(text.replace(/^\+/, ''))
  return value > INT64_MAX || value < -INT64_MAX - 1n ? `strconv.ParseInt: parsing "${text}": value out of range` : undefined
}

/** An unsigned integer of 16 bits. */
export function uint16Flag(text: string, flag: string): number {
  if (!/^\d+$/.test(text)) throw new FlagError(text, flag, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
  if (BigInt(text) > 0xffffn) throw new FlagError(text, flag, `strconv.ParseUint: parsing "${text}": value out of range`)
  return Number(text)
}

/** '512m', '1.5g', '64kib', '100': bytes, of 1,024. */
export function bytesFlag(text: string, flag: string): number {
  const value = bytesOf(text)
  if (typeof value === 'string') throw new FlagError(text, flag, value)
  return value
}

const SUFFIXES = ['', 'k', 'm', 'g', 't', 'p']
const NUMBER = /^\d+(\.\d*)?(e[+-]?\d+)?$|^\.\d+(e[+-]?\d+)?$/i

/** Bytes, or why the text is none (go-units' RAMInBytes). */
export function bytesOf(text: string): number | string {
  // The number ends at its last digit, dot or blank; what follows is the unit.
  const last = text.search(/[\d. ][^\d. ]*$/)
  if (last === -1) return `invalid size: '${text}'`
  const isSpaced = text[last] === ' '
  const number = text.slice(0, isSpaced ? last : last + 1)
  const suffix = text.slice(last + 1)
  if (!NUMBER.test(number)) {
    return number.startsWith('-') && NUMBER.test(number.slice(1))
      ? `invalid size: '${text}'`
      : `strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`
  }
  const unit = /^([kmgtp]?)(b|ib)?$/i.exec(suffix)
  if (unit === null || (unit[1] === '' && unit[2]?.toLowerCase() === 'ib')) return `invalid suffix: '${suffix.toLowerCase()}'`
  return Math.floor(Number(number) * 1024 ** SUFFIXES.indexOf(unit[1]!.toLowerCase()))
}

/** 'cpu' seconds a second, as a decimal or a fraction: in billionths, which must be whole. */
export function cpusFlag(text: string): number {
  const [, sign, whole, fraction = '', divisor] = /^([+-]?)(\d*)(?:\.(\d*)|\/(\d+))?$/.exec(text) ?? []
  if (sign === undefined || `${whole}${fraction}` === '' || Number(divisor) === 0) {
    throw new FlagError(text, '--cpus', `failed to parse ${text} as a rational number`)
  }
  const scale = BigInt(divisor ?? 10n ** BigInt(fraction.length))
  const billionths = BigInt(`${whole}${fraction}`) * 1_000_000_000n
  if (billionths % scale !== 0n) throw new FlagError(text, '--cpus', 'value is too precise')
  return Number(billionths / scale) * (sign === '-' ? -1 : 1)
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/** Of Go's strconv.ParseBool; undefined for what is neither. */
export function booleanOf(text: string): boolean | undefined {
  return TRUE.has(text) ? true : FALSE.has(text) ? false : undefined
}

/** One line of comma-separated values, any of them in double quotes (RFC 4180). */
export function commaSeparated(line: string): string[] {
  const fields: string[] = []
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    fields.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'))
  }
  return fields
}
