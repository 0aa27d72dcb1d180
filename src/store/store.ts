/** One step of a write. A value is JSON: objects, arrays, strings, numbers, booleans, null; `undefined` members are left out. */
export type Change = { readonly put: string; readonly value: unknown } | { readonly remove: string }

/**
 * The daemon's memory over restarts: keys ('network/ID') in the order of their bytes, each with a JSON value.
 *
 * What `write` acknowledged survives a SIGKILL at any later moment; what it has not acknowledged is there whole or not at all.
 * Values that are read are the caller's own copies.
 */
export interface Store {
  get<T>(key: string): T | undefined
  /** Entries whose key begins with `prefix`, by key; those of the moment of the call. */
  list<T>(prefix: string): Iterable<[key: string, value: T]>
  /** All changes or none. Two writes take effect in the order of the calls; `get` sees them at the latest when it resolves. */
  write(changes: readonly Change[]): Promise<void>
  /** Waits for writes under way. */
  close(): Promise<void>
}
