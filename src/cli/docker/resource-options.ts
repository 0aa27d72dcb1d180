/**
 * Docker's flags of limits, devices and runtimes. netloom emulates networks and keeps none of these limits: they are read and
 * sent as Docker's client does, so that a script goes on working, and the daemon says which have no effect.
 */
import type { HostConfig } from '../../api/container-json.ts'
import { bytesFlag, bytesOf, commaSeparated, cpusFlag, FlagError, integerProblem, intFlag, uint16Flag } from './flag-value.ts'

/** As commander gives them: absent when not on the command line. */
export interface ResourceOptions {
  readonly blkioWeight?: string
  readonly blkioWeightDevice?: string[]
  readonly cgroupParent?: string
  readonly cgroupns?: string
  readonly cpuPeriod?: string
  readonly cpuQuota?: string
  readonly cpuRtPeriod?: string
  readonly cpuRtRuntime?: string
  readonly cpuShares?: string
  readonly cpus?: string
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly device?: string[]
  readonly deviceCgroupRule?: string[]
  readonly deviceReadBps?: string[]
  readonly deviceReadIops?: string[]
  readonly deviceWriteBps?: string[]
  readonly deviceWriteIops?: string[]
  readonly gpus?: string
  readonly isolation?: string
  readonly kernelMemory?: string
  readonly memory?: string
  readonly memoryReservation?: string
  readonly memorySwap?: string
  readonly memorySwappiness?: string
  readonly oomKillDisable?: boolean
  readonly oomScoreAdj?: string
  readonly pidsLimit?: string
  readonly runtime?: string
  readonly shmSize?: string
  readonly storageOpt?: string[]
  readonly ulimit?: string[]
  readonly volumeDriver?: string
}

const NONE = 'without effect here'

/** flags, description; `*` at the end: may be repeated. */
export const RESOURCE_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--blkio-weight <weight>', `share of block I/O, 10 to 1000; ${NONE}`],
  ['--blkio-weight-device <device:weight>*', `the same for one device; ${NONE}`],
  ['--cgroup-parent <cgroup>', `the cgroup above; ${NONE}`],
  ['--cgroupns <mode>', `host or private; ${NONE}`],
  ['--cpu-period <us>', `period of --cpu-quota; ${NONE}`],
  ['--cpu-quota <us>', `processor time in a period; ${NONE}`],
  ['--cpu-rt-period <us>', `period of --cpu-rt-runtime; ${NONE}`],
  ['--cpu-rt-runtime <us>', `real-time processor time in a period; ${NONE}`],
  ['-c, --cpu-shares <n>', `share of processor time; ${NONE}`],
  ['--cpus <number>', `so many processors at most; ${NONE}`],
  ['--cpuset-cpus <list>', `on these processors: 0-3, or 0,1; ${NONE}`],
  ['--cpuset-mems <list>', `in these memory nodes; ${NONE}`],
  ['--device <device>*', `a device of the host; ${NONE}`],
  ['--device-cgroup-rule <rule>*', `devices that it may use; ${NONE}`],
  ['--device-read-bps <device:rate>*', `bytes a second at most; ${NONE}`],
  ['--device-read-iops <device:rate>*', `reads a second at most; ${NONE}`],
  ['--device-write-bps <device:rate>*', `bytes a second at most; ${NONE}`],
  ['--device-write-iops <device:rate>*', `writes a second at most; ${NONE}`],
  ['--gpus <request>', `GPUs; ${NONE}`],
  ['--isolation <technology>', `of Windows; ${NONE}`],
  ['--kernel-memory <bytes>', `kernel memory at most; ${NONE}`],
  ['-m, --memory <bytes>', `so much memory at most: 512m, 1g; ${NONE}`],
  ['--memory-reservation <bytes>', `a soft limit of memory; ${NONE}`],
  ['--memory-swap <bytes>', `memory and swap at most, -1 for all; ${NONE}`],
  ['--memory-swappiness <percent>', `0 to 100; ${NONE}`],
  ['--oom-kill-disable', `not to be killed for want of memory; ${NONE}`],
  ['--oom-score-adj <n>', `how soon it is killed for want of memory, -1000 to 1000; ${NONE}`],
  ['--pids-limit <n>', `so many processes at most; ${NONE}`],
  ['--runtime <name>', `the OCI runtime; ${NONE}`],
  ['--shm-size <bytes>', 'of /dev/shm'],
  ['--storage-opt <key=value>*', `a setting of the storage driver; ${NONE}`],
  ['--ulimit <name=soft[:hard]>*', `a limit of its processes; ${NONE}`],
  ['--volume-driver <driver>', `for volumes; ${NONE}`]
]

/** RangeError or FlagError with Docker's text. */
export function resources(options: ResourceOptions): Partial<HostConfig> {
  const { memory, memorySwap, memorySwappiness, memoryReservation, cpus, blkioWeight, gpus, kernelMemory, pidsLimit, shmSize } = options
  const integer = (text: string | undefined, flag: string): number => (text === undefined ? 0 : intFlag(text, flag))
  const bytes = (text: string | undefined, flag: string): number => (text === undefined ? 0 : bytesFlag(text, flag))
  // Docker's client reads it and no longer sends it.
  bytes(kernelMemory, '--kernel-memory')
  const config: Partial<HostConfig> = {
    BlkioWeight: blkioWeight === undefined ? 0 : uint16Flag(blkioWeight, '--blkio-weight'),
    BlkioWeightDevice: (options.blkioWeightDevice ?? []).map(weightDevice),
    BlkioDeviceReadBps: (options.deviceReadBps ?? []).map((text) => throttle(text, '--device-read-bps', bytesOf, BYTES_FORMAT)),
    BlkioDeviceWriteBps: (options.deviceWriteBps ?? []).map((text) => throttle(text, '--device-write-bps', bytesOf, BYTES_FORMAT)),
    BlkioDeviceReadIOps: (options.deviceReadIops ?? []).map((text) => throttle(text, '--device-read-iops', countOf, COUNT_FORMAT)),
    BlkioDeviceWriteIOps: (options.deviceWriteIops ?? []).map((text) => throttle(text, '--device-write-iops', countOf, COUNT_FORMAT)),
    CpuPeriod: integer(options.cpuPeriod, '--cpu-period'),
    CpuQuota: integer(options.cpuQuota, '--cpu-quota'),
    CpuRealtimePeriod: integer(options.cpuRtPeriod, '--cpu-rt-period'),
    CpuRealtimeRuntime: integer(options.cpuRtRuntime, '--cpu-rt-runtime'),
    CpuShares: integer(options.cpuShares, '-c, --cpu-shares'),
    NanoCpus: cpus === undefined ? 0 : cpusFlag(cpus),
    CpusetCpus: options.cpusetCpus ?? '',
    CpusetMems: options.cpusetMems ?? '',
    DeviceCgroupRules: options.deviceCgroupRule?.map(cgroupRule) ?? null,
    Memory: bytes(memory, '-m, --memory'),
    MemoryReservation: bytes(memoryReservation, '--memory-reservation'),
    MemorySwap: memorySwap === '-1' ? -1 : bytes(memorySwap, '--memory-swap'),
    MemorySwappiness: memorySwappiness === undefined ? -1 : intFlag(memorySwappiness, '--memory-swappiness'),
    OomKillDisable: options.oomKillDisable ?? false,
    OomScoreAdj: integer(options.oomScoreAdj, '--oom-score-adj'),
    PidsLimit: integer(pidsLimit, '--pids-limit'),
    ShmSize: bytes(shmSize, '--shm-size'),
    Ulimits: ulimits(options.ulimit ?? []),
    DeviceRequests: gpus === undefined ? null : [gpuRequest(gpus)],
    CgroupParent: options.cgroupParent ?? '',
    CgroupnsMode: options.cgroupns ?? '',
    Isolation: options.isolation ?? '',
    VolumeDriver: options.volumeDriver ?? '',
    ...(options.runtime === undefined ? {} : { Runtime: options.runtime })
  }
  // Docker's client reads all flags before it looks at what they mean.
  checkValues(config)
  return { ...config, Devices: (options.device ?? []).map(device), ...storage(options.storageOpt) }
}

function checkValues({ MemorySwappiness, CgroupnsMode }: Partial<HostConfig>): void {
  const swappiness = MemorySwappiness!
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new RangeError(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`)
  }
  if (!['', 'host', 'private'].includes(CgroupnsMode!)) throw new RangeError('--cgroupns: invalid CGROUP mode')
}

const BYTES_FORMAT = '<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb'
const COUNT_FORMAT = '<device-path>:<number>. Number must be a positive integer'

/** An unsigned integer, or a text where it is none. */
function countOf(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : 'none'
}

/** '/dev/sda:1mb' */
function throttle(text: string, flag: string, read: (text: string) => number | string, format: string): { Path: string; Rate: number } {
  const { Path, value } = deviceAndValue(text, flag)
  const Rate = read(value)
  if (typeof Rate === 'string') throw new FlagError(text, flag, `invalid rate for device: ${text}. The correct format is ${format}`)
  return { Path, Rate }
}

/** '/dev/sda:300': 0, or 10 to 1000. */
function weightDevice(text: string): { Path: string; Weight: number } {
  const { Path, value } = deviceAndValue(text, '--blkio-weight-device')
  const Weight = countOf(value)
  if (typeof Weight === 'string' || (Weight !== 0 && (Weight < 10 || Weight > 1000))) {
    throw new FlagError(text, '--blkio-weight-device', `invalid weight for device: ${text}`)
  }
  return { Path, Weight }
}

function deviceAndValue(text: string, flag: string): { Path: string; value: string } {
  const colon = text.indexOf(':')
  if (colon <= 0) throw new FlagError(text, flag, `bad format: ${text}`)
  if (!text.startsWith('/dev/')) throw new FlagError(text, flag, `bad format for device path: ${text}`)
  return { Path: text.slice(0, colon), value: text.slice(colon + 1) }
}

/** Type, major and minor numbers, permissions: 'c 1:3 mr'. */
function cgroupRule(text: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) return text
  throw new FlagError(text, '--device-cgroup-rule', `invalid device cgroup format '${text}'`)
}

/** HOST[:CONTAINER][:PERMISSIONS] */
function device(text: string): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  const parts = text.split(':')
  if (parts.length > 3) throw new RangeError(`bad format for path: ${text}`)
  const [host = '', second = '', third] = parts
  const isMode = (word: string): boolean => /^[rwm]{1,3}$/.test(word) && new Set(word).size === word.length
  const inside = second === '' || (third === undefined && isMode(second)) ? host : second
  const permissions = third ?? (isMode(second) ? second : 'rwm')
  if (third !== undefined && !isMode(third)) throw new RangeError(`bad mode specified: ${third}`)
  for (const path of [host, inside]) if (!path.startsWith('/')) throw new RangeError(`${path} is not an absolute path`)
  return { PathOnHost: host, PathInContainer: inside, CgroupPermissions: permissions }
}

const ULIMITS = new Set('core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '))

/** The last one of a name counts; by name, as Docker's client sends them. */
function ulimits(texts: readonly string[]): { Name: string; Hard: number; Soft: number }[] {
  const limits = new Map(texts.map((text) => ulimit(text)).map((limit) => [limit.Name, limit]))
  return [...limits.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1))
}

/** NAME=SOFT[:HARD]; -1 is no limit. */
function ulimit(text: string): { Name: string; Hard: number; Soft: number } {
  const refuse = (why: string): never => {
    throw new FlagError(text, '--ulimit', why)
  }
  const equals = text.indexOf('=')
  if (equals === -1) refuse(`invalid ulimit argument: ${text}`)
  const Name = text.slice(0, equals)
  if (!ULIMITS.has(Name)) refuse(`invalid ulimit type: ${Name}`)
  const values = text.slice(equals + 1).split(':')
  if (values.length > 2) refuse(`too many limit value arguments - ${values.join(':')}, can only have up to two, \`soft[:hard]\``)
  const [Soft, Hard] = [values[0]!, values[1] ?? values[0]!].map((value) => {
    const why = integerProblem(value)
    return why === undefined ? Number(value) : refuse(why)
  }) as [number, number]
  if (Hard !== -1 && Soft === -1) refuse(`ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${Hard}`)
  if (Hard !== -1 && Soft > Hard) refuse(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`)
  return { Name, Hard, Soft }
}

interface GpuRequest {
  Driver: string
  Count: number
  DeviceIDs: string[] | null
  Capabilities: string[][]
  Options: Record<string, string>
}

/** 'all', a number, or device=...,driver=...,capabilities=...,options=... */
function gpuRequest(text: string): GpuRequest {
  const refuse = (why: string): never => {
    throw new FlagError(text, '--gpus', why)
  }
  if (text === '') refuse('EOF')
  const request: GpuRequest = { Driver: '', Count: 0, DeviceIDs: null, Capabilities: [], Options: {} }
  const seen = new Set<string>()
  for (const field of commaSeparated(text)) {
    const equals = field.indexOf('=')
    const [key, value] = equals === -1 ? ['count', field] : [field.slice(0, equals), field.slice(equals + 1)]
    if (seen.has(key)) refuse(`gpu request key '${key}' can be specified only once`)
    seen.add(key)
    if (key === 'driver') request.Driver = value
    else if (key === 'device') request.DeviceIDs = value.split(',')
    else if (key === 'capabilities') request.Capabilities = [[...value.split(','), 'gpu']]
    else if (key === 'options') request.Options = Object.fromEntries(commaSeparated(value).map(keyAndValue))
    else if (key !== 'count') refuse(`unexpected key '${key}' in '${field}'`)
    else if (value === 'all') request.Count = -1
    else if (/^[+-]?\d+$/.test(value)) request.Count = Number(value)
    else refuse(`invalid count (${value}): value must be either "all" or an integer: invalid syntax`)
  }
  if (!seen.has('count') && request.DeviceIDs === null) request.Count = 1
  if (request.Capabilities.length === 0) request.Capabilities = [['gpu']]
  return request
}

function keyAndValue(text: string): [string, string] {
  const equals = text.indexOf('=')
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
}

function storage(settings: readonly string[] | undefined): Pick<HostConfig, 'StorageOpt'> {
  if (settings === undefined) return {}
  if (settings.some((setting) => !setting.includes('='))) throw new RangeError('invalid storage option')
  return { StorageOpt: Object.fromEntries(settings.map(keyAndValue)) }
}
