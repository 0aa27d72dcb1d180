/** What `docker rmi` may take away, by the rules of Docker's daemon: names and containers hold an image. */
import { createHash } from 'node:crypto'
import type { Image } from './image.ts'
import { ImageError } from './image-error.ts'

/** One line of the answer, in order. */
export type ImageRemoval = { readonly Untagged: string } | { readonly Deleted: string }

/** A container made of an image. */
export interface ImageUser {
  readonly id: string
  readonly running: boolean
}

export interface RemovalPlan {
  readonly untag: readonly string[]
  /** The image itself goes, too. */
  readonly erase: boolean
}

/**
 * Decides what `rmi NAME` (`name` as the user wrote it, and the tag that it means) or `rmi ID` (null) takes away. ImageError 'conflict' when that is nothing.
 */
export function planRemoval(
  image: Image,
  name: { readonly written: string; readonly tag: string } | null,
  users: readonly ImageUser[],
  force: boolean
): RemovalPlan {
  const running = users.find((user) => user.running)
  if (name !== null) {
    const isLast = image.repoTags.length <= 1
    if (!force && isLast && users[0] !== undefined) {
      throw new ImageError(
        'conflict',
        `conflict: unable to remove repository reference ${JSON.stringify(name.written)} (must force) - container ${short(users[0].id)} is using its referenced image ${short(image.id)}`
      )
    }
    // Under a running container the image loses its name, and stays.
    return { untag: [name.tag], erase: isLast && running === undefined }
  }
  if (running !== undefined) throw cannotDelete(image, 'cannot be forced', `image is being used by running container ${short(running.id)}`)
  if (!force && image.repoTags.length > 1) throw cannotDelete(image, 'must be forced', 'image is referenced in multiple repositories')
  if (!force && users[0] !== undefined) {
    throw cannotDelete(image, 'must be forced', `image is being used by stopped container ${short(users[0].id)}`)
  }
  return { untag: image.repoTags, erase: true }
}

export function cannotDelete(image: Image, how: string, why: string): ImageError {
  return new ImageError('conflict', `conflict: unable to delete ${short(image.id)} (${how}) - ${why}`)
}

/**
 * What Docker calls a layer together with those below it, lowest first: the hash of the chain so far and the next layer.
 * Source: OCI image specification, "Layer ChainID".
 */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`)
  }
  return chain
}

/** The twelve digits by which people know an image or a container. */
export function short(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}
