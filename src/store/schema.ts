import type { Store } from './store.ts'
import { StoreError } from './store-error.ts'

/** Raised when the records of an older version can no longer be read as they are; then a step that changes them belongs here. */
export const SCHEMA_VERSION = 1

const KEY = 'meta/schema'

/**
 * Marks a new store with our version, and refuses one of another version. `leftovers` names what an earlier store knew of: beside
 * it a store that is new is one that was lost, and to go on would remove what it knew.
 */
export async function checkSchema(store: Store, leftovers?: string): Promise<void> {
  const found = store.get<number>(KEY)
  if (found === undefined && leftovers !== undefined) {
    throw new StoreError('ERR_STORE_LOST', `the state is empty, but ${leftovers}: bring the state back, or remove those to begin anew`)
  }
  if (found === undefined) await store.write([{ put: KEY, value: SCHEMA_VERSION }])
  else if (found !== SCHEMA_VERSION) {
    throw new StoreError('ERR_STORE_SCHEMA', `the state has version ${found} and this netloom reads version ${SCHEMA_VERSION}`)
  }
}
