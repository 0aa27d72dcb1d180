/**
 * Checks JSON against a declared shape and says what is wrong as Go's encoding/json does, since these texts reach the user:
 * `json: cannot unmarshal string into Go struct field NetworkCreateRequest.Internal of type bool`.
 *
 *   const request = struct('types.NetworkCreateRequest', { Name: string, Internal: boolean, Options: map(string) })
 *   const { Name, Internal } = request.read(JSON.parse(text))
 *
 * Also as Go does: member names are matched without regard to case where none matches exactly, unknown ones are ignored, and a
 * member that is absent or null has the zero value of its shape.
 */

/** The struct being read and the members passed on the way to a value; indices and keys of maps are not part of it. */
export interface Place {
  readonly struct: string
  readonly field: string
}

export interface Shape<T> {
  /** What Go calls the type: 'string', '[]network.IPAMConfig'. */
  readonly type: string
  zero(): T
  /** A fresh value. DecodeError for a value that does not fit. */
  read(value: unknown, place?: Place): T
}

export type Decoded<S> = S extends Shape<infer T> ? T : never

export class DecodeError extends Error {
  constructor(found: string, type: string, place: Place | undefined) {
    const target = place === undefined ? 'Go value' : `Go struct field ${place.struct}.${place.field}`
    super(`json: cannot unmarshal ${found} into ${target} of type ${type}`)
    this.name = 'DecodeError'
  }
}

export const string: Shape<string> = scalar('string', 'string', '')
/** A text whose Go type has a name: 'container.NetworkMode'. */
export function text(type: string): Shape<string> {
  return scalar('string', type, '')
}

export const boolean: Shape<boolean> = scalar('boolean', 'bool', false)
export const float: Shape<number> = scalar('number', 'float64', 0)

/** Anything at all, as it came. */
export const any: Shape<unknown> = { type: 'interface {}', zero: () => null, read: (value) => value }

const INTEGER_BITS = { int: 64, int64: 64, int32: 32, uint: 64, uint64: 64, uint32: 32, uint16: 16, uint8: 8 } as const

/** A whole number in the range of a Go type. */
export function integer(type: keyof typeof INTEGER_BITS): Shape<number> {
  const bits = INTEGER_BITS[type]
  const [low, high] = type.startsWith('u') ? [0, 2 ** bits] : [-(2 ** (bits - 1)), 2 ** (bits - 1)]
  return {
    type,
    zero: () => 0,
    read(value, place) {
      if (value === null) return 0
      if (typeof value !== 'number') throw new DecodeError(kindOf(value), type, place)
      if (!Number.isInteger(value) || value < low || value >= high) throw new DecodeError(`number ${literal(value)}`, type, place)
      return value
    }
  }
}

/** A slice; its zero value is the empty list. */
export function list<T>(of: Shape<T>, type = `[]${of.type}`): Shape<T[]> {
  return {
    type,
    zero: () => [],
    read(value, place) {
      if (value === null) return []
      if (!Array.isArray(value)) throw new DecodeError(kindOf(value), type, place)
      return value.map((item) => of.read(item, place))
    }
  }
}

/** A map with keys that are texts; its zero value is the empty object. The object has no prototype: any key is only a key. */
export function map<T>(of: Shape<T>, type = `map[string]${of.type}`): Shape<Record<string, T>> {
  return {
    type,
    zero: () => Object.create(null) as Record<string, T>,
    read(value, place) {
      const result = Object.create(null) as Record<string, T>
      if (value === null) return result
      if (!isObject(value)) throw new DecodeError(kindOf(value), type, place)
      for (const [key, item] of Object.entries(value)) result[key] = of.read(item, place)
      return result
    }
  }
}

/** A pointer, or any value where "not given" matters: absent and null are null. */
export function nullable<T>(of: Shape<T>): Shape<T | null> {
  return { type: of.type, zero: () => null, read: (value, place) => (value === null ? null : of.read(value, place)) }
}

/** Docker's strslice: a list of texts, or one text for a list of one. */
export const words: Shape<string[]> = {
  type: 'string',
  zero: () => [],
  read(value, place) {
    if (value === null) return []
    if (typeof value === 'string') return [value]
    if (!Array.isArray(value) || value.some((word) => typeof word !== 'string' && word !== null)) {
      throw new DecodeError(kindOf(value), 'string', place)
    }
    return value.map((word) => word ?? '')
  }
}

type Members = Readonly<Record<string, Shape<unknown>>>
type StructOf<M extends Members> = { [K in keyof M]: Decoded<M[K]> }

/** `type` with its package, as Go prints it: 'network.IPAMConfig'. */
export function struct<M extends Members>(type: string, members: M): Shape<StructOf<M>> {
  const name = type.slice(type.lastIndexOf('.') + 1)
  const byLowerCase = new Map(Object.keys(members).map((member) => [member.toLowerCase(), member]))
  const zero = (): StructOf<M> => {
    const result: Record<string, unknown> = {}
    for (const [member, shape] of Object.entries(members)) result[member] = shape.zero()
    return result as StructOf<M>
  }
  return {
    type,
    zero,
    read(value, place) {
      const result = zero() as Record<string, unknown>
      if (value === null) return result as StructOf<M>
      if (!isObject(value)) throw new DecodeError(kindOf(value), type, place)
      for (const [key, item] of Object.entries(value)) {
        const member = Object.hasOwn(members, key) ? key : byLowerCase.get(key.toLowerCase())
        if (member === undefined || item === null) continue
        result[member] = members[member]!.read(item, { struct: name, field: place === undefined ? member : `${place.field}.${member}` })
      }
      return result as StructOf<M>
    }
  }
}

function scalar<T>(kind: 'string' | 'boolean' | 'number', type: string, zero: T): Shape<T> {
  return {
    type,
    zero: () => zero,
    read(value, place) {
      if (value === null) return zero
      if (typeof value !== kind) throw new DecodeError(kindOf(value), type, place)
      return value as T
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Go's word for what was found. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

/** Large numbers without an exponent, as the client most likely wrote them. */
function literal(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value)
}
