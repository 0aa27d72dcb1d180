/** `/images`. */
import type { Writable } from 'node:stream'
import { familiarText, parseReference } from '../image/image-reference.ts'
import { parsePlatform } from '../image/platform.ts'
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'
import { messageOf, statusOf } from './error-status.ts'
import type { ImageBackend } from './image-backend.ts'
import { filterImages, pruneChoice } from './image-filters.ts'
import { imageHistory, imageInspect, imageSummary } from './image-json.ts'
import type { Router } from './router.ts'

const HOW_TO_IMPORT = 'To have an image of that name, bring an archive: docker load < saved.tar, or docker import rootfs.tar'
/** Of an image's name, distribution's grammar. */
const TAG = /^\w[\w.-]{0,127}$/

export function imageRoutes(router: Router, backend: ImageBackend): void {
  router.add('GET', '/images/json', (request, response) => {
    const images = filterImages(backend, request.filters())
    response.json(
      200,
      images.map(({ image, tags }) => imageSummary(image, tags))
    )
  })
  router.add('POST', '/images/create', async (request, response) => {
    checkPlatform(request.query.get('platform') ?? '')
    if ((request.query.get('fromImage') ?? '') !== '') await pull(backend, request, response)
    else await importArchive(backend, request, response)
  })
  router.add('POST', '/images/load', (request, response) => load(backend, request, response))
  router.add('POST', '/images/prune', async (request, response) => {
    const now = BigInt(Date.now()) * 1_000_000n
    const { removed, reclaimed } = await backend.prune(pruneChoice(request.filters(), now))
    response.json(200, { ImagesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimed })
  })
  router.add('GET', '/images/search', () => {
    throw outside('searching a registry')
  })
  router.add('GET', '/images/get', () => {
    throw outside('saving images')
  })
  router.add('GET', '/images/{name}/json', ({ params }, response) =>
    response.json(200, imageInspect(findToInspect(backend, params['name']!)))
  )
  router.add('GET', '/images/{name}/history', ({ params }, response) => response.json(200, imageHistory(backend.find(params['name']!))))
  router.add('GET', '/images/{name}/get', () => {
    throw outside('saving images')
  })
  router.add('POST', '/images/{name}/push', () => {
    throw outside('pushing images')
  })
  router.add('POST', '/images/{name}/tag', async ({ params, query }, response) => {
    await backend.tag(params['name']!, newName(query.get('repo') ?? '', query.get('tag') ?? ''))
    response.empty(201)
  })
  router.add('DELETE', '/images/{name}', async (request, response) => {
    response.json(200, await backend.remove(request.params['name']!, { force: request.flag('force') }))
  })
}

/** What cannot be found is told twice, as Docker tells it. */
function findToInspect(backend: ImageBackend, name: string): ReturnType<ImageBackend['find']> {
  try {
    return backend.find(name)
  } catch (error) {
    throw new ApiError(statusOf(error), `no such image: ${name}: ${messageOf(error)}`, { cause: error })
  }
}

/** The name that `docker tag` gives. Docker answers one that cannot be with 500. */
function newName(repository: string, tag: string): string {
  if (tag !== '' && !tag.includes(':') && !TAG.test(tag)) throw ApiError.internal('invalid tag format')
  const name = withTag(repository, tag)
  try {
    parseReference(name)
  } catch (error) {
    throw ApiError.internal(messageOf(error), { cause: error })
  }
  return name
}

/** An image is for this machine whatever it is said to be for, as in Docker, but there are platforms that are none. */
function checkPlatform(text: string): void {
  if (text !== '' && parsePlatform(text).os !== 'linux') throw ApiError.badRequest('operating system is not supported')
}

/** `docker import`: the archive is the body. */
async function importArchive(backend: ImageBackend, request: ApiRequest, response: ApiResponse): Promise<void> {
  const { query } = request
  const source = query.get('fromSrc') ?? ''
  if (source !== '-') {
    throw ApiError.notImplemented(`netloom downloads nothing: fetch ${source === '' ? 'the archive' : source} and import the file`)
  }
  const [repository, tag] = [query.get('repo') ?? '', query.get('tag') ?? '']
  if (tag !== '' && !tag.includes(':') && !TAG.test(tag)) throw ApiError.badRequest('invalid tag format')
  const image = await backend.import(request.body, {
    reference: repository === '' ? undefined : withTag(repository, tag),
    changes: query.getAll('changes'),
    message: query.get('message') ?? ''
  })
  const stream = response.stream(200, 'application/json')
  stream.end(`${JSON.stringify({ status: image.id })}\r\n`)
}

/** `docker pull`: nothing is downloaded, and the user is told what the name means all the same. */
async function pull(backend: ImageBackend, { query }: ApiRequest, response: ApiResponse): Promise<void> {
  const name = familiarText(parseReference(withTag(query.get('fromImage')!, query.get('tag') ?? '')))
  const image = await backend.resolve(name).catch((error: { code?: unknown }) => {
    if (error.code !== 'not-found') throw error
    throw ApiError.notFound(`netloom downloads no images, and ${name} was not imported. ${HOW_TO_IMPORT} - ${name}`)
  })
  const lines = image.isHost
    ? [`netloom downloads no images: ${name} runs on the host's own root, on an overlay.`, `${HOW_TO_IMPORT} - ${name}`]
    : [`netloom downloads no images: ${image.repoTags[0] ?? image.id} is the one that was imported here.`]
  const stream = response.stream(200, 'application/json')
  for (const status of lines) stream.write(`${JSON.stringify({ status })}\r\n`)
  stream.end()
}

/** `docker load`. What goes wrong before the first line has a status of its own; after it, a line. */
async function load(backend: ImageBackend, request: ApiRequest, response: ApiResponse): Promise<void> {
  const isQuiet = request.flag('quiet', true)
  let stream: Writable | undefined
  const send = (message: object): void => {
    stream ??= response.stream(200, 'application/json')
    stream.write(`${JSON.stringify(message)}\r\n`)
  }
  try {
    await backend.load(request.body, {
      layer(id, current, total) {
        if (!isQuiet) send({ status: 'Loading layer', progressDetail: { current, total }, progress: progressBar(current, total), id })
      },
      loaded: (text) => send({ stream: `${text}\n` })
    })
  } catch (error) {
    if (stream === undefined) throw error
    send({ errorDetail: { message: messageOf(error) }, error: messageOf(error) })
  }
  stream ??= response.stream(200, 'application/json')
  stream.end()
}

const BAR_LENGTH = 50

/** '[=====>     ]  1.2MB/4.8MB', which clients without a terminal print. */
function progressBar(current: number, total: number): string {
  const done = Math.min(BAR_LENGTH, Math.floor((current / Math.max(1, total)) * BAR_LENGTH))
  const bar = done === BAR_LENGTH ? '='.repeat(BAR_LENGTH) : `${'='.repeat(done)}>`
  return `[${`${bar}>`.slice(0, BAR_LENGTH + 1).padEnd(BAR_LENGTH)}]  ${humanSize(current)}/${humanSize(total)}`
}

/** Decimal units, four digits at most: '4.83MB'. */
function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000
  return `${Number(value.toPrecision(4))}${units[unit]}`
}

/** A tag may also be a digest: 'sha256:...'. */
function withTag(repository: string, tag: string): string {
  if (tag === '') return repository
  return tag.includes(':') ? `${repository}@${tag}` : `${repository}:${tag}`
}

function outside(what: string): ApiError {
  return ApiError.notImplemented(`${what} is outside of what netloom does: it emulates networks`)
}
