import type { Readable } from 'node:stream'
import type { Clock } from '../engine/clock.ts'
import type { Store } from '../store/store.ts'
import type { Image } from './image.ts'
import type { ImageConfig } from './image-config.ts'

/** Settings that a name has while no image of that name was imported: its container runs on the host's root. */
export type ImageTable = Readonly<Record<string, Partial<ImageConfig>>>

/** A container that needs an image. */
export interface ImageUser {
  readonly id: string
  readonly running: boolean
  /** The name that the container was made from. */
  readonly reference: string
}

export interface ImageStoreOptions {
  /** Ours alone: layers/ and what is being unpacked. */
  readonly directory: string
  readonly store: Store
  readonly clock: Clock
  /** Unknown names mean the host's own root. */
  readonly hostImages: boolean
  readonly imageTable?: ImageTable
}

/** What one `docker rmi` did, in order. */
export type ImageRemoval = { Untagged: string } | { Deleted: string }

export class ImageStore {
  /** The containers of an image. Set by who keeps containers. */
  usedBy: (imageId: string) => Iterable<ImageUser> = () => []

  static async open(_options: ImageStoreOptions): Promise<ImageStore> {
    return new ImageStore()
  }

  /** The image for a new container: a tag, an id or its beginning; with `hostImages` an unknown name is the host's root. Throws ImageError 'not-found'. */
  resolve(_reference: string): Promise<Image> {
    throw new Error('not yet')
  }

  /** As `resolve`, but only what the list shows. */
  find(_reference: string): Image {
    throw new Error('not yet')
  }

  import(
    _archive: Readable,
    _options: { reference?: string; changes?: readonly string[]; message?: string; platform?: string }
  ): Promise<Image> {
    throw new Error('not yet')
  }
}
