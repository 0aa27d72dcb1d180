import type { Store } from './store.ts'
import { StoreError } from './store-error.ts'

/** Raised when the records of an older version can no longer be read as they are; then a step that changes them belongs here. */
export const SCHEMA_VERSION = 1

const KEY = 'meta/schema'

/** Marks a new store with our version, and refuses one of another version. */
export async function checkSchema(store: Store): Promise<void> {
  const found = store.get<number>(KEY)
  if (found === undefined) await store.write([{ put: KEY, value: SCHEMA_VERSION }])
  else if (found !== SCHEMA_VERSION) {
    throw new StoreError('ERR_STORE_SCHEMA', `the state has version ${found} and this netloom reads version ${SCHEMA_VERSION}`)
  }
}
