/**
 * Archives with images in them: those of `docker save` (manifest.json, its layers as archives) and OCI image layouts (index.json,
 * everything a blob by its hash). Sources: Docker image specification 1.2, OCI image layout specification 1.0.
 *
 * The outer archive is unpacked first: its manifest may come last. Each layer then becomes a folder, unless it is there already, and
 * its hash is checked against the image's configuration file.
 */
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { decompress } from './decompress.ts'
import { ImageError } from './image-error.ts'
import { architectureOf, type ImageFile, readImageFile } from './image-file.ts'
import { short } from './image-removal.ts'
import { extractLayer } from './layer-extractor.ts'
import type { Layer, LayerFolder } from './layer-folder.ts'
import { RootedFolder } from './rooted-folder.ts'

/** What the user is told on the way. */
export interface LoadProgress {
  /** Bytes of a layer's archive; `id` has twelve digits. */
  layer(id: string, current: number, total: number): void
  /** 'Loaded image: busybox:latest' */
  loaded(text: string): void
}

/** Records an image; returns its names, with their tags. */
export type Keep = (file: ImageFile, layers: readonly Layer[], names: readonly string[]) => Promise<readonly string[]>

/** One image of an archive, by paths in it. */
interface Manifest {
  readonly config: string
  readonly layers: readonly string[]
  readonly names: readonly string[]
}

const MAX_JSON_BYTES = 8 * 1024 * 1024
const PROGRESS_BYTES = 512 * 1024

/** `known`: layers that are there. Errors: ImageError 'failed'. Images before a bad one stay loaded. */
export async function loadArchive(
  archive: AsyncIterable<Uint8Array>,
  folder: LayerFolder,
  known: ReadonlyMap<string, Layer>,
  progress: LoadProgress,
  keep: Keep
): Promise<void> {
  const directory = await folder.newPartial()
  try {
    await extractLayer(decompress(archive), directory)
    const files = new RootedFolder(directory)
    for (const manifest of await readManifests(files)) {
      const file = readImageFile(await readText(files, manifest.config))
      const pinned: string[] = []
      try {
        const layers = await loadLayers(files, folder, file, manifest, known, progress, pinned)
        const names = await keep(file, layers, manifest.names)
        for (const name of names) progress.loaded(`Loaded image: ${name}`)
        if (names.length === 0) progress.loaded(`Loaded image ID: ${file.id}`)
      } finally {
        for (const diffId of pinned) await folder.unpin(diffId)
      }
    }
  } finally {
    await folder.discard(directory)
  }
}

async function loadLayers(
  files: RootedFolder,
  folder: LayerFolder,
  file: ImageFile,
  manifest: Manifest,
  known: ReadonlyMap<string, Layer>,
  progress: LoadProgress,
  pinned: string[]
): Promise<Layer[]> {
  if (file.os !== 'linux') throw invalid(`cannot load ${file.os} image on linux`)
  const { diffIds } = file
  if (diffIds.length !== manifest.layers.length) {
    throw invalid(`invalid manifest, layers length mismatch: expected ${manifest.layers.length}, got ${diffIds.length}`)
  }
  const layers: Layer[] = []
  for (const [index, diffId] of diffIds.entries()) {
    // Pinned first: nobody removes it between the look and the use.
    folder.pin(diffId)
    pinned.push(diffId)
    const present = known.get(diffId)
    if (present !== undefined && (await folder.has(diffId))) {
      layers.push(present)
      continue
    }
    const source = await files.locateFile(manifest.layers[index]!)
    layers.push(
      await folder.unpack(told(source, short(diffId), progress), (found) => {
        if (found !== diffId) throw invalid(`invalid diffID for layer ${index}: expected "${diffId}", got "${found}"`)
      })
    )
    pinned.push(diffId)
  }
  return layers
}

/** The bytes of a layer's archive, with what has been read of it told. */
async function* told(source: string, id: string, progress: LoadProgress): AsyncGenerator<Uint8Array> {
  const total = (await stat(source)).size
  let current = 0
  let toldAt = 0
  for await (const chunk of createReadStream(source, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>) {
    current += chunk.length
    yield chunk
    if (current - toldAt < PROGRESS_BYTES && current < total) continue
    toldAt = current
    progress.layer(id, current, total)
  }
}

async function readManifests(files: RootedFolder): Promise<Manifest[]> {
  const docker = await readJson(files, 'manifest.json', null)
  if (docker !== null) return list(docker, 'manifest.json').map(dockerManifest)
  const index = await readJson(files, 'index.json', null)
  if (index === null) {
    throw invalid(
      'the archive holds no image: it has neither manifest.json nor index.json. An archive of a root file system is for docker import'
    )
  }
  const manifests: Manifest[] = []
  for (const descriptor of list(object(index)['manifests'], 'index.json')) manifests.push(await ociManifest(files, object(descriptor)))
  return manifests
}

function dockerManifest(value: unknown): Manifest {
  const { Config, Layers, RepoTags } = object(value)
  return { config: text(Config, 'Config'), layers: texts(Layers, 'Layers'), names: texts(RepoTags ?? [], 'RepoTags') }
}

/** Follows a descriptor of index.json, over an index of several platforms if there is one. */
async function ociManifest(files: RootedFolder, descriptor: Record<string, unknown>): Promise<Manifest> {
  let manifest = object(await readJson(files, blobPath(descriptor)))
  if (Array.isArray(manifest['manifests'])) {
    const choices = manifest['manifests'].map(object)
    const architecture = architectureOf(process.arch)
    const fitting = choices.find(({ platform }) => {
      const { os, architecture: wanted } = object(platform ?? {})
      return os === 'linux' && wanted === architecture
    })
    if (fitting === undefined) throw invalid(`no image for linux/${architecture} in the archive`)
    manifest = object(await readJson(files, blobPath(fitting)))
  }
  const annotations = object(descriptor['annotations'] ?? {})
  const name = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name']
  // A mere tag, as some tools write, is no name of an image.
  const isName = typeof name === 'string' && /[/:]/.test(name)
  return {
    config: blobPath(object(manifest['config'])),
    layers: list(manifest['layers'], 'layers').map((layer) => blobPath(object(layer))),
    names: isName ? [name] : []
  }
}

function blobPath(descriptor: Record<string, unknown>): string {
  const digest = text(descriptor['digest'], 'digest')
  if (!/^sha256:[a-f0-9]{64}$/.test(digest)) throw invalid(`${digest} is no sha256 digest`)
  return `blobs/sha256/${digest.slice('sha256:'.length)}`
}

/** A JSON file of the archive; with `otherwise` for one that is not there. */
async function readJson(files: RootedFolder, archivePath: string, otherwise?: null): Promise<unknown> {
  try {
    return JSON.parse(await readText(files, archivePath))
  } catch (error) {
    if (otherwise === null && error instanceof ImageError && error.message.includes('no such file')) return null
    if (error instanceof SyntaxError) throw invalid(`${archivePath}: ${error.message}`)
    throw error
  }
}

async function readText(files: RootedFolder, archivePath: string): Promise<string> {
  const place = await files.locateFile(archivePath)
  if ((await stat(place)).size > MAX_JSON_BYTES) throw invalid(`${archivePath} is too long`)
  return readFile(place, 'utf8')
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('invalid manifest')
  return value as Record<string, unknown>
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(`invalid manifest: ${what} is no list`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw invalid(`invalid manifest: ${what} is no text`)
  return value
}

function texts(value: unknown, what: string): string[] {
  return list(value, what).map((item) => text(item, what))
}

function invalid(problem: string): ImageError {
  return new ImageError('failed', problem)
}
