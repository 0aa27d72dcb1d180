import { closeSync, openSync, readSync } from 'node:fs'
import { open, type RootDatabase } from 'lmdb'
import { toJson } from './memory-store.ts'
import type { Change, Store } from './store.ts'
import { StoreError } from './store-error.ts'

/** LMDB's own limit is 1,978 bytes. */
const LONGEST_KEY = 1024

/** Sorts behind every character that a key can continue with. */
const AFTER_ALL = '\u{10ffff}'

/**
 * The store on disk: one LMDB file. Reads come straight from the memory map. A write is one transaction, made on LMDB's own thread;
 * when it resolves the pages are with the kernel, so that no death of this process can undo it. They reach the disk right after
 * (fdatasync in the background): a power cut may undo the last writes, in order, and leaves a consistent file.
 */
export class LmdbStore implements Store {
  private readonly database: RootDatabase<string, string>

  private constructor(database: RootDatabase<string, string>) {
    this.database = database
  }

  /** `file`: made when it is not there; `file`-lock beside it is LMDB's. StoreError when it cannot be opened. */
  static open(file: string): LmdbStore {
    try {
      checkFile(file)
      const database = open<string, string>({ path: file, encoding: 'string', noSubdir: true })
      reserve(database)
      return new LmdbStore(database)
    } catch (error) {
      throw new StoreError('ERR_STORE_OPEN', `${file}: ${(error as Error).message}`, { cause: error })
    }
  }

  get<T>(key: string): T | undefined {
    const text = this.database.get(key)
    return text === undefined ? undefined : (JSON.parse(text) as T)
  }

  list<T>(prefix: string): Iterable<[key: string, value: T]> {
    // A snapshot: what is written while somebody goes through the list does not show in it.
    const entries = [...this.database.getRange({ start: prefix, end: prefix + AFTER_ALL })]
    return entries.map(({ key, value }) => [key, JSON.parse(value) as T])
  }

  async write(changes: readonly Change[]): Promise<void> {
    const texts = changes.map((change) => ('put' in change ? toJson(change.put, change.value) : undefined))
    for (const change of changes) checkKey('put' in change ? change.put : change.remove)
    if (changes.length === 0) return
    try {
      await this.database.batch(() => {
        changes.forEach((change, index) => {
          if ('put' in change) this.database.put(change.put, texts[index]!)
          else this.database.remove(change.remove)
        })
      })
    } catch (error) {
      throw await writeError(error)
    }
  }

  async close(): Promise<void> {
    await this.database.close()
  }
}

/**
 * Bytes that the file holds at the start beyond what is in it. LMDB writes changed pages into free ones first: so on a full disk records can
 * still be changed and removed, without which nobody could remove what fills the disk.
 */
const RESERVE = 1 << 20
const RESERVE_KEY = 'reserve'

/**
 * Free pages come of a value that was there. What one transaction frees the next but one can use, hence the second round. A daemon may
 * be killed on the way: a key that is left means nothing, and goes with the next start.
 */
function reserve(database: RootDatabase<string, string>): void {
  try {
    for (const length of [RESERVE, 1]) {
      database.putSync(RESERVE_KEY, 'x'.repeat(length))
      database.removeSync(RESERVE_KEY)
    }
  } catch {
    // The disk is full already. What can be read can be read.
  }
}

/** In the first page, behind its header of 24 bytes: MDB_MAGIC. */
const MAGIC = 0xbeefc0de
const MAGIC_AT = 24

/** LMDB itself ends the process when the file is another one, so its mark is looked for first. Makes a missing file. */
function checkFile(file: string): void {
  const fd = openSync(file, 'a+', 0o600)
  try {
    const head = Buffer.alloc(MAGIC_AT + 4)
    const length = readSync(fd, head, 0, head.length, 0)
    if (length > 0 && (length < head.length || head.readUInt32LE(MAGIC_AT) !== MAGIC)) throw new Error('it is no LMDB file')
  } finally {
    closeSync(fd)
  }
}

/** lmdb rejects with an error that says nothing, and tells the system's one by a promise in `commitError`, in the same turn. */
async function writeError(error: unknown): Promise<StoreError> {
  const cause = (await (error as { commitError?: Promise<never> }).commitError?.catch((reason: unknown) => reason)) ?? error
  // Behind a colon LMDB says at which page.
  const [reason] = (cause as Error).message.split(':')
  return new StoreError('ERR_STORE_WRITE', `the state could not be written: ${reason}`, { cause })
}

function checkKey(key: string): void {
  const length = Buffer.byteLength(key)
  if (length === 0 || length > LONGEST_KEY)
    throw new StoreError('ERR_STORE_KEY', `a key of ${length} bytes: 1 to ${LONGEST_KEY} are allowed`)
}
