/**
 * The query parameter `filters` of Docker's API: a JSON object of names and values, `{"name":{"front":true}}`, or in the older form
 * `{"name":["front"]}`. Values of one name are alternatives; different names must all match.
 */
import { RE2JS } from 're2js'
import { ApiError } from './api-error.ts'
import { boolean, list, map, string } from './decode.ts'
import { parseGoJson } from './go-json.ts'

const NEWER = map(map(boolean))
const OLDER = map(list(string))

/** Letters of a regular expression. Far more than anybody writes; the longest then takes milliseconds for a name. */
const MAX_PATTERN = 4096

export class Filters {
  private readonly fields: ReadonlyMap<string, ReadonlyMap<string, boolean>>
  /** null: no regular expression. */
  private readonly regexps = new Map<string, RE2JS | null>()

  constructor(fields: ReadonlyMap<string, ReadonlyMap<string, boolean>> = new Map()) {
    this.fields = fields
  }

  /** null and '' are no filters. ApiError 500 for what cannot be read, as Docker has it. */
  static parse(text: string | null): Filters {
    if (text === null || text === '') return new Filters()
    const value = parse(text)
    return new Filters(new Map(Object.entries(value).map(([name, values]) => [name, new Map(Object.entries(values))])))
  }

  get names(): string[] {
    return [...this.fields.keys()]
  }

  /** Whether the name was given at all. */
  has(name: string): boolean {
    return this.fields.has(name)
  }

  /** The values given for a name, in the client's order; none when it was not given. */
  get(name: string): string[] {
    return [...(this.fields.get(name)?.keys() ?? [])]
  }

  /** ApiError 400 when a name is none of `allowed`. */
  check(allowed: readonly string[]): void {
    for (const name of this.fields.keys()) {
      if (!allowed.includes(name)) throw ApiError.badRequest(`Invalid filter '${name}'`)
    }
  }

  /** Whether `text` is one of the values; true when there are none. */
  matchExactly(name: string, text: string): boolean {
    const values = this.values(name)
    return values === undefined || values.get(text) === true
  }

  /** Whether one of the values, as a regular expression of Go's, is found in `text`; true when there are none. */
  match(name: string, text: string): boolean {
    const values = this.values(name)
    if (values === undefined || values.get(text) === true) return true
    return [...values.keys()].some((pattern) => this.regexp(pattern)?.test(text) ?? false)
  }

  /** Whether `text` begins with one of the values; true when there are none. */
  matchStart(name: string, text: string): boolean {
    const values = this.values(name)
    return values === undefined || [...values.keys()].some((start) => text.startsWith(start))
  }

  /** Whether every value, `key` or `key=value`, holds for the labels (or attributes); true when there are none. */
  matchLabels(labels: Readonly<Record<string, string>> | null | undefined, name = 'label'): boolean {
    const values = this.values(name)
    if (values === undefined) return true
    return [...values.keys()].every((wanted) => {
      const equals = wanted.indexOf('=')
      const key = equals === -1 ? wanted : wanted.slice(0, equals)
      const label = labels != null && Object.hasOwn(labels, key) ? labels[key] : undefined
      return label !== undefined && (equals === -1 || label === wanted.slice(equals + 1))
    })
  }

  /** A filter that is true or false. ApiError 400 for anything else, or for both. */
  boolean(name: string): boolean | undefined {
    const values = this.values(name)
    if (values === undefined) return undefined
    const isTrue = values.has('1') || values.has('true')
    const isFalse = values.has('0') || values.has('false')
    if (isTrue !== isFalse) return isTrue
    throw ApiError.badRequest(`invalid value for filter '${name}', must be "true" (or "1"), or "false" (or "0")`)
  }

  private regexp(pattern: string): RE2JS | null {
    const known = this.regexps.get(pattern)
    if (known !== undefined) return known
    const regexp = compiled(pattern)
    this.regexps.set(pattern, regexp)
    return regexp
  }

  /** undefined also where a name was given without a value, which filters nothing. */
  private values(name: string): ReadonlyMap<string, boolean> | undefined {
    const values = this.fields.get(name)
    return values === undefined || values.size === 0 ? undefined : values
  }
}

function parse(text: string): Record<string, Record<string, boolean>> {
  try {
    const value = parseGoJson(text)
    try {
      return NEWER.read(value)
    } catch (error) {
      return asNewer(value, error)
    }
  } catch (error) {
    throw ApiError.internal((error as Error).message, { cause: error })
  }
}

/** The older form; when it is not that either, the complaint is about the newer one. */
function asNewer(value: unknown, complaint: unknown): Record<string, Record<string, boolean>> {
  try {
    const older = OLDER.read(value)
    return Object.fromEntries(
      Object.entries(older).map(([name, values]) => [name, Object.fromEntries(values.map((value) => [value, true]))])
    )
  } catch {
    throw complaint
  }
}

/**
 * Patterns come from clients, and JavaScript's backtracking takes exponential time for some: `([0-9a-f]+)+x` on a container's id would
 * hold the daemon for years. RE2JS reads Go's syntax and needs linear time. What Go cannot read finds nothing in Docker either.
 */
function compiled(pattern: string): RE2JS | null {
  if (pattern.length > MAX_PATTERN) return null
  try {
    return RE2JS.compile(pattern)
  } catch {
    return null
  }
}
