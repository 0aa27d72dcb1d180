/**
 * Binds, volumes and tmpfs of a container: from what was asked to what inspect shows, and to what its sandbox mounts.
 */
import { existsSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { ApiError } from '../../api/api-error.ts'
import type { ContainerConfig, HostConfig, MountPoint, MountRequest } from '../../api/container-json.ts'
import type { MountOptions } from '../../sandbox/sandbox-options.ts'
import { makeFolder } from '../../store/make-folder.ts'
import type { Container } from './container.ts'

export interface MountPlan {
  readonly points: MountPoint[]
  /** Names of volumes that were made up, here or for a container of --volumes-from. */
  readonly anonymous: string[]
}

export interface MountPlanner {
  readonly volumesDirectory: string
  /** For anonymous volumes. */
  newId(): string
  /** For --volumes-from. Throws ApiError. */
  find(reference: string): Container
}

const DEFAULT_SHM_BYTES = 64 << 20
const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']
const MODES = ['rw', 'ro', 'z', 'Z', 'nocopy', 'consistent', 'cached', 'delegated', 'bind', 'rbind', ...PROPAGATIONS]

/** Throws ApiError with Docker's texts: 400 for `--mount` and its like, 500 for `-v`. Nothing is made yet. */
export function planMounts(config: ContainerConfig, host: HostConfig, planner: MountPlanner): MountPlan {
  const points = new Map<string, MountPoint>()
  const anonymous: string[] = []
  const add = (point: MountPoint): void => {
    if (points.has(point.Destination)) throw ApiError.badRequest(`Duplicate mount point: ${point.Destination}`)
    points.set(point.Destination, point)
  }
  const nameless = (): string => {
    const id = planner.newId()
    anonymous.push(id)
    return id
  }
  const inherited = (host.VolumesFrom ?? []).map((reference) => volumesFrom(reference, planner))
  for (const bind of host.Binds ?? []) add(parseBind(bind, planner, nameless))
  for (const mount of host.Mounts ?? []) {
    const point = parseMount(mount, planner, nameless)
    if (point !== null) add(point)
  }
  for (const { points: theirs, anonymous: made } of inherited) {
    for (const point of theirs) {
      if (points.has(point.Destination)) continue
      points.set(point.Destination, point)
      if (point.Name !== undefined && made.includes(point.Name)) anonymous.push(point.Name)
    }
  }
  for (const destination of Object.keys(config.Volumes ?? {})) {
    const target = path.posix.normalize(destination)
    if (!points.has(target)) add(volumePoint(nameless(), target, planner, { mode: '', writable: true }))
  }
  for (const destination of Object.keys(host.Tmpfs ?? {})) {
    if (points.has(path.posix.normalize(destination))) throw ApiError.badRequest(`Duplicate mount point: ${destination}`)
  }
  return { points: [...points.values()], anonymous }
}

/** Throws ApiError `internal`, in Docker's words. */
function makeSource(source: string): void {
  try {
    makeFolder(source)
  } catch (cause) {
    const { message, path: at } = cause as NodeJS.ErrnoException
    const why = /^\w+: ([^,]+),/.exec(message)?.[1] ?? message
    throw ApiError.internal(`error while creating mount source path '${source}': mkdir ${at}: ${why}`, { cause })
  }
}

/** Binds and volumes; directories on the host that `-v` names are made, as Docker does. */
export function dataMounts(container: Container): MountOptions[] {
  const options: MountOptions[] = []
  for (const point of container.mounts) {
    if (point.Type === 'tmpfs') {
      options.push({ type: 'tmpfs', target: point.Destination, options: tmpfsOptions(container, point), readonly: !point.RW })
      continue
    }
    if (!existsSync(point.Source)) makeSource(point.Source)
    const subpath = requestOf(container, point)?.VolumeOptions?.Subpath
    const source = subpath === undefined ? point.Source : insideVolume(point.Source, subpath)
    const bind = { type: 'bind', source, target: point.Destination, readonly: !point.RW } as const
    options.push({ ...bind, ...(point.Propagation !== '' && { propagation: point.Propagation }) })
  }
  return options
}

/** What the sandbox of a run mounts, outer ones first. */
export function sandboxMounts(container: Container): MountOptions[] {
  const { directory, hostConfig, mounts } = container
  const options = dataMounts(container)
  for (const [target, text] of Object.entries(hostConfig.Tmpfs ?? {})) {
    options.push({ type: 'tmpfs', target, ...(text !== '' && { options: text }) })
  }
  for (const name of ['resolv.conf', 'hostname', 'hosts']) {
    const target = `/etc/${name}`
    if (!mounts.some(({ Destination }) => Destination === target)) options.push({ type: 'bind', source: `${directory}/${name}`, target })
  }
  const shm = hostConfig.ShmSize
  if (shm !== DEFAULT_SHM_BYTES && !options.some(({ target }) => target === '/dev/shm')) {
    options.push({ type: 'tmpfs', target: '/dev/shm', options: `mode=1777,noexec,nosuid,nodev,size=${shm}` })
  }
  return options.sort((a, b) => depth(a.target) - depth(b.target))
}

function depth(target: string): number {
  return target.split('/').length
}

/** The `--mount` that the point was made of. */
function requestOf({ hostConfig }: Container, { Destination }: MountPoint): MountRequest | undefined {
  return hostConfig.Mounts?.find(({ Target }) => normalized(Target) === Destination)
}

/** `volume-subpath`: what is there when the container starts. ApiError with moby's texts for nothing, or for a link that leads out. */
function insideVolume(volume: string, subpath: string): string {
  const wanted = path.join(volume, subpath)
  const base = realpathSync(volume)
  const found = realOf(wanted)
  if (found === base || found.startsWith(`${base}/`)) return found
  throw ApiError.internal(`path concatenation escapes the base directory, base: "${base}", subpath: "${subpath}"`)
}

function realOf(wanted: string): string {
  try {
    return realpathSync(wanted)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'no such file or directory' : message
    throw ApiError.notFound(`cannot access path ${wanted}: lstat ${wanted}: ${why}`, { cause: error })
  }
}

function normalized(target: string): string {
  return path.posix.normalize(target).replace(/(.)\/$/, '$1')
}

function tmpfsOptions(container: Container, point: MountPoint): string {
  const asked = requestOf(container, point)?.TmpfsOptions
  const words = ['noexec', 'nosuid', 'nodev']
  if (asked?.SizeBytes) words.push(`size=${asked.SizeBytes}`)
  if (asked?.Mode) words.push(`mode=${asked.Mode.toString(8)}`)
  return words.join(',')
}

/** 'SOURCE:TARGET[:MODES]' or 'TARGET'. */
function parseBind(bind: string, planner: MountPlanner, nameless: () => string): MountPoint {
  const parts = bind.split(':')
  const [source, target, modes = ''] = parts.length === 1 ? ['', parts[0]!] : (parts as [string, string, string?])
  if (parts.length > 3 || target === '' || (parts.length > 1 && source === '')) {
    throw ApiError.internal(`invalid volume specification: '${bind}'`)
  }
  const type = source.startsWith('/') ? 'bind' : 'volume'
  const invalid = (why: string): ApiError =>
    ApiError.internal(`invalid volume specification: '${bind}': invalid mount config for type "${type}": ${why}`)
  if (!target.startsWith('/')) throw invalid(`invalid mount path: '${target}' mount path must be absolute`)
  const Destination = normalized(target)
  if (Destination === '/') throw invalid("invalid specification: destination can't be '/'")
  const words = modes === '' ? [] : modes.split(',')
  if (words.some((word) => !MODES.includes(word))) throw ApiError.internal(`invalid mode: ${modes}`)
  const writable = !words.includes('ro')
  if (!source.startsWith('/')) {
    const name = source === '' ? nameless() : checkedVolume(source)
    return volumePoint(name, Destination, planner, { mode: modes === '' && source !== '' ? 'z' : modes, writable })
  }
  const Propagation = words.find((word) => PROPAGATIONS.includes(word)) ?? 'rprivate'
  return { Type: 'bind', Source: path.posix.normalize(source), Destination, Mode: modes, RW: writable, Propagation }
}

/** `--mount`. null for what is mounted without being shown. */
function parseMount(mount: MountRequest, planner: MountPlanner, nameless: () => string): MountPoint | null {
  const invalid = (why: string): ApiError => ApiError.badRequest(`invalid mount config for type "${mount.Type}": ${why}`)
  const Destination = normalized(mount.Target)
  if (mount.Target === '') throw invalid('field Target must not be empty')
  if (!Destination.startsWith('/')) throw invalid(`invalid mount path: '${mount.Target}' mount path must be absolute`)
  if (Destination === '/') throw invalid("invalid specification: destination can't be '/'")
  const writable = mount.ReadOnly !== true
  if (mount.Type === 'tmpfs') {
    if (mount.Source) throw invalid('field Source must not be specified')
    return { Type: 'tmpfs', Source: '', Destination, Mode: '', RW: writable, Propagation: '' }
  }
  if (mount.Type === 'volume') {
    const subpath = mount.VolumeOptions?.Subpath ?? ''
    if (subpath !== '' && !mount.Source) throw invalid('must not set Subpath when using anonymous volumes')
    if (subpath.startsWith('/') || path.posix.normalize(subpath).split('/')[0] === '..') {
      throw invalid('subpath must be a relative path within the volume')
    }
    const name = mount.Source ? checkedVolume(mount.Source) : nameless()
    return volumePoint(name, Destination, planner, { mode: 'z', writable })
  }
  if (mount.Type !== 'bind') throw ApiError.badRequest(`mount type unknown: "${mount.Type}"`)
  if (!mount.Source) throw invalid('field Source must not be empty')
  if (!mount.Source.startsWith('/')) throw invalid(`invalid mount path: '${mount.Source}' mount path must be absolute`)
  if (!existsSync(mount.Source)) throw invalid(`bind source path does not exist: ${mount.Source}`)
  const Propagation = mount.BindOptions?.Propagation || 'rprivate'
  return { Type: 'bind', Source: path.posix.normalize(mount.Source), Destination, Mode: '', RW: writable, Propagation }
}

/** 'CONTAINER[:ro]'. What is wrong about it is 400, also that there is none: a 404 has the client look for the image. */
function volumesFrom(reference: string, planner: MountPlanner): { points: MountPoint[]; anonymous: readonly string[] } {
  const [name, mode = 'rw'] = reference.split(':')
  if (!['ro', 'rw', 'z', 'Z'].includes(mode)) throw ApiError.badRequest(`invalid mode: ${mode}`)
  const { mounts, anonymousVolumes } = found(name!, planner)
  return { points: mounts.map((point) => ({ ...point, RW: point.RW && mode !== 'ro' })), anonymous: anonymousVolumes }
}

function found(name: string, planner: MountPlanner): Container {
  try {
    return planner.find(name)
  } catch (error) {
    throw ApiError.badRequest((error as Error).message, { cause: error })
  }
}

function volumePoint(
  Name: string,
  Destination: string,
  { volumesDirectory }: MountPlanner,
  { mode, writable }: { mode: string; writable: boolean }
): MountPoint {
  const Source = `${volumesDirectory}/${Name}/_data`
  return { Type: 'volume', Name, Source, Destination, Driver: 'local', Mode: mode, RW: writable, Propagation: '' }
}

/** A name is one part of a path and nothing else. */
function checkedVolume(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return name
  throw ApiError.badRequest(
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
      'If you intended to pass a host directory, use absolute path'
  )
}
