/**
 * The images of one daemon: made by import and load, named by tags, removed when nobody needs them; and the host's own root, which
 * stands in for names that were never imported. Texts of errors are those of Docker's daemon.
 */
import type { Clock } from '../engine/clock.ts'
import type { Store } from '../store/store.ts'
import { applyChanges } from './change-instructions.ts'
import { DEFAULT_IMAGE_TABLE, HOST_TAG, HostImage, type ImageTable } from './host-image.ts'
import type { Image } from './image.ts'
import { type CatalogEntry, ImageCatalog } from './image-catalog.ts'
import { ImageError } from './image-error.ts'
import { architectureOf, importedImageFile } from './image-file.ts'
import { familiarText, type ImageReference, isIdPrefix, parseReference, taggedName } from './image-reference.ts'
import { cannotDelete, chainIds, type ImageRemoval, type ImageUser, planRemoval } from './image-removal.ts'
import { LayerFolder } from './layer-folder.ts'
import { type LoadProgress, loadArchive } from './load-archive.ts'

export type { ImageTable } from './host-image.ts'

export interface ImageStoreOptions {
  /** Ours alone: unpacked layers, and what is being unpacked. Must be on a file system that overlayfs takes as a lower layer. */
  readonly directory: string
  readonly store: Store
  readonly clock: Clock
  /** Unknown names mean the host's own root. */
  readonly hostImages: boolean
  /** Added to DEFAULT_IMAGE_TABLE; an entry of the same name counts in its place. */
  readonly imageTable?: ImageTable
  /** What images made here say of their maker. */
  readonly version?: string
}

/** Docker's words for what happens to an image. */
export type ImageAction = 'import' | 'load' | 'tag' | 'untag' | 'delete'

export interface ImportOptions {
  /** 'name:tag'; none leaves the image without a name. */
  readonly reference?: string | undefined
  /** Instructions of a Dockerfile: see applyChanges. */
  readonly changes?: readonly string[]
  readonly message?: string
}

export interface PruneResult {
  readonly removed: readonly ImageRemoval[]
  /** Bytes. */
  readonly reclaimed: number
}

export class ImageStore {
  /** The containers made of an image. Set by who keeps containers. */
  usedBy: (imageId: string) => Iterable<ImageUser> = () => []
  /** Told after the fact; `name` is a tag, or the id. */
  onEvent: (action: ImageAction, image: Image, name: string) => void = () => {}

  private readonly options: ImageStoreOptions
  private readonly catalog: ImageCatalog
  private readonly folder: LayerFolder
  private readonly host: HostImage
  /** Changes of the catalogue wait for each other; unpacking does not. */
  private last: Promise<unknown> = Promise.resolve()

  private constructor(options: ImageStoreOptions, catalog: ImageCatalog, folder: LayerFolder) {
    this.options = options
    this.catalog = catalog
    this.folder = folder
    this.host = new HostImage({ ...DEFAULT_IMAGE_TABLE, ...options.imageTable }, architectureOf(process.arch))
  }

  static async open(options: ImageStoreOptions): Promise<ImageStore> {
    const catalog = new ImageCatalog(options.store)
    return new ImageStore(options, catalog, await LayerFolder.open(options.directory, () => catalog.layers()))
  }

  /**
   * The image that a new container is to be made of: a name, an id, or an id's beginning; with `hostImages` a name that nobody
   * imported is the host's root. ImageError 'not-found' or 'invalid'.
   */
  async resolve(reference: string): Promise<Image> {
    const found = this.lookUp(reference)
    if (found !== undefined) return found
    const parsed = parseName(reference)
    if (!this.options.hostImages || parsed?.digest !== undefined || parsed === undefined) throw notFound(reference)
    return this.host.named(parsed.name)
  }

  /** An image that the list shows. ImageError 'not-found' or 'invalid'. */
  find(reference: string): Image {
    const found = this.lookUp(reference)
    if (found === undefined) throw notFound(reference)
    return found
  }

  /** The image that a container was made of, also when it was removed by force since; undefined when it is gone. */
  ofContainer(imageId: string): Image | undefined {
    if (imageId === this.host.id) return this.host.named('host')
    const entry = this.catalog.get(imageId)
    return entry === undefined ? undefined : this.toImage(entry)
  }

  /** Newest first. */
  list(): Image[] {
    const images = [...this.catalog.visible()].map((entry) => this.toImage(entry))
    if (this.options.hostImages) images.push(this.host.named('host'))
    return images.sort((a, b) => Date.parse(b.created) - Date.parse(a.created))
  }

  /** Makes an image of one archive of a root file system. ImageError 'invalid' before anything is read, 'failed' for a bad archive. */
  async import(archive: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<Image> {
    const name = options.reference === undefined ? undefined : newName(options.reference)
    const config = applyChanges(options.changes ?? [])
    const layer = await this.folder.unpack(archive)
    try {
      const comment = options.message || 'Imported from -'
      const { version = 'netloom' } = this.options
      const architecture = architectureOf(process.arch)
      const file = importedImageFile({ config, diffId: layer.diffId, created: this.now(), comment, architecture, version })
      await this.exclusive(() => this.catalog.put(file, [layer], name, this.now()))
      const image = this.find(file.id)
      if (name !== undefined) this.onEvent('tag', image, name)
      this.onEvent('import', image, image.id)
      return image
    } finally {
      await this.folder.unpin(layer.diffId)
    }
  }

  /** Takes in the images of an archive of `docker save`, or of an OCI image layout. ImageError 'failed' for a bad archive. */
  async load(archive: AsyncIterable<Uint8Array>, progress: LoadProgress): Promise<void> {
    const known = new Map([...this.catalog.layers()].map((layer) => [layer.diffId, layer]))
    await loadArchive(archive, this.folder, known, progress, async (file, layers, names) => {
      const wanted = names.map(newName)
      await this.exclusive(async () => {
        await this.catalog.put(file, layers, undefined, this.now())
        for (const name of wanted) await this.catalog.tag(this.catalog.get(file.id)!, name, this.now())
      })
      const image = this.find(file.id)
      for (const name of wanted) this.onEvent('tag', image, name)
      this.onEvent('load', image, wanted[0] ?? image.id)
      return wanted
    })
  }

  /** Gives an image one more name; another image that has it loses it. */
  async tag(reference: string, target: string): Promise<void> {
    const image = this.find(reference)
    const name = newName(target)
    if (image.isHost) throw new ImageError('invalid', `${HOST_TAG} is the host's own root: names that nobody imported mean it already`)
    await this.exclusive(async () => {
      const entry = this.catalog.get(image.id)
      if (entry === undefined) throw notFound(reference)
      await this.catalog.tag(entry, name, this.now())
    })
    this.onEvent('tag', this.find(image.id), name)
  }

  /**
   * Takes a name from an image, and removes the image when that was its last one, as `docker rmi` does. ImageError 'not-found',
   * 'conflict' when containers or other names need it.
   */
  remove(reference: string, options: { force?: boolean } = {}): Promise<ImageRemoval[]> {
    return this.exclusive(() => this.removeNow(reference, options.force === true))
  }

  /** Removes what no container uses: images without a name, or with `all` every image that `isWanted`. */
  prune(options: { all: boolean; isWanted?: (image: Image) => boolean }): Promise<PruneResult> {
    return this.exclusive(async () => {
      const removed: ImageRemoval[] = []
      const before = this.usedBytes()
      for (const image of this.list()) {
        const isCandidate = !image.isHost && (options.all || image.repoTags.length === 0) && (options.isWanted?.(image) ?? true)
        if (!isCandidate || !isEmpty(this.usedBy(image.id))) continue
        const references = image.repoTags.length === 0 ? [image.id] : image.repoTags
        for (const reference of references) removed.push(...(await this.removeNow(reference, false)))
      }
      return { removed, reclaimed: before - this.usedBytes() }
    })
  }

  /** A container of the image is gone: an image that was removed by force goes with its last one. */
  async release(imageId: string): Promise<void> {
    await this.exclusive(async () => {
      const entry = this.catalog.get(imageId)
      if (entry?.isHidden === true && isEmpty(this.usedBy(imageId))) await this.erase(entry)
    })
  }

  /** At daemon start, when containers are known: images removed by force whose last container went while nobody was there. */
  async sweep(): Promise<void> {
    for (const { file } of [...this.catalog.hidden()]) await this.release(file.id)
  }

  private async removeNow(reference: string, force: boolean): Promise<ImageRemoval[]> {
    const image = this.find(reference)
    if (image.isHost) throw cannotDelete(image, 'cannot be forced', "it is the host's own root")
    const name = isIdPrefix(reference, image.id) ? null : { written: reference, tag: taggedName(parseReference(reference)) }
    const plan = planRemoval(image, name, [...this.usedBy(image.id)], force)
    const records: ImageRemoval[] = plan.untag.map((tag) => ({ Untagged: tag }))
    if (plan.erase) records.push(...(await this.erase(this.catalog.get(image.id)!)))
    else await this.catalog.untag(plan.untag)
    for (const record of records) {
      if ('Untagged' in record) this.onEvent('untag', image, image.id)
      else if (record.Deleted === image.id) this.onEvent('delete', image, image.id)
    }
    return records
  }

  /** Takes an image and its names out, with the layers that only it had; for its containers, if any, they stay. */
  private async erase(entry: CatalogEntry): Promise<ImageRemoval[]> {
    const keepHidden = !isEmpty(this.usedBy(entry.file.id))
    await this.catalog.remove(entry, keepHidden)
    const others = [...this.catalog.all()].filter((other) => other.file.id !== entry.file.id)
    const keptChains = new Set(others.flatMap((other) => chainIds(other.file.diffIds)))
    const removed = [
      entry.file.id,
      ...chainIds(entry.file.diffIds)
        .reverse()
        .filter((id) => !keptChains.has(id))
    ]
    for (const { diffId } of entry.layers) await this.folder.removeUnwanted(diffId)
    return removed.map((id) => ({ Deleted: id }))
  }

  /** An imported image, or the host's by its own name or id. A name comes before an id's beginning. */
  private lookUp(reference: string): Image | undefined {
    const name = parseName(reference)
    const entry = (name === undefined ? undefined : this.catalog.tagged(taggedName(name))) ?? this.catalog.byIdPrefix(reference)
    if (entry !== undefined) return this.toImage(entry)
    if (!this.options.hostImages) return undefined
    const isHost = (name !== undefined && taggedName(name) === HOST_TAG) || isShownId(reference, this.host.id)
    return isHost ? this.host.named('host') : undefined
  }

  private toImage(entry: CatalogEntry): Image {
    const { text: _text, ...file } = entry.file
    return {
      ...file,
      repoTags: this.catalog.tagsOf(file.id),
      lastTagged: entry.lastTagged,
      size: entry.layers.reduce((sum, layer) => sum + layer.size, 0),
      layers: entry.layers.map((layer) => this.folder.pathOf(layer.diffId)),
      layerSizes: entry.layers.map((layer) => layer.size),
      isHost: false
    }
  }

  /** Bytes of all layers, each once. */
  usedBytes(): number {
    return [...new Map([...this.catalog.layers()].map((layer) => [layer.diffId, layer.size])).values()].reduce((sum, size) => sum + size, 0)
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work)
    this.last = result.catch(() => {})
    return result
  }

  private now(): string {
    return rfc3339(this.options.clock.epochNs + BigInt(this.options.clock.now()))
  }
}

/** Whether it is an id as lists show it, or longer: any shorter one may as well be a name that the host is to stand in for. */
function isShownId(reference: string, id: string): boolean {
  return reference.replace(/^sha256:/, '').length >= 12 && isIdPrefix(reference, id)
}

/** A reference as a name; undefined for what can only be an id. ImageError 'invalid'. */
function parseName(reference: string): ImageReference | undefined {
  return /^(sha256:)?[a-f0-9]{64}$/.test(reference) ? undefined : parseReference(reference)
}

/** A name that an image is to get, with its tag. ImageError 'invalid'. */
function newName(reference: string): string {
  const parsed = parseReference(reference)
  if (parsed.digest !== undefined) throw new ImageError('invalid', 'refusing to create a tag with a digest reference')
  const name = taggedName(parsed)
  if (name === HOST_TAG) throw new ImageError('conflict', `${HOST_TAG} is the name of the host's own root: choose another one`)
  return name
}

function notFound(reference: string): ImageError {
  const name = parseName(reference)
  const text = name === undefined ? `sha256:${reference.replace(/^sha256:/, '')}` : familiarText(name)
  return new ImageError('not-found', `No such image: ${text}`)
}

function isEmpty(items: Iterable<unknown>): boolean {
  for (const _item of items) return false
  return true
}

/** Nanoseconds since 1970 as Go prints them: trailing zeros of the fraction are left out. */
function rfc3339(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`
}
