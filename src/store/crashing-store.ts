import type { Change, Store } from './store.ts'

/** 'before:3': die instead of the third write. 'after:3': die when the third write is done, before anybody hears of it. */
export interface CrashPoint {
  readonly when: 'before' | 'after'
  /** Counted from 1. */
  readonly write: number
}

/** undefined for no text; RangeError for a text that is no crash point. */
export function parseCrashPoint(text: string | undefined): CrashPoint | undefined {
  if (text === undefined || text === '') return undefined
  const match = /^(before|after):([1-9]\d*)$/.exec(text)
  if (match === null) throw new RangeError(`crash point ${text}: before:N or after:N`)
  return { when: match[1] as CrashPoint['when'], write: Number(match[2]) }
}

/** For crash tests: `die` (SIGKILL to oneself) around one of the writes. */
export class CrashingStore implements Store {
  private readonly store: Store
  private readonly point: CrashPoint
  private readonly die: () => void
  private writes = 0

  constructor(store: Store, point: CrashPoint, die: () => void = () => process.kill(process.pid, 'SIGKILL')) {
    this.store = store
    this.point = point
    this.die = die
  }

  get<T>(key: string): T | undefined {
    return this.store.get(key)
  }

  list<T>(prefix: string): Iterable<[key: string, value: T]> {
    return this.store.list(prefix)
  }

  async write(changes: readonly Change[]): Promise<void> {
    const { when, write } = this.point
    const isPoint = ++this.writes === write
    if (isPoint && when === 'before') this.die()
    await this.store.write(changes)
    if (isPoint && when === 'after') this.die()
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
