/**
 * JSON as Go's json.Decoder reads it: one value from the start of the text, whatever follows it ignored, and Go's words for what is
 * wrong. JSON.parse does the work; the scanner below runs only over texts that it refuses.
 */

/** The text cannot be read. `isEmpty` when there was no value in it at all: callers have their own words for that. */
export class GoJsonError extends Error {
  readonly isEmpty: boolean

  constructor(message: string, isEmpty = false) {
    super(message)
    this.name = 'GoJsonError'
    this.isEmpty = isEmpty
  }
}

export function parseGoJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return JSON.parse(new Scanner(text).value())
  }
}

const SPACE = /[ \t\r\n]/
const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' }

/** Checks the first value of a text and cuts it out. */
class Scanner {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  /** The text of the first value, which is then known to be good. */
  value(): string {
    this.skipSpace()
    if (this.at === this.text.length) throw new GoJsonError('EOF', true)
    const start = this.at
    this.scanValue()
    return this.text.slice(start, this.at)
  }

  /** Without recursion: a body of a million brackets must not end the daemon. */
  private scanValue(): void {
    const open: ('object' | 'array')[] = []
    do {
      this.skipSpace()
      if (this.opens(open)) continue
      this.closes(open)
    } while (open.length > 0)
  }

  /** Reads a value, or the beginning of one. Returns whether a value inside comes next. */
  private opens(open: ('object' | 'array')[]): boolean {
    const char = this.peek()
    if (char === '{') {
      this.at++
      this.skipSpace()
      if (this.peek() === '}') return this.end()
      open.push('object')
      this.key()
      return true
    }
    if (char === '[') {
      this.at++
      this.skipSpace()
      if (this.peek() === ']') return this.end()
      open.push('array')
      return true
    }
    if (char === '"') this.string()
    else if (char === '-' || isDigit(char)) this.number()
    else if (LITERALS[char] !== undefined) this.literal(LITERALS[char])
    else this.fail('looking for beginning of value')
    return false
  }

  /** After a value: closes what ends here, and reads up to the next value. */
  private closes(open: ('object' | 'array')[]): void {
    while (open.length > 0) {
      const inside = open[open.length - 1]
      this.skipSpace()
      const char = this.peek()
      if (char === ',') {
        this.at++
        this.skipSpace()
        if (inside === 'object') this.key()
        return
      }
      if (char !== (inside === 'object' ? '}' : ']')) this.fail(inside === 'object' ? 'after object key:value pair' : 'after array element')
      this.at++
      open.pop()
    }
  }

  private end(): false {
    this.at++
    return false
  }

  private key(): void {
    if (this.peek() !== '"') this.fail('looking for beginning of object key string')
    this.string()
    this.skipSpace()
    if (this.peek() !== ':') this.fail('after object key')
    this.at++
  }

  private string(): void {
    this.at++
    for (;;) {
      const char = this.peek()
      if (char < ' ') this.fail('in string literal')
      this.at++
      if (char === '"') return
      if (char !== '\\') continue
      const escaped = this.peek()
      if (!'bfnrt\\/"u'.includes(escaped)) this.fail('in string escape code')
      this.at++
      for (let digit = 0; escaped === 'u' && digit < 4; digit++) {
        if (!/[0-9a-fA-F]/.test(this.peek())) this.fail('in \\u hexadecimal character escape')
        this.at++
      }
    }
  }

  private number(): void {
    if (this.peek() === '-') this.at++
    if (!isDigit(this.peek())) this.fail('in numeric literal')
    if (this.peek() === '0') this.at++
    else this.digits()
    if (this.text[this.at] === '.') {
      this.at++
      if (!isDigit(this.peek())) this.fail('after decimal point in numeric literal')
      this.digits()
    }
    if (this.text[this.at] === 'e' || this.text[this.at] === 'E') {
      this.at++
      if (this.peek() === '+' || this.peek() === '-') this.at++
      if (!isDigit(this.peek())) this.fail('in exponent of numeric literal')
      this.digits()
    }
  }

  private digits(): void {
    while (isDigit(this.text[this.at])) this.at++
  }

  private literal(word: string): void {
    for (let index = 0; index < word.length; index++) {
      if (this.peek() !== word[index]) this.fail(`in literal ${word} (expecting ${quote(word[index]!)})`)
      this.at++
    }
  }

  private skipSpace(): void {
    while (SPACE.test(this.text[this.at] ?? '')) this.at++
  }

  /** The next character. The end of the text inside a value is an error of its own. */
  private peek(): string {
    const char = this.text[this.at]
    if (char === undefined) throw new GoJsonError('unexpected EOF')
    return char
  }

  private fail(where: string): never {
    throw new GoJsonError(`invalid character ${quote(this.peek())} ${where}`)
  }
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9'
}

/** A character as Go quotes it. */
function quote(char: string): string {
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  if (char === '\x07') return "'\\a'"
  if (char === '\v') return "'\\v'"
  if (char < ' ' && !'\b\f\n\r\t'.includes(char)) return `'\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}'`
  return `'${JSON.stringify(char).slice(1, -1)}'`
}
