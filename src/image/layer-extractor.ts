/**
 * Unpacks one layer's archive into a new folder, as overlayfs wants it: whiteout files (`.wh.NAME`) become character devices 0/0,
 * opaque markers (`.wh..wh..opq`) an extended attribute. Source: OCI image specification, "Image Layer Filesystem Changeset";
 * Documentation/filesystems/overlayfs.rst.
 *
 * Nothing in the archive can reach outside the folder (RootedFolder), and device nodes are left out: a container has a /dev of its
 * own, and another one would be a way to the host's disks.
 */
import { chmod, lchown, link, lutimes, mkdir, open, rm, symlink, utimes } from 'node:fs/promises'
import path from 'node:path'
import { tryLoadNative } from '../io/load-native.ts'
import { ImageError } from './image-error.ts'
import { RootedFolder, statOf } from './rooted-folder.ts'
import { type TarEntry, tarEntries } from './tar-entries.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
/** aufs's own files. */
const AUFS_META = '.wh..wh.'
/** Bytes gathered before a write. */
const WRITE_BYTES = 256 * 1024

export interface ExtractedLayer {
  /** Bytes in regular files. */
  readonly size: number
  /** Device nodes that were left out. */
  readonly skippedDevices: number
}

/** Unpacks `archive` (not compressed) into `directory`, which is empty. Errors: ImageError 'failed', or the system's (ENOSPC). */
export async function extractLayer(archive: AsyncIterable<Uint8Array>, directory: string): Promise<ExtractedLayer> {
  const extractor = new LayerExtractor(directory)
  for await (const entry of tarEntries(archive)) await extractor.take(entry)
  return extractor.finish()
}

class LayerExtractor {
  private readonly folder: RootedFolder
  private readonly native = tryLoadNative()
  /** root writes trusted.*, others only user.*; overlayfs is mounted accordingly. */
  private readonly isRoot = process.geteuid?.() === 0
  /** Archive paths of folders and their times, set last: what is put into a folder changes its time. */
  private readonly folderTimes = new Map<string, number>()
  private size = 0
  private skippedDevices = 0

  constructor(directory: string) {
    this.folder = new RootedFolder(directory)
  }

  async take(entry: TarEntry): Promise<void> {
    const target = await this.folder.locate(entry.path)
    const name = path.basename(target)
    if (target !== this.folder.root && name.startsWith(WHITEOUT)) return this.whiteout(target, name)
    if (entry.type === 'device') {
      this.skippedDevices++
      return
    }
    if (target === this.folder.root && entry.type !== 'directory')
      throw new ImageError('failed', `${entry.path} is the root, not a ${entry.type}`)
    const isFolder = await this.makeRoom(target, entry)
    switch (entry.type) {
      case 'directory':
        if (!isFolder) await mkdir(target)
        this.folderTimes.set(entry.path, entry.mtime)
        break
      case 'file':
        await this.writeFile(target, entry)
        return
      case 'symlink':
        await symlink(entry.linkPath, target)
        break
      case 'hardlink':
        // The file keeps the owner, mode and times that it has.
        await this.hardLink(target, entry)
        return
      case 'fifo':
        this.needNative(entry).makeFifo(target, 0o600)
        break
    }
    await this.setOwner(target, entry)
    if (entry.type !== 'symlink') await chmod(target, entry.mode)
    this.setXattrs(target, entry)
    if (entry.type !== 'directory') await lutimes(target, entry.mtime, entry.mtime)
  }

  async finish(): Promise<ExtractedLayer> {
    for (const [archivePath, mtime] of this.folderTimes) {
      const target = await this.folder.locate(archivePath)
      // What was a folder may have been replaced since, also by a link.
      if ((await statOf(target))?.isDirectory()) await utimes(target, mtime, mtime)
    }
    return { size: this.size, skippedDevices: this.skippedDevices }
  }

  /** Removes what is in the way. Returns whether there is a folder that a folder entry goes on with. */
  private async makeRoom(target: string, entry: TarEntry): Promise<boolean> {
    const found = await statOf(target)
    if (found === null) return false
    if (found.isDirectory() && entry.type === 'directory') return true
    if (found.isFile()) this.size -= found.nlink === 1 ? found.size : 0
    await rm(target, { recursive: true, force: true })
    this.folder.forget()
    return false
  }

  private async writeFile(target: string, entry: TarEntry): Promise<void> {
    const file = await open(target, 'wx', 0o600)
    try {
      let waiting: Uint8Array[] = []
      let bytes = 0
      for await (const chunk of entry.body) {
        waiting.push(chunk)
        bytes += chunk.length
        if (bytes < WRITE_BYTES) continue
        await file.appendFile(Buffer.concat(waiting))
        waiting = []
        bytes = 0
      }
      if (bytes > 0) await file.appendFile(Buffer.concat(waiting))
      if (this.isRoot) await file.chown(entry.uid, entry.gid)
      await file.chmod(entry.mode)
      this.setXattrs(target, entry)
      await file.utimes(entry.mtime, entry.mtime)
      this.size += entry.size
    } finally {
      await file.close()
    }
  }

  private async hardLink(target: string, entry: TarEntry): Promise<void> {
    const source = await this.folder.locate(entry.linkPath)
    const found = await statOf(source)
    if (found === null || found.isDirectory() || source === target) {
      throw new ImageError('failed', `${entry.path}: hard link to ${entry.linkPath}, which is no file in the archive`)
    }
    await link(source, target)
  }

  private async whiteout(target: string, name: string): Promise<void> {
    const directory = path.dirname(target)
    if (name === OPAQUE) {
      this.native?.setXattr(directory, this.isRoot ? 'trusted.overlay.opaque' : 'user.overlay.opaque', Buffer.from('y'))
      return
    }
    if (name.startsWith(AUFS_META)) return
    const hidden = name.slice(WHITEOUT.length)
    if (hidden === '' || hidden === '.' || hidden === '..') throw new ImageError('failed', `${name} hides nothing that can be hidden`)
    const place = path.join(directory, hidden)
    if ((await statOf(place)) !== null) {
      await rm(place, { recursive: true, force: true })
      this.folder.forget()
    }
    this.needNative({ path: name }).makeWhiteout(place)
  }

  private async setOwner(target: string, entry: TarEntry): Promise<void> {
    if (this.isRoot) await lchown(target, entry.uid, entry.gid)
  }

  /** As far as the file system keeps them. Never overlayfs's own, which would redirect it to other files. */
  private setXattrs(target: string, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      const isWanted = name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'))
      if (!isWanted) continue
      try {
        this.native?.setXattr(target, name, value)
      } catch (error) {
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      }
    }
  }

  private needNative(entry: { path: string }): NonNullable<ReturnType<typeof tryLoadNative>> {
    if (this.native === null) throw new ImageError('failed', `${entry.path}: this kind of file needs the native addon, which is not built`)
    return this.native
  }
}
