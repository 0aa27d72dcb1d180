/** Filters as Docker's API takes them in a query: {"name":{"front":true}}. undefined for none. */
export type FilterValues = Readonly<Record<string, readonly string[]>>

export function filterQuery(filters: FilterValues | undefined): string | undefined {
  const entries = Object.entries(filters ?? {}).filter(([, values]) => values.length > 0)
  if (entries.length === 0) return undefined
  return JSON.stringify(
    Object.fromEntries(entries.map(([name, values]) => [name, Object.fromEntries(values.map((value) => [value, true]))]))
  )
}
