/**
 * The layers on disk: `layers/` has a folder for each, named after its contents, ready to be an overlay mount's lower layer;
 * `partial/` what is being unpacked or thrown away.
 *
 * A layer appears under its name by one rename, whole. What a killed daemon left half done is in `partial/` or has no record, and
 * goes when the folder is opened. The kernel's cache outlives a killed process, so nothing is flushed; a crash of the machine may
 * damage a layer that was just unpacked.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { decompress } from './decompress.ts'
import { extractLayer } from './layer-extractor.ts'

export interface Layer {
  /** 'sha256:...' of the archive without compression. */
  readonly diffId: string
  /** Bytes in regular files. */
  readonly size: number
}

/** Digits of a layer's hash in its folder's name: an overlay mount names all its layers in one page of 4 KiB. */
const NAME_DIGITS = 32
const PRIVATE = 0o700

export class LayerFolder {
  private readonly layersDirectory: string
  private readonly partialDirectory: string
  private readonly pins = new Map<string, number>()
  /** Layers on their way out. */
  private readonly leaving = new Map<string, Promise<void>>()
  private readonly wanted: () => Iterable<Layer>

  private constructor(directory: string, wanted: () => Iterable<Layer>) {
    this.wanted = wanted
    this.layersDirectory = path.join(directory, 'layers')
    this.partialDirectory = path.join(directory, 'partial')
  }

  /** `wanted` tells at any time which layers are recorded as needed. All others in the folder are removed. */
  static async open(directory: string, wanted: () => Iterable<Layer>): Promise<LayerFolder> {
    const folder = new LayerFolder(path.resolve(directory), wanted)
    await rm(folder.partialDirectory, { recursive: true, force: true })
    await mkdir(folder.layersDirectory, { recursive: true, mode: PRIVATE })
    await mkdir(folder.partialDirectory, { recursive: true, mode: PRIVATE })
    const names = new Set([...wanted()].map(({ diffId }) => path.basename(folder.pathOf(diffId))))
    for (const name of await readdir(folder.layersDirectory)) {
      if (!names.has(name)) await folder.discard(path.join(folder.layersDirectory, name))
    }
    return folder
  }

  pathOf(diffId: string): string {
    return path.join(this.layersDirectory, diffId.slice('sha256:'.length, 'sha256:'.length + NAME_DIGITS))
  }

  /** Whether the layer is there. Pinned before, it stays. */
  async has(diffId: string): Promise<boolean> {
    await this.leaving.get(diffId)
    return exists(this.pathOf(diffId))
  }

  /**
   * Unpacks an archive, compressed or not, and keeps it pinned until `unpin`. `check` throws when the hash is not the one expected.
   * Errors: those of `extractLayer`.
   */
  async unpack(archive: AsyncIterable<Uint8Array>, check: (diffId: string) => void = () => {}): Promise<Layer> {
    const directory = await this.newPartial()
    try {
      const hash = createHash('sha256')
      const { size } = await extractLayer(hashed(decompress(archive), hash), directory)
      const diffId = `sha256:${hash.digest('hex')}`
      check(diffId)
      this.pin(diffId)
      if (!(await this.has(diffId))) await rename(directory, this.pathOf(diffId)).catch(ignoreExisting)
      return { diffId, size }
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }

  /** An empty folder for work; `discard` it. */
  async newPartial(): Promise<string> {
    const directory = path.join(this.partialDirectory, randomUUID())
    await mkdir(directory, 0o755)
    return directory
  }

  /** Keeps a layer from being removed while no record names it yet. */
  pin(diffId: string): void {
    this.pins.set(diffId, (this.pins.get(diffId) ?? 0) + 1)
  }

  /** Undoes one `pin`; a layer that nobody recorded meanwhile is removed with its last one. */
  async unpin(diffId: string): Promise<void> {
    const count = (this.pins.get(diffId) ?? 0) - 1
    if (count > 0) this.pins.set(diffId, count)
    else this.pins.delete(diffId)
    await this.removeUnwanted(diffId)
  }

  /** Removes a layer, unless it is recorded as needed or pinned. */
  async removeUnwanted(diffId: string): Promise<void> {
    if (this.pins.has(diffId)) return
    for (const layer of this.wanted()) if (layer.diffId === diffId) return
    const gone = this.discard(this.pathOf(diffId))
    this.leaving.set(diffId, gone)
    await gone.finally(() => this.leaving.delete(diffId))
  }

  /** Out of the way by one rename, then removed file by file. */
  async discard(directory: string): Promise<void> {
    const rest = path.join(this.partialDirectory, randomUUID())
    await rename(directory, rest).catch(ignoreMissing)
    await rm(rest, { recursive: true, force: true })
  }
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: { update(bytes: Uint8Array): unknown }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false
  )
}

/** Another request unpacked the same layer first. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
