/**
 * A value in a lab file that knows where it stands: everything that is read from one is checked on the way, and what is wrong is told
 * with file, line, column and path.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml'
import { interpolate } from './interpolate.ts'
import { isNear } from './is-near.ts'
import { LabFileError } from './lab-file-error.ts'

/** The text that values come from. */
export interface Source {
  /** As it is called in messages. */
  readonly file: string
  readonly lines: LineCounter
  readonly env: Readonly<NodeJS.ProcessEnv>
  /** What an alias stands for; undefined: no such anchor. */
  readonly resolve: (node: Node) => Node | undefined
}

/** Keys that begin so are for other programs: Compose leaves them alone, and so do we. */
const EXTENSION = 'x-'

/** More names than these are not told in an error. */
const LISTED_MAX = 12

export class Value {
  /** `services.web.ports[0]`; '' for the whole file. */
  readonly path: string
  private readonly source: Source
  private readonly node: Node | null
  /** Offsets in the text: of the value, or where it should be; of its name. */
  private readonly at: number
  private readonly nameAt: number

  private constructor(source: Source, node: Node | null, path: string, nameAt: number) {
    this.source = source
    this.path = path
    this.nameAt = nameAt
    this.at = node?.range?.[0] ?? nameAt
    this.node = node !== null && isAlias(node) ? (source.resolve(node) ?? null) : node
  }

  /** The whole of a text. Throws LabFileError where it is no YAML. */
  static parse(text: string, file: string, env: Readonly<NodeJS.ProcessEnv>): Value {
    const lines = new LineCounter()
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
    // A tag that nobody knows, Compose's `!reset` too, is a warning to the parser: it goes on as if it were not there.
    const error = document.errors[0] ?? document.warnings[0]
    if (error !== undefined) {
      const { line, col } = lines.linePos(error.pos[0])
      throw new LabFileError(file, line, col, `this is no YAML: ${error.message}`, { cause: error })
    }
    visit(document, {
      Alias(_, node) {
        if (node.resolve(document) !== undefined) return
        const { line, col } = lines.linePos(node.range![0])
        throw new LabFileError(file, line, col, `there is no anchor &${node.source}`)
      }
    })
    const resolve = (node: Node): Node | undefined => (isAlias(node) ? node.resolve(document) : node)
    return new Value({ file, lines, env, resolve }, document.contents, '', 0)
  }

  /** Throws LabFileError: `compose.yaml:3:5: services.web.image: PROBLEM`. */
  fail(problem: string, cause?: unknown): never {
    const { line, col } = this.source.lines.linePos(this.at)
    const where = this.path === '' ? '' : `${this.path}: `
    throw new LabFileError(this.source.file, line, col, `${where}${problem}`, { cause })
  }

  /** Does what may throw a RangeError or the like of its own, and tells it with the place. */
  check<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (error instanceof LabFileError) throw error
      return this.fail((error as Error).message, error)
    }
  }

  /** Nothing, in the same place: for what the file leaves out. */
  nothing(path: string): Value {
    return new Value(this.source, null, path, this.at)
  }

  /** The variables of whoever reads the file. */
  get env(): Readonly<NodeJS.ProcessEnv> {
    return this.source.env
  }

  /** `key:` with nothing behind it. */
  get isNull(): boolean {
    return this.node === null || (isScalar(this.node) && this.node.value === null)
  }

  get isMap(): boolean {
    return isMap(this.node)
  }

  get isList(): boolean {
    return isSeq(this.node)
  }

  /** A text, variables replaced; numbers and truth values as they are written. */
  text(): string {
    if (!isScalar(this.node) || this.node.value === null) return this.fail(`this must be a text, not ${this.kind()}`)
    const { value, source } = this.node
    // `1.10` is a version, not the number 1.1.
    const written = typeof value === 'string' ? value : (source ?? String(value))
    return this.check(() => interpolate(written, this.source.env))
  }

  /** Not empty. */
  word(): string {
    const text = this.text()
    return text === '' ? this.fail('this is empty') : text
  }

  boolean(): boolean {
    const text = isScalar(this.node) && typeof this.node.value === 'boolean' ? String(this.node.value) : this.text()
    if (text === 'true' || text === 'false') return text === 'true'
    return this.fail(`'${text}' is neither true nor false`)
  }

  /** A whole number. */
  integer(min: number, max: number): number {
    const text = this.text()
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (number >= min && number <= max) return number
    return this.fail(`'${text}' is not a whole number from ${min} to ${max}`)
  }

  /** One of these words. */
  oneOf<T extends string>(words: readonly T[]): T {
    const text = this.text()
    return words.find((word) => word === text) ?? this.fail(`'${text}' is none of ${words.join(', ')}`)
  }

  list(): Value[] {
    if (!isSeq(this.node)) return this.fail(`this must be a list, not ${this.kind()}`)
    return this.node.items.map((item, index) => new Value(this.source, item as Node | null, `${this.path}[${index}]`, this.at))
  }

  /** A list of texts; a single text counts as a list of one where `single` says so. */
  texts({ single = false } = {}): string[] {
    return single && isScalar(this.node) ? [this.text()] : this.list().map((item) => item.text())
  }

  /**
   * By name, in the order of the file, `<<` merged in.
   * @param within what is merged into what this is merged into
   */
  entries(within: readonly Node[] = []): Map<string, Value> {
    if (!isMap(this.node)) return this.fail(`this must be a mapping (name: value), not ${this.kind()}`)
    if (within.includes(this.node)) return this.fail('this is merged into itself')
    const around = [...within, this.node]
    const found = new Map<string, Value>()
    const merged: Value[] = []
    for (const pair of this.node.items as Pair<Node, Node | null>[]) {
      const name = isScalar(pair.key) ? String(pair.key.value) : this.fail('a name must be a text')
      const path = this.path === '' ? name : `${this.path}.${name}`
      const value = new Value(this.source, pair.value, path, pair.key.range?.[0] ?? this.at)
      if (name === '<<') merged.push(...(value.isList ? value.list() : [value]))
      else found.set(name, value)
    }
    // What stands here goes before what is merged, and of that the first.
    for (const other of merged) for (const [name, value] of other.entries(around)) if (!found.has(name)) found.set(name, value)
    return found
  }

  /** The members of a mapping of which nothing but these names is known. */
  members<T extends string>(known: readonly T[]): Partial<Record<T, Value>> {
    const members: Partial<Record<T, Value>> = {}
    for (const [name, value] of this.entries()) {
      if ((known as readonly string[]).includes(name)) {
        if (!value.isNull) members[name as T] = value
      } else if (!name.startsWith(EXTENSION)) value.failName(name, known)
    }
    return members
  }

  /** `names: [a, b]` or `names: { a: 1, b: 2 }` as pairs; a name without a value has null. */
  pairs(): [name: string, value: string | null][] {
    if (this.isMap) return [...this.entries()].map(([name, value]) => [name, value.isNull ? null : value.text()])
    if (!this.isList) this.fail(`this must be a mapping (name: value) or a list of NAME=VALUE, not ${this.kind()}`)
    return this.texts().map((text) => {
      const at = text.indexOf('=')
      return at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)]
    })
  }

  /** Nobody knows this name. */
  private failName(name: string, known: readonly string[]): never {
    const near = known.find((other) => isNear(name, other))
    const all = known.length > LISTED_MAX ? 'docs/labs.md lists what is' : `netloom knows ${known.join(', ')}`
    const { line, col } = this.source.lines.linePos(this.nameAt)
    const problem = `${this.path}: this is not supported; ${near === undefined ? all : `is '${near}' meant?`}`
    throw new LabFileError(this.source.file, line, col, problem)
  }

  private kind(): string {
    if (this.isNull) return 'nothing'
    if (this.isMap) return 'a mapping'
    return this.isList ? 'a list' : `'${this.text()}'`
  }
}
