/** Which images `docker images --filter` and `docker image prune --filter` mean. */
import type { Image } from '../image/image.ts'
import { ApiError } from './api-error.ts'
import type { Filters } from './filters.ts'
import { parseGoTimestamp } from './go-timestamp.ts'
import type { ImageBackend } from './image-backend.ts'

const LIST_FILTERS = ['dangling', 'label', 'before', 'since', 'reference']
const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until']

/** The images that pass, each with those of its tags that do. ApiError 400 for a filter that does not exist. */
export function filterImages(backend: ImageBackend, filters: Filters): { image: Image; tags: readonly string[] }[] {
  filters.check(LIST_FILTERS)
  const dangling = danglingOf(filters)
  const before = Math.min(...filters.get('before').map((reference) => Date.parse(backend.find(reference).created)))
  const since = Math.max(...filters.get('since').map((reference) => Date.parse(backend.find(reference).created)))
  const patterns = filters.get('reference').map(globPattern)
  const result: { image: Image; tags: readonly string[] }[] = []
  for (const image of backend.list()) {
    const created = Date.parse(image.created)
    if (!(created < before && created > since) || !filters.matchLabels(image.config.Labels)) continue
    if (dangling !== undefined && dangling !== (image.repoTags.length === 0)) continue
    const tags = image.repoTags.filter((tag) => patterns.length === 0 || patterns.some((pattern) => matchesTag(pattern, tag)))
    if (patterns.length > 0 && tags.length === 0) continue
    result.push({ image, tags })
  }
  return result
}

/** What a prune takes: with `dangling=false` images with names too. */
export function pruneChoice(filters: Filters, now: bigint): { all: boolean; isWanted: (image: Image) => boolean } {
  filters.check(PRUNE_FILTERS)
  const until = untilOf(filters, now)
  return {
    all: danglingOf(filters) === false,
    isWanted: (image) =>
      (until === undefined || BigInt(Date.parse(image.created)) * 1_000_000n < until) &&
      filters.matchLabels(image.config.Labels) &&
      (!filters.has('label!') || !filters.matchLabels(image.config.Labels, 'label!'))
  }
}

function danglingOf(filters: Filters): boolean | undefined {
  if (filters.get('dangling').length === 0) return undefined
  const [value, ...more] = filters.get('dangling')
  if (more.length === 0 && (value === 'true' || value === '1')) return true
  if (more.length === 0 && (value === 'false' || value === '0')) return false
  throw ApiError.badRequest(`Invalid filter 'dangling=[${filters.get('dangling').join(' ')}]'`)
}

/** Nanoseconds since 1970. The client has made '24h' a time already. */
function untilOf(filters: Filters, now: bigint): bigint | undefined {
  const [text, ...more] = filters.get('until')
  if (text === undefined) return undefined
  if (more.length > 0) throw ApiError.badRequest('more than one until filter specified')
  const duration = /^(\d+)(s|m|h)$/.exec(text)
  if (duration !== null)
    return now - BigInt(duration[1]!) * { s: 1_000_000_000n, m: 60_000_000_000n, h: 3_600_000_000_000n }[duration[2] as 's']
  const date = Date.parse(text)
  if (/[-T]/.test(text) && !Number.isNaN(date)) return BigInt(date) * 1_000_000n
  try {
    return parseGoTimestamp(text)
  } catch (error) {
    throw ApiError.badRequest((error as Error).message, { cause: error })
  }
}

/** A pattern fits a whole tag, 'busybox:latest', or its name alone. */
function matchesTag(pattern: RegExp, tag: string): boolean {
  return pattern.test(tag) || pattern.test(tag.slice(0, tag.lastIndexOf(':')))
}

/** As Go's path.Match: '*' and '?' stand for no slash. ApiError 400 for a pattern that is none. */
function globPattern(glob: string): RegExp {
  try {
    const source = glob.replace(/\\?[\s\S]/g, (part) => {
      if (part === '*') return '[^/]*'
      if (part === '?') return '[^/]'
      if ('[]^-'.includes(part)) return part
      return part.slice(-1).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    })
    return new RegExp(`^${source}$`)
  } catch (error) {
    throw ApiError.badRequest('syntax error in pattern', { cause: error })
  }
}
