/** A filter's text into words, numbers, addresses and signs. */
import { addressFamily, parseMac } from '../../wire/address.ts'
import { CaptureFilterError } from './capture-filter-error.ts'

export interface FilterToken {
  /**
   * - word: a keyword, a name, or a range such as 1000-2000; lower case as given, without the backslash that some write before it
   * - number: 0..2^32-1, in `value`
   * - dotted: two to four decimal numbers
   * - ipv6, mac: as written
   * - sign: operators and brackets; `and`, `or`, `not` are `&&`, `||`, `!`
   */
  readonly kind: 'word' | 'number' | 'dotted' | 'ipv6' | 'mac' | 'sign' | 'end'
  readonly text: string
  readonly value: number
  /** Characters before it. */
  readonly offset: number
}

/** Characters of a filter at most. */
const TEXT_MAX = 32_768

const SPACE = /[ \t\r\n]*/y
const MAC = /(?:[0-9a-f]{1,2}([:.-])(?:[0-9a-f]{1,2}\1){4}[0-9a-f]{1,2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|[0-9a-f]{12})(?![\w:.-])/iy
const COLONS = /[0-9a-f:]*:[0-9a-f:.]*/iy
const DOTTED = /\d+(?:\.\d+){1,3}(?![\w.-])/y
const NUMBER = /(?:0x[0-9a-f]+|\d+)(?![\w.-])/iy
const WORD = /\\?[a-z0-9](?:[-\w.]*[\w.])?/iy
const SIGN = /&&|\|\||<<|>>|[<>=!]=|[()[\]+\-*/%&|^!<>=:]/y
const LOGIC: Readonly<Record<string, string>> = { and: '&&', or: '||', not: '!' }

/** Throws CaptureFilterError. The last token is `end`. */
export function filterTokens(text: string): FilterToken[] {
  if (text.length > TEXT_MAX) throw new CaptureFilterError(`the filter is too long: ${text.length} characters, at most ${TEXT_MAX}`)
  const tokens: FilterToken[] = []
  for (let at = 0; ; ) {
    at += matchAt(SPACE, text, at)!.length
    if (at === text.length) break
    const token = tokenAt(text, at)
    tokens.push(token)
    at += token.text.length
  }
  tokens.push({ kind: 'end', text: '', value: 0, offset: text.length })
  return tokens.map(asMeant)
}

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? null
}

function tokenAt(text: string, offset: number): FilterToken {
  const token = (kind: FilterToken['kind'], text: string, value = 0): FilterToken => ({ kind, text, value, offset })
  const mac = matchAt(MAC, text, offset)
  if (mac !== null) return token('mac', mac)
  const colons = matchAt(COLONS, text, offset)
  if (colons !== null && addressFamily(colons) === 6) return token('ipv6', colons)
  const dotted = matchAt(DOTTED, text, offset)
  if (dotted !== null) return token('dotted', dotted)
  const digits = matchAt(NUMBER, text, offset)
  if (digits !== null) return token('number', digits, readNumber(digits, offset))
  const word = matchAt(WORD, text, offset)
  if (word !== null) return token('word', word)
  const sign = matchAt(SIGN, text, offset)
  if (sign !== null) return token('sign', sign)
  const character = String.fromCodePoint(text.codePointAt(offset)!)
  throw new CaptureFilterError(`${JSON.stringify(character)} has no meaning in a capture filter`, offset)
}

/** As in C: decimal, 0x and octal. */
function readNumber(digits: string, offset: number): number {
  const isOctal = /^0[0-7]+$/.test(digits)
  if (/^0\d/.test(digits) && !isOctal)
    throw new CaptureFilterError(`${digits} begins with a zero, so it would be octal, but has an 8 or 9`, offset)
  const value = isOctal ? Number.parseInt(digits, 8) : Number(digits)
  if (value > 0xffffffff) throw new CaptureFilterError(`the number ${digits} has more than 32 bits`, offset)
  return value
}

function asMeant(token: FilterToken): FilterToken {
  if (token.kind !== 'word') return token
  if (Object.hasOwn(LOGIC, token.text)) return { ...token, kind: 'sign', text: LOGIC[token.text] }
  return token.text.startsWith('\\') ? { ...token, text: token.text.slice(1) } : token
}

/** A MAC in any of the written forms: 02:cc:00:00:00:01, with - or . between, 02cc.0000.0001, 02cc00000001. */
export function macOf(token: FilterToken): { hi: number; lo: number } {
  const { text } = token
  if (text.length < 12 || /[:-]/.test(text) || text.split('.').length === 6) return parseMac(text.replaceAll('.', ':'))
  return parseMac(text.replaceAll('.', '').match(/../g)!.join(':'))
}

/** Goes through the tokens of one filter. */
export class FilterTokenCursor {
  private readonly tokens: readonly FilterToken[]
  private at = 0

  constructor(tokens: readonly FilterToken[]) {
    this.tokens = tokens
  }

  /** The token at hand, or one further on; the last one is `end` and stays. */
  peek(ahead = 0): FilterToken {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]
  }

  next(): FilterToken {
    const token = this.peek()
    this.at++
    return token
  }

  /** Takes the token when it is this sign or word. */
  accept(text: string): boolean {
    const { kind } = this.peek()
    if ((kind !== 'sign' && kind !== 'word') || this.peek().text !== text) return false
    this.at++
    return true
  }

  /** What comes after the bracket that closes the one at hand; the end when none does. */
  afterBrackets(): FilterToken {
    let depth = 0
    for (let ahead = 0; ; ahead++) {
      const { kind, text } = this.peek(ahead)
      if (kind === 'end') return this.peek(ahead)
      if (kind !== 'sign') continue
      if (text === '(') depth++
      if (text === ')' && --depth === 0) return this.peek(ahead + 1)
    }
  }
}
