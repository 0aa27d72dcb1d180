/**
 * /etc/hosts of a container: rewritten in place on the host's side, so that the container, which has the file as a mount, sees it.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { STANDARD_HOSTS } from '../../sandbox/hosts-file.ts'

/** A line: an address and the names behind one tab. */
export interface HostsLine {
  readonly address: string
  readonly names: string
}

export function hostsText(lines: readonly HostsLine[]): string {
  return STANDARD_HOSTS + lines.map(lineText).join('')
}

/** The names by which a container finds itself: the full one, and its first part. */
export function ownNames(hostname: string, domainname: string): string {
  const full = domainname === '' ? hostname : `${hostname}.${domainname}`
  const dot = full.indexOf('.')
  return dot < 0 ? full : `${full} ${full.slice(0, dot)}`
}

export function addHosts(file: string, lines: readonly HostsLine[]): Promise<void> {
  return edit(file, (text) => text + lines.map(lineText).join(''))
}

/**
 * Takes lines away as Docker does: every line that tells exactly one of these names, whatever its address, and empty ones. Other
 * lines stay, also own ones that tell two names, as those of a host name with a dot do.
 */
export function removeHosts(file: string, names: ReadonlySet<string>): Promise<void> {
  return edit(file, (text) =>
    text
      .split('\n')
      .filter((line) => line !== '' && (line.startsWith('#') || !names.has(line.slice(line.indexOf('\t') + 1))))
      .map((line) => `${line}\n`)
      .join('')
  )
}

/** Gives the lines whose first name is `name` another address. */
export function moveHost(file: string, name: string, address: string): Promise<void> {
  return edit(file, (text) =>
    text
      .split('\n')
      .map((line) => {
        const [, names] = line.split('\t')
        return names !== undefined && (names === name || names.startsWith(`${name} `) || names.startsWith(`${name}.`))
          ? `${address}\t${line.slice(line.indexOf('\t') + 1)}`
          : line
      })
      .join('\n')
  )
}

function lineText({ address, names }: HostsLine): string {
  return `${address}\t${names}\n`
}

/** The last edit of each file that is being edited. */
const edits = new Map<string, Promise<void>>()

/**
 * One after the other: a container is told of its own addresses under its lock, and of those that it is linked to under theirs.
 * A container without the file, which is being removed, is left alone.
 */
async function edit(file: string, change: (text: string) => string): Promise<void> {
  const before = edits.get(file) ?? Promise.resolve()
  const mine = before.catch(() => {}).then(() => rewrite(file, change))
  edits.set(file, mine)
  try {
    await mine
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    if (edits.get(file) === mine) edits.delete(file)
  }
}

async function rewrite(file: string, change: (text: string) => string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    const old = await handle.readFile()
    await replaceText(handle, Buffer.from(change(old.toString('utf8'))), old)
  } finally {
    await handle.close()
  }
}

/**
 * In one write, from where it is another text on, so that who reads meanwhile finds names and no empty file; another file cannot take the
 * place of a mounted one. What the old text is longer by is blank lines until it is cut off. A new line at the end is seen whole or not at
 * all; where lines go away, a reader in that very moment may find one that is half of each text, as in any file that is written in place.
 */
async function replaceText(handle: FileHandle, text: Buffer, old: Buffer): Promise<void> {
  let from = 0
  while (from < text.length && text[from] === old[from]) from++
  const blanks = Buffer.alloc(Math.max(0, old.length - text.length), '\n')
  const rest = Buffer.concat([text.subarray(from), blanks])
  if (rest.length > 0) await handle.write(rest, 0, rest.length, from)
  if (blanks.length > 0) await handle.truncate(text.length)
}
