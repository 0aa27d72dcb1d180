/**
 * Paths of a folder that is to be somebody's root, resolved as that somebody would see them: '..' stops at the folder, and symbolic
 * links lead to places inside it, as after chroot. What an archive says can so never lead out.
 *
 * Sound only while nobody else changes the folder.
 */
import type { Stats } from 'node:fs'
import { lstat, mkdir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from './image-error.ts'

/** As the kernel has it. */
const MAX_LINKS = 40
const NEW_FOLDER_MODE = 0o755

export class RootedFolder {
  readonly root: string
  /** Folders (relative, without links) known to be real ones. */
  private readonly known = new Set<string>([''])

  constructor(root: string) {
    this.root = root
  }

  /**
   * Where an archive's path is, as an absolute path whose folders are real ones; its last part may be anything or missing. Folders
   * on the way are made. '' and '/' are the root itself. ImageError 'failed' when the path leads out, or through a file.
   */
  async locate(archivePath: string): Promise<string> {
    const parts = cleanParts(archivePath)
    if (parts.length === 0) return this.root
    const folder = await this.folder(parts.slice(0, -1), archivePath)
    return path.join(this.root, folder, parts.at(-1)!)
  }

  /** The regular file that a path leads to, over symbolic links. ImageError 'failed' when there is none. */
  async locateFile(archivePath: string): Promise<string> {
    let wanted = archivePath
    for (let links = 0; links <= MAX_LINKS; links++) {
      const place = await this.locate(wanted)
      const found = await statOf(place)
      if (found?.isFile()) return place
      if (!found?.isSymbolicLink()) break
      const target = await readlink(place)
      wanted = target.startsWith('/') ? target : path.posix.join(path.posix.dirname(wanted), target)
    }
    throw new ImageError('failed', `open ${archivePath}: no such file or directory`)
  }

  /** Something was removed or replaced: what was known of folders below may not hold. */
  forget(): void {
    this.known.clear()
    this.known.add('')
  }

  /** The real folder, relative to the root, that the parts lead to. */
  private async folder(parts: readonly string[], archivePath: string): Promise<string> {
    const direct = parts.join('/')
    if (this.known.has(direct)) return direct
    const waiting = [...parts]
    let real = ''
    let links = 0
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      if (part === '' || part === '.') continue
      if (part === '..') {
        real = real.includes('/') ? real.slice(0, real.lastIndexOf('/')) : ''
        continue
      }
      const next = real === '' ? part : `${real}/${part}`
      if (this.known.has(next)) {
        real = next
        continue
      }
      const target = await this.step(next, archivePath)
      if (target === null) {
        this.known.add(next)
        real = next
        continue
      }
      if (++links > MAX_LINKS) throw new ImageError('failed', `${archivePath}: too many levels of symbolic links`)
      if (target.startsWith('/')) real = ''
      waiting.unshift(...target.split('/'))
    }
    return real
  }

  /** Makes sure of one folder; the target when a symbolic link is there instead. */
  private async step(relative: string, archivePath: string): Promise<string | null> {
    const absolute = path.join(this.root, relative)
    const found = await statOf(absolute)
    if (found === null) await mkdir(absolute, NEW_FOLDER_MODE)
    else if (found.isSymbolicLink()) return readlink(absolute)
    else if (!found.isDirectory()) throw new ImageError('failed', `${archivePath}: ${relative} is not a folder`)
    return null
  }
}

/** The parts of a path without '.' and, where they take back a part before them, '..'. ImageError when more is taken back. */
function cleanParts(archivePath: string): string[] {
  if (archivePath.includes('\0')) throw new ImageError('failed', 'a path in the archive has a NUL byte')
  const parts: string[] = []
  for (const part of archivePath.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined && !archivePath.startsWith('/')) {
      throw new ImageError('failed', `${JSON.stringify(archivePath)} is outside of the archive's root`)
    }
  }
  return parts
}

/** What is at a path, itself; null: nothing. */
export async function statOf(file: string): Promise<Stats | null> {
  try {
    return await lstat(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
