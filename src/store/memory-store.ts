import type { Change, Store } from './store.ts'

/** A store that is gone with the process: for tests and for daemons without a state directory. */
export class MemoryStore implements Store {
  /** Values as JSON text, so that nobody shares an object with the store. */
  private readonly entries = new Map<string, string>()

  get<T>(key: string): T | undefined {
    const text = this.entries.get(key)
    return text === undefined ? undefined : (JSON.parse(text) as T)
  }

  list<T>(prefix: string): Iterable<[key: string, value: T]> {
    const keys = [...this.entries.keys()].filter((key) => key.startsWith(prefix))
    return keys.sort(compareBytes).map((key) => [key, JSON.parse(this.entries.get(key)!) as T])
  }

  async write(changes: readonly Change[]): Promise<void> {
    // Before anything is changed, so that a value that is no JSON changes nothing.
    const texts = changes.map((change) => ('put' in change ? toJson(change.put, change.value) : undefined))
    changes.forEach((change, index) => {
      if ('put' in change) this.entries.set(change.put, texts[index]!)
      else this.entries.delete(change.remove)
    })
  }

  async close(): Promise<void> {}
}

/** TypeError for what JSON cannot say: undefined, functions, circles. */
export function toJson(key: string, value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`store: the value of ${key} is no JSON value: ${String(value)}`)
  return text
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
