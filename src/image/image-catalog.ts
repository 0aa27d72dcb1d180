/**
 * Which images there are and what they are called: memory in front of the daemon's store.
 *
 * Keys: `image/DIGITS` a record, `tag/NAME:TAG` an image's id.
 */
import type { Change, Store } from '../store/store.ts'
import type { ImageFile } from './image-file.ts'
import { readImageFile } from './image-file.ts'
import { isIdPrefix } from './image-reference.ts'
import type { Layer } from './layer-folder.ts'

interface ImageRecord {
  /** The configuration file, as it is hashed. */
  readonly file: string
  readonly layers: readonly Layer[]
  readonly lastTagged: string
  /** Removed by force while containers were made of it: unknown to the list, kept for them. */
  readonly isHidden?: boolean
}

export interface CatalogEntry {
  readonly file: ImageFile
  readonly layers: readonly Layer[]
  readonly lastTagged: string
  readonly isHidden: boolean
}

export class ImageCatalog {
  private readonly store: Store
  private readonly entries = new Map<string, CatalogEntry>()
  private readonly tags = new Map<string, string>()

  constructor(store: Store) {
    this.store = store
    for (const [, record] of store.list<ImageRecord>('image/')) {
      const entry = { ...record, file: readImageFile(record.file), isHidden: record.isHidden === true }
      this.entries.set(entry.file.id, entry)
    }
    for (const [key, id] of store.list<string>('tag/')) {
      if (this.entries.has(id)) this.tags.set(key.slice('tag/'.length), id)
    }
  }

  get(id: string): CatalogEntry | undefined {
    return this.entries.get(id)
  }

  /** Those that the list shows. */
  *visible(): Iterable<CatalogEntry> {
    for (const entry of this.entries.values()) if (!entry.isHidden) yield entry
  }

  *hidden(): Iterable<CatalogEntry> {
    for (const entry of this.entries.values()) if (entry.isHidden) yield entry
  }

  all(): Iterable<CatalogEntry> {
    return this.entries.values()
  }

  /** Every layer that some image needs. */
  *layers(): Iterable<Layer> {
    for (const entry of this.entries.values()) yield* entry.layers
  }

  /** The image of a name with its tag. */
  tagged(name: string): CatalogEntry | undefined {
    const id = this.tags.get(name)
    return id === undefined ? undefined : this.entries.get(id)
  }

  /** The only image whose id begins so. */
  byIdPrefix(text: string): CatalogEntry | undefined {
    const found = [...this.visible()].filter((entry) => isIdPrefix(text, entry.file.id))
    return found.length === 1 ? found[0] : undefined
  }

  tagsOf(id: string): string[] {
    return [...this.tags]
      .filter(([, tagged]) => tagged === id)
      .map(([name]) => name)
      .sort()
  }

  /** Records an image, under a name too if one is given. An image of the same id keeps its names. */
  async put(file: ImageFile, layers: readonly Layer[], name: string | undefined, now: string): Promise<void> {
    const entry = { file, layers, lastTagged: name === undefined ? (this.entries.get(file.id)?.lastTagged ?? '') : now, isHidden: false }
    await this.write(entry, name)
  }

  /** Gives an image a name, taking it from another that has it. */
  async tag(entry: CatalogEntry, name: string, now: string): Promise<void> {
    await this.write({ ...entry, lastTagged: now }, name)
  }

  async untag(names: readonly string[]): Promise<void> {
    await this.store.write(names.map((name) => ({ remove: `tag/${name}` })))
    for (const name of names) this.tags.delete(name)
  }

  /** Takes an image and its names out; with `keepHidden` it stays for its containers. */
  async remove(entry: CatalogEntry, keepHidden: boolean): Promise<void> {
    const names = this.tagsOf(entry.file.id)
    const hidden = { ...entry, isHidden: true }
    const change: Change = keepHidden ? put(hidden) : { remove: key(entry) }
    await this.store.write([change, ...names.map((name) => ({ remove: `tag/${name}` }))])
    for (const name of names) this.tags.delete(name)
    if (keepHidden) this.entries.set(entry.file.id, hidden)
    else this.entries.delete(entry.file.id)
  }

  private async write(entry: CatalogEntry, name: string | undefined): Promise<void> {
    const changes: Change[] = [put(entry)]
    if (name !== undefined) changes.push({ put: `tag/${name}`, value: entry.file.id })
    await this.store.write(changes)
    this.entries.set(entry.file.id, entry)
    if (name !== undefined) this.tags.set(name, entry.file.id)
  }
}

function key(entry: CatalogEntry): string {
  return `image/${entry.file.id.slice('sha256:'.length)}`
}

function put(entry: CatalogEntry): Change {
  const { file, layers, lastTagged, isHidden } = entry
  const record: ImageRecord = { file: file.text, layers, lastTagged, ...(isHidden ? { isHidden } : {}) }
  return { put: key(entry), value: record }
}
