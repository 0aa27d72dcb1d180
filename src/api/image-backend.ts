import type { Image } from '../image/image.ts'
import type { ImageRemoval } from '../image/image-removal.ts'
import type { ImportOptions, PruneResult } from '../image/image-store.ts'
import type { LoadProgress } from '../image/load-archive.ts'

/** What the image routes need; ImageStore has it. */
export interface ImageBackend {
  list(): Image[]
  /** An image that the list shows. ImageError 'not-found' or 'invalid'. */
  find(reference: string): Image
  /** As `find`; with host images on, any other name is the host's root. */
  resolve(reference: string): Promise<Image>
  import(archive: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<Image>
  load(archive: AsyncIterable<Uint8Array>, progress: LoadProgress): Promise<void>
  tag(reference: string, target: string): Promise<void>
  remove(reference: string, options: { force?: boolean }): Promise<ImageRemoval[]>
  prune(options: { all: boolean; isWanted?: (image: Image) => boolean }): Promise<PruneResult>
}
