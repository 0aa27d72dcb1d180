import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import path from 'node:path'

/** One thing that was changed on the host, with what it takes to put it back. */
export type HostChange =
  | { readonly kind: 'sysctl'; readonly name: string; readonly was: string; readonly set: string }
  | { readonly kind: 'rule'; readonly family: 4 | 6; readonly priority: number; readonly table: number }
  | { readonly kind: 'nftables'; readonly family: 'inet' | 'netdev'; readonly name: string }

interface JournalFile {
  readonly version: 1
  /** Of HostNamespace: changes in another namespace, or before the last boot, are no longer there. */
  readonly namespace: string
  /** The oldest first. */
  readonly changes: readonly HostChange[]
}

export type JournalContents = Pick<JournalFile, 'namespace' | 'changes'>

/** The file in a state directory. */
export const JOURNAL_FILE = 'host-uplink.json'

/**
 * What is changed on the host beyond what goes with a descriptor. A change is written, and flushed to the disk, before it is made: after
 * SIGKILL at any moment everything that was changed is listed, and perhaps one that was not.
 */
export class HostJournal {
  private readonly file: string
  private readonly namespace: string
  private list: readonly HostChange[]

  private constructor(file: string, namespace: string, list: readonly HostChange[]) {
    this.file = file
    this.namespace = namespace
    this.list = list
  }

  /** Changes of another namespace are forgotten. `name`: of the file. Throws the system's errors, and SyntaxError for a file that is no journal. */
  static open(directory: string, namespace: string, name = JOURNAL_FILE): HostJournal {
    const file = path.join(directory, name)
    const kept = readJournal(file)
    return new HostJournal(file, namespace, kept?.namespace === namespace ? kept.changes : [])
  }

  get changes(): readonly HostChange[] {
    return this.list
  }

  /** Before the change is made. */
  add(change: HostChange): void {
    this.write([...this.list, change])
  }

  /** After it was put back. */
  remove(change: HostChange): void {
    this.write(this.list.filter((kept) => kept !== change))
  }

  /** Whole or not at all, also when the machine stops. */
  private write(changes: readonly HostChange[]): void {
    const text = JSON.stringify({ version: 1, namespace: this.namespace, changes } satisfies JournalFile, null, 2)
    const draft = `${this.file}.new`
    const fd = openSync(draft, 'w', 0o600)
    try {
      writeSync(fd, `${text}\n`)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(draft, this.file)
    this.list = changes
  }
}

/** Of a state directory; null: there is none. */
function readJournal(file: string): JournalContents | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  return parseJournal(text, file)
}

/** What a journal lists, and of which namespace. Throws SyntaxError, which names the file. */
export function parseJournal(text: string, file: string): JournalContents {
  let contents: Partial<JournalFile> | null
  try {
    contents = JSON.parse(text) as Partial<JournalFile> | null
  } catch (error) {
    throw new SyntaxError(`${file} is no journal: ${(error as Error).message}`, { cause: error })
  }
  const { version, namespace, changes } = contents ?? {}
  if (version !== 1 || typeof namespace !== 'string' || !Array.isArray(changes)) {
    throw new SyntaxError(`${file} is no journal of a version that is known here`)
  }
  return { namespace, changes }
}

/** In a person's words. */
export function describeChange(change: HostChange): string {
  if (change.kind === 'sysctl') return `${change.name.replaceAll('/', '.')} = ${change.set} (was ${change.was})`
  if (change.kind === 'nftables') return `nftables table ${change.family} ${change.name}`
  return `ip ${change.family === 6 ? '-6 ' : ''}rule ${change.priority}: not iif lo lookup ${change.table}`
}

/** The command that puts it back. */
export function undoCommand(change: HostChange): string {
  if (change.kind === 'sysctl') return `sysctl -w ${change.name.replaceAll('/', '.')}=${change.was}`
  if (change.kind === 'nftables') return `nft delete table ${change.family} ${change.name}`
  return `ip ${change.family === 6 ? '-6 ' : ''}rule delete priority ${change.priority}`
}
