/** The syntax of Go's `regexp`, read into a tree. What a match is has no captures here, so greed and names of groups mean nothing. */
import { type CharacterTest, ESCAPED_CLASSES, isWordCharacter, POSIX_CLASSES } from './go-regexp-classes.ts'

export type RegexpNode =
  | { readonly kind: 'character'; readonly test: CharacterTest }
  /** True between two characters, -1 for none. */
  | { readonly kind: 'place'; readonly test: (before: number, after: number) => boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexpNode[] }
  | { readonly kind: 'choice'; readonly parts: readonly RegexpNode[] }
  | { readonly kind: 'repeat'; readonly part: RegexpNode; readonly least: number; readonly most: number }

/** Those of Go's flags that change what is found: case is ignored, ^ and $ are of lines, a dot is also a newline. */
interface Flags {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
}

/** Go's limits. */
const MAX_REPEAT = 1000
const MAX_DEPTH = 1000

const NEWLINE = 10
const ESCAPED_CHARACTERS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }

export class GoRegexpParser {
  private readonly letters: readonly string[]
  private at = 0
  private depth = 0

  constructor(pattern: string) {
    this.letters = Array.from(withoutQuotes(pattern))
  }

  /** Throws SyntaxError. */
  parse(): RegexpNode {
    const node = this.choice({ i: false, m: false, s: false })
    if (this.at < this.letters.length) throw new SyntaxError('unexpected )')
    return node
  }

  private choice(outer: Flags): RegexpNode {
    if (++this.depth > MAX_DEPTH) throw new SyntaxError('expression nests too deeply')
    let flags = outer
    const branches: RegexpNode[][] = [[]]
    while (this.at < this.letters.length && this.peek() !== ')') {
      if (this.take('|')) {
        branches.push([])
        continue
      }
      const set = this.flagsAlone(flags)
      if (set !== null) flags = set
      else branches.at(-1)!.push(this.repeated(flags))
    }
    this.depth--
    const parts = branches.map((parts): RegexpNode => ({ kind: 'sequence', parts }))
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  private repeated(flags: Flags): RegexpNode {
    const part = this.atom(flags)
    const times = this.times()
    if (times === null) return part
    this.take('?')
    if (this.times() !== null) throw new SyntaxError('invalid nested repetition operator')
    return { kind: 'repeat', part, least: times[0], most: times[1] }
  }

  private times(): [least: number, most: number] | null {
    if (this.take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.take('?')) return [0, 1]
    const found = this.peek() === '{' ? this.takeMatch(/^\{(\d+)(,(\d*))?\}/) : null
    if (found === null) return null
    const least = Number(found[1])
    const most = found[2] === undefined ? least : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3])
    if (least > MAX_REPEAT || least > most || (most > MAX_REPEAT && most !== Number.POSITIVE_INFINITY)) {
      throw new SyntaxError('invalid repeat count')
    }
    return [least, most]
  }

  private atom(flags: Flags): RegexpNode {
    const letter = this.next()
    switch (letter) {
      case '(':
        return this.group(flags)
      case '[':
        return { kind: 'character', test: this.bracket(flags) }
      case '.':
        return { kind: 'character', test: (point) => flags.s || point !== NEWLINE }
      case '^':
        return { kind: 'place', test: (before) => before === -1 || (flags.m && before === NEWLINE) }
      case '$':
        return { kind: 'place', test: (_before, after) => after === -1 || (flags.m && after === NEWLINE) }
      case '\\':
        return this.escape(flags)
      case '*':
      case '+':
      case '?':
        throw new SyntaxError('missing argument to repetition operator')
      default:
        return this.literal(letter, flags)
    }
  }

  /** `(?i)`: from here to the end of the group. */
  private flagsAlone(flags: Flags): Flags | null {
    const found = this.peek() === '(' ? this.takeMatch(/^\(\?([imsU]*)(?:-([imsU]+))?\)/) : null
    return found === null ? null : changed(flags, found[1]!, found[2])
  }

  private group(flags: Flags): RegexpNode {
    let inner = flags
    if (this.peek() === '?') {
      const found = this.takeMatch(/^\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?:)/)
      if (found === null) throw new SyntaxError('invalid or unsupported Perl syntax')
      inner = changed(flags, found[1] ?? '', found[2])
    }
    const node = this.choice(inner)
    if (!this.take(')')) throw new SyntaxError('missing closing )')
    return node
  }

  private escape(flags: Flags): RegexpNode {
    if (this.take('A')) return { kind: 'place', test: (before) => before === -1 }
    if (this.take('z')) return { kind: 'place', test: (_before, after) => after === -1 }
    if (this.take('b')) return { kind: 'place', test: (before, after) => isWord(before) !== isWord(after) }
    if (this.take('B')) return { kind: 'place', test: (before, after) => isWord(before) === isWord(after) }
    const escaped = this.escaped()
    return typeof escaped === 'number' ? this.literal(String.fromCodePoint(escaped), flags) : this.character(escaped, flags)
  }

  /** Behind a backslash, in brackets or not: a character or a class. */
  private escaped(): number | CharacterTest {
    const property = this.takeMatch(/^([pP])(?:\{(\^?)(\w+)\}|(\w))/)
    if (property !== null) return unicodeClass(property[3] ?? property[4]!, (property[1] === 'P') !== (property[2] === '^'))
    const hex = this.takeMatch(/^x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/)
    if (hex !== null) return codePoint(Number.parseInt(hex[1] ?? hex[2]!, 16))
    const octal = this.takeMatch(/^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/)
    if (octal !== null) return Number.parseInt(octal[0], 8)
    const letter = this.next()
    const found = ESCAPED_CLASSES[letter] ?? ESCAPED_CHARACTERS[letter]
    if (found !== undefined) return found
    if (/^[\x21-\x7e]$/.test(letter) && !/\w/.test(letter)) return letter.codePointAt(0)!
    if (letter === '_') return letter.codePointAt(0)!
    throw new SyntaxError(`invalid escape sequence: \\${letter}`)
  }

  private bracket({ i }: Flags): CharacterTest {
    const isNegated = this.take('^')
    const tests: CharacterTest[] = []
    for (let isFirst = true; isFirst || this.peek() !== ']'; isFirst = false) {
      const from = this.bracketPart()
      if (typeof from !== 'number') tests.push(from)
      else tests.push(this.range(from))
    }
    this.next()
    const inside = cased((point) => tests.some((test) => test(point)), i)
    return (point) => inside(point) !== isNegated
  }

  private range(from: number): CharacterTest {
    if (this.peek() !== '-' || this.peek(1) === ']') return (point) => point === from
    this.next()
    const to = this.bracketPart()
    if (typeof to !== 'number' || to < from) throw new SyntaxError('invalid character class range')
    return (point) => from <= point && point <= to
  }

  private bracketPart(): number | CharacterTest {
    const posix = this.peek() !== '[' ? null : this.takeMatch(/^\[:(\^?)(\w+):\]/)
    if (posix !== null) {
      const test = POSIX_CLASSES.get(posix[2]!)
      if (test === undefined) throw new SyntaxError('invalid character class range')
      return posix[1] === '' ? test : (point) => !test(point)
    }
    const letter = this.next()
    return letter === '\\' ? this.escaped() : letter.codePointAt(0)!
  }

  private literal(letter: string, flags: Flags): RegexpNode {
    const wanted = letter.codePointAt(0)!
    return this.character((point) => point === wanted, flags)
  }

  private character(test: CharacterTest, { i }: Flags): RegexpNode {
    return { kind: 'character', test: cased(test, i) }
  }

  private peek(ahead = 0): string | undefined {
    return this.letters[this.at + ahead]
  }

  private next(): string {
    const letter = this.letters[this.at++]
    if (letter === undefined) throw new SyntaxError('unexpected end')
    return letter
  }

  private take(letter: string): boolean {
    if (this.peek() !== letter) return false
    this.at++
    return true
  }

  /** `pattern` begins with ^, and nothing that it finds is longer than 64 letters. */
  private takeMatch(pattern: RegExp): RegExpExecArray | null {
    const rest = this.letters.slice(this.at, this.at + 64).join('')
    const found = pattern.exec(rest)
    if (found !== null) this.at += Array.from(found[0]).length
    return found
  }
}

/** `\Q...\E` is literal. */
function withoutQuotes(pattern: string): string {
  return pattern.replace(/\\(?:Q(.*?)(?:\\E|$)|[^Q])/gs, (whole, quoted?: string) =>
    quoted === undefined ? whole : quoted.replace(/[!-/:-@[-`{-~]/g, '\\$&')
  )
}

function changed(flags: Flags, on: string, off = ''): Flags {
  const value = (flag: 'i' | 'm' | 's'): boolean => (flags[flag] || on.includes(flag)) && !off.includes(flag)
  return { i: value('i'), m: value('m'), s: value('s') }
}

function isWord(point: number): boolean {
  return point !== -1 && isWordCharacter(point)
}

function codePoint(value: number): number {
  if (value > 0x10ffff) throw new SyntaxError('invalid escape sequence')
  return value
}

/** JavaScript knows the same general categories and scripts. One character at a time: there is nothing to track back. */
function unicodeClass(name: string, isNegated: boolean): CharacterTest {
  const one = name === 'Any' || name.length <= 2 ? `\\p{${name}}` : `\\p{Script=${name}}`
  const class_ = new RegExp(one, 'u')
  return (point) => class_.test(String.fromCodePoint(point)) !== isNegated
}

function cased(test: CharacterTest, isIgnored: boolean): CharacterTest {
  if (!isIgnored) return test
  return (point) => test(point) || test(turned(point, 'toLowerCase')) || test(turned(point, 'toUpperCase'))
}

function turned(point: number, how: 'toLowerCase' | 'toUpperCase'): number {
  const letters = String.fromCodePoint(point)[how]()
  return letters.codePointAt(0)!
}
