import type { ImageConfig } from './image-config.ts'

/** One step of an image's making, as its configuration file tells it. */
export interface ImageHistory {
  created?: string
  author?: string
  created_by?: string
  comment?: string
  /** The step made no layer. */
  empty_layer?: boolean
}

/** An image that containers can be made of. */
export interface Image {
  /** 'sha256:' and 64 digits: the hash of the configuration file. */
  readonly id: string
  /** 'busybox:latest', in order; none for a dangling image. */
  readonly repoTags: readonly string[]
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  /** When it last got a tag, RFC 3339; '' for never. */
  readonly lastTagged: string
  /** Bytes of all files; 0 for the host's root. */
  readonly size: number
  readonly config: ImageConfig
  /** Absolute directories for an overlay mount, lowest first; none for the host's root. */
  readonly layers: readonly string[]
  /** sha256 of each layer's uncompressed archive, lowest first. */
  readonly diffIds: readonly string[]
  /** Bytes of each layer's files, lowest first. */
  readonly layerSizes: readonly number[]
  /** The root of the machine itself, not an imported image. */
  readonly isHost: boolean
  readonly comment: string
  readonly author: string
  readonly architecture: string
  readonly os: string
  readonly dockerVersion: string
  /** The configuration of the container that the image was made of; null: the file has none. */
  readonly containerConfig: ImageConfig | null
  readonly history: readonly ImageHistory[]
}
