/** What templates work on: JSON, and functions, which stand for Go's methods with arguments (`{{.Label "key"}}`). */
export type Value = unknown

/** Go's truth: everything but false, 0, nil and what is empty. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

/** As Go prints it with %v: lists [a b], maps map[a:1 b:2] in the order of their keys. */
export function printValue(value: Value): string {
  if (value === undefined) return '<no value>'
  if (value === null) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`
  if (typeof value !== 'object') return String(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `map[${entries.map(([key, inner]) => `${key}:${printValue(inner)}`).join(' ')}]`
}
