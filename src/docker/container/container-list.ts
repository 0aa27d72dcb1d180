/** Which containers `docker ps` shows: Docker's filters (moby: daemon/list.go), newest first. No file is read. */
import { ApiError } from '../../api/api-error.ts'
import type { ListOptions } from '../../api/container-backend.ts'
import type { Filters } from '../../api/filters.ts'
import type { ImageStore } from '../../image/image-store.ts'
import type { ContainerNetworkService } from '../network/container-network-service.ts'
import type { Container } from './container.ts'
import type { ContainerRegistry } from './container-registry.ts'

const FILTERS = [
  'ancestor',
  'before',
  'exited',
  'id',
  'isolation',
  'label',
  'name',
  'status',
  'health',
  'since',
  'volume',
  'network',
  'is-task',
  'publish',
  'expose'
]
const STATES = ['paused', 'restarting', 'removing', 'running', 'dead', 'created', 'exited']
const HEALTH = ['starting', 'healthy', 'unhealthy', 'none']

export interface ListSources {
  readonly registry: ContainerRegistry
  readonly networking: ContainerNetworkService
  readonly images: ImageStore
}

type Test = (container: Container) => boolean

/** Throws ApiError for filters that Docker does not know or whose value it refuses. */
export function selectContainers(options: ListOptions, sources: ListSources): Container[] {
  const { filters } = options
  filters.check(FILTERS)
  const isAll = options.all || options.limit > 0 || showsStopped(filters)
  const tests = [statusTest(filters, isAll), ...plainTests(filters), ...ancestorTest(filters, sources), ...networkTests(filters, sources)]
  const chosen = inOrder(filters, sources.registry).filter((container) => tests.every((test) => test(container)))
  return options.limit > 0 ? chosen.slice(0, options.limit) : chosen
}

/** Filters that ask for containers which do not run. */
function showsStopped(filters: Filters): boolean {
  return ['status', 'exited', 'before', 'since'].some((name) => filters.get(name).length > 0)
}

/** Newest first, cut by `before` and `since`. */
function inOrder(filters: Filters, registry: ContainerRegistry): Container[] {
  const list = [...registry.all()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0))
  const before = filters.get('before').map((reference) => bound(registry, reference).createdAt)
  const since = filters.get('since').map((reference) => bound(registry, reference).createdAt)
  return list.filter(({ createdAt }) => before.every((other) => createdAt < other) && since.every((other) => createdAt > other))
}

/** The container that `before` or `since` names. */
function bound(registry: ContainerRegistry, reference: string): Container {
  try {
    return registry.find(reference)
  } catch (error) {
    throw ApiError.internal(`no such container ${reference}`, { cause: error })
  }
}

function statusTest(filters: Filters, isAll: boolean): Test {
  const wanted = filters.get('status')
  for (const word of wanted) if (!STATES.includes(word)) throw ApiError.badRequest(`Invalid filter 'status=${word}'`)
  if (wanted.length > 0) return ({ state }) => wanted.includes(state.Status)
  return isAll ? () => true : ({ state }) => state.Running
}

function plainTests(filters: Filters): Test[] {
  const codes = filters.get('exited').map((text) => {
    if (!/^[+-]?\d+$/.test(text)) throw ApiError.internal(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
    return Number(text)
  })
  const health = filters.get('health')
  for (const word of health) if (!HEALTH.includes(word)) throw ApiError.badRequest(`Unrecognised filter value for health: ${word}`)
  const isTask = isTaskFilter(filters)
  const volumes = filters.get('volume')
  return [
    (container) => filters.match('name', `/${container.name}`) || filters.match('name', container.name),
    ({ id }) => filters.matchStart('id', id),
    ({ config }) => filters.matchLabels(config.Labels),
    ...(isTask === true ? [() => false] : []),
    ...(codes.length > 0 ? [({ state }: Container) => codes.includes(state.ExitCode) && !state.Running] : []),
    ...(health.length > 0 ? [({ state }: Container) => health.includes(state.Health?.Status ?? 'none')] : []),
    ...(volumes.length > 0
      ? [({ mounts }: Container) => mounts.some(({ Name, Source, Destination }) => matches(volumes, [Name ?? Source, Destination]))]
      : [])
  ]
}

function isTaskFilter(filters: Filters): boolean | undefined {
  try {
    return filters.boolean('is-task')
  } catch (error) {
    throw ApiError.badRequest(`Invalid filter 'is-task=[${filters.get('is-task').join(' ')}]'`, { cause: error })
  }
}

/** Containers of an image, by id or name; an image that is not there has none. */
function ancestorTest(filters: Filters, { images }: ListSources): Test[] {
  const wanted = filters.get('ancestor')
  if (wanted.length === 0) return []
  const ids = new Set<string>()
  for (const reference of wanted) {
    try {
      ids.add(images.find(reference).id)
    } catch {
      // as good as one without containers
    }
  }
  return [({ image }) => ids.has(image.id) || wanted.includes(image.name)]
}

function networkTests(filters: Filters, { networking }: ListSources): Test[] {
  const networks = filters.get('network')
  const published = filters.get('publish').map((text) => parsePort('publish', text))
  const exposed = filters.get('expose').map((text) => parsePort('expose', text))
  const tests: Test[] = []
  if (networks.length > 0) {
    tests.push((container) =>
      Object.entries(networking.networks(container)).some(([name, { NetworkID }]) =>
        networks.some((wanted) => wanted === name || (NetworkID !== '' && NetworkID.startsWith(wanted)))
      )
    )
  }
  if (published.length > 0) {
    tests.push((container) => networking.ports(container).some((port) => published.some((range) => range.has(port.PublicPort, port.Type))))
  }
  if (exposed.length > 0) {
    tests.push((container) =>
      Object.keys(container.config.ExposedPorts ?? {}).some((text) => {
        const [number, protocol = 'tcp'] = text.split('/')
        return exposed.some((range) => range.has(Number(number), protocol))
      })
    )
  }
  return tests
}

function matches(wanted: readonly string[], texts: readonly string[]): boolean {
  return texts.some((text) => wanted.includes(text))
}

/** 'PORT[-PORT][/PROTOCOL]' */
function parsePort(filter: string, text: string): { has: (port: number | undefined, protocol: string) => boolean } {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(text)
  if (match === null) {
    throw ApiError.internal(
      `error while looking up for ${filter} ${text}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`
    )
  }
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
  const protocol = match[3] ?? 'tcp'
  return { has: (port, of) => port !== undefined && port >= first && port <= last && of === protocol }
}
