/** Images as Docker's API 1.41 writes them: its member names, its zero values. */
import type { Image, ImageHistory } from '../image/image.ts'
import { emptyConfig } from '../image/image-config.ts'

/** An element of `GET /images/json`. `tags`: those of the image that the filters let through. */
export function imageSummary(image: Image, tags: readonly string[] = image.repoTags): Record<string, unknown> {
  const isDangling = image.repoTags.length === 0
  return {
    Containers: -1,
    Created: seconds(image.created),
    Id: image.id,
    Labels: image.config.Labels,
    ParentId: '',
    RepoDigests: isDangling ? ['<none>@<none>'] : null,
    RepoTags: isDangling ? ['<none>:<none>'] : tags,
    SharedSize: -1,
    Size: image.size,
    VirtualSize: image.size
  }
}

/** An element of `GET /system/df`: with how many containers are made of it, and the bytes that other images have as well. */
export function imageUsage(image: Image, others: readonly Image[], containers: number): Record<string, unknown> {
  const elsewhere = new Set(others.flatMap(({ id, layers }) => (id === image.id ? [] : layers)))
  const SharedSize = image.layerSizes.reduce((sum, size, layer) => sum + (elsewhere.has(image.layers[layer]!) ? size : 0), 0)
  return { ...imageSummary(image), Containers: containers, SharedSize }
}

/** `GET /images/{name}/json` */
export function imageInspect(image: Image): Record<string, unknown> {
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: [],
    Parent: '',
    Comment: image.comment,
    Created: image.created,
    Container: '',
    ContainerConfig: image.containerConfig ?? emptyConfig(),
    DockerVersion: image.dockerVersion,
    Author: image.author,
    Config: image.config,
    Architecture: image.architecture,
    Os: image.os,
    Size: image.size,
    VirtualSize: image.size,
    GraphDriver: { Data: driverData(image), Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: image.diffIds.length === 0 ? undefined : image.diffIds },
    Metadata: { LastTagTime: image.lastTagged === '' ? '0001-01-01T00:00:00Z' : image.lastTagged }
  }
}

/** `GET /images/{name}/history`, the newest step first. */
export function imageHistory(image: Image): Record<string, unknown>[] {
  const sizes = [...image.layerSizes]
  // A file without a history has layers all the same.
  const steps: readonly ImageHistory[] = image.history.length > 0 ? image.history : sizes.map(() => ({ created: image.created }))
  const lines = steps.map((step) => ({
    Comment: step.comment ?? '',
    Created: seconds(step.created ?? ''),
    CreatedBy: step.created_by ?? '',
    Id: '<missing>',
    Size: step.empty_layer === true ? 0 : (sizes.shift() ?? 0),
    Tags: null as readonly string[] | null
  }))
  lines.reverse()
  const newest = lines[0]
  if (newest !== undefined) Object.assign(newest, { Id: image.id, Tags: image.repoTags.length === 0 ? null : image.repoTags })
  return lines
}

/** The layers as overlay2 tells them, the highest last layer first in LowerDir. */
function driverData(image: Image): Record<string, string> | null {
  const top = image.layers.at(-1)
  if (top === undefined) return null
  const lower = image.layers.slice(0, -1).reverse().join(':')
  return { ...(lower === '' ? {} : { LowerDir: lower }), UpperDir: top }
}

/** Seconds since 1970; what Go prints for no time at all when there is none. */
function seconds(time: string): number {
  const ms = Date.parse(time)
  return Number.isNaN(ms) ? -62135596800 : Math.floor(ms / 1000)
}
