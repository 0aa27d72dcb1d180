import type { Change, Store } from '../../src/store/store.ts'
import { StoreError } from '../../src/store/store-error.ts'

/** On a disk that is full now and then: what `full` is the beginning of, a key, cannot be written or removed. */
export class FailingStore implements Store {
  /** '' is every key's beginning; null: there is room. */
  full: string | null = null
  private readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  get<T>(key: string): T | undefined {
    return this.store.get(key)
  }

  list<T>(prefix: string): Iterable<[key: string, value: T]> {
    return this.store.list(prefix)
  }

  async write(changes: readonly Change[]): Promise<void> {
    const { full } = this
    if (full !== null && changes.some((change) => ('put' in change ? change.put : change.remove).startsWith(full))) {
      throw new StoreError('ERR_STORE_WRITE', 'the state could not be written: No space left on device')
    }
    await this.store.write(changes)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
