/**
 * From a create request and an image to the complete configuration that Docker would record.
 */
import type { ContainerConfig, HostConfig, MountRequest } from '../../api/container-json.ts'
import { type ConfigBody, type HostConfigBody, hostConfigBody } from '../../api/container-shapes.ts'
import type { ImageConfig } from '../../image/image-config.ts'

const DEFAULT_SHM_BYTES = 64 << 20

/** What runc hides of /proc and /sys, and what it makes read-only, unless the container is privileged. */
const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware'
]
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/**
 * The request over the image: what the request says wins, environment, labels, ports and volumes add up, and a command without an
 * entrypoint keeps the image's entrypoint while an entrypoint drops the image's command. Hostname is left as it came.
 */
export function mergeConfig(body: ConfigBody, image: ImageConfig): ContainerConfig {
  const isBlank = body.Entrypoint?.length === 1 && body.Entrypoint[0] === ''
  const hasEntrypoint = (body.Entrypoint?.length ?? 0) > 0
  const hasCommand = (body.Cmd?.length ?? 0) > 0
  const { ExposedPorts, Healthcheck, ArgsEscaped, NetworkDisabled, MacAddress, StopSignal, StopTimeout, Shell, ...rest } = body
  const ports = union(ExposedPorts, image.ExposedPorts)
  const health = Healthcheck === null ? image.Healthcheck : { ...image.Healthcheck, ...withoutZeros(Healthcheck) }
  const signal = StopSignal || image.StopSignal
  const timeout = StopTimeout ?? image.StopTimeout
  const shell = Shell ?? image.Shell
  return {
    ...rest,
    User: body.User || image.User,
    Env: mergeEnvironment(body.Env, image.Env),
    Cmd: hasEntrypoint || hasCommand ? body.Cmd : image.Cmd,
    Entrypoint: isBlank ? null : hasEntrypoint ? body.Entrypoint : image.Entrypoint,
    Volumes: union(body.Volumes, image.Volumes),
    WorkingDir: body.WorkingDir || image.WorkingDir,
    Labels: { ...image.Labels, ...body.Labels },
    ...(ports !== null && { ExposedPorts: ports }),
    ...(health !== undefined && Object.keys(health).length > 0 && { Healthcheck: health }),
    ...(ArgsEscaped && { ArgsEscaped }),
    ...(NetworkDisabled && { NetworkDisabled }),
    ...(MacAddress !== '' && { MacAddress }),
    ...(signal && { StopSignal: signal }),
    ...(timeout !== undefined && { StopTimeout: timeout }),
    ...(shell != null && { Shell: shell })
  }
}

/** Docker's defaults for what the request leaves open. */
export function completeHostConfig(given: HostConfigBody | null): HostConfig {
  const body = given ?? hostConfigBody.zero()
  const { StorageOpt, Tmpfs, Sysctls, Mounts, Init, ConsoleSize, LogConfig, ...rest } = body
  return {
    ...rest,
    LogConfig: { Type: LogConfig.Type || 'json-file', Config: { ...LogConfig.Config } },
    NetworkMode: body.NetworkMode || 'default',
    CgroupnsMode: body.CgroupnsMode || 'host',
    IpcMode: body.IpcMode || 'private',
    ShmSize: body.ShmSize || DEFAULT_SHM_BYTES,
    Runtime: body.Runtime || 'runc',
    ConsoleSize: [ConsoleSize?.[0] ?? 0, ConsoleSize?.[1] ?? 0],
    // -1 is how clients say that nothing was asked.
    MemorySwappiness: body.MemorySwappiness === -1 ? null : body.MemorySwappiness,
    OomKillDisable: body.OomKillDisable ?? false,
    PidsLimit: body.PidsLimit !== null && body.PidsLimit > 0 ? body.PidsLimit : null,
    MaskedPaths: body.MaskedPaths ?? (body.Privileged ? null : MASKED_PATHS),
    ReadonlyPaths: body.ReadonlyPaths ?? (body.Privileged ? null : READONLY_PATHS),
    ...(StorageOpt !== null && { StorageOpt: { ...StorageOpt } }),
    ...(Tmpfs !== null && Object.keys(Tmpfs).length > 0 && { Tmpfs: { ...Tmpfs } }),
    ...(Sysctls !== null && Object.keys(Sysctls).length > 0 && { Sysctls: { ...Sysctls } }),
    ...(Mounts !== null && Mounts.length > 0 && { Mounts: Mounts.map(shownMount) }),
    ...(Init !== null && { Init })
  }
}

/** Each of the image's variables that the request does not set, behind those of the request. */
function mergeEnvironment(request: string[] | null, image: string[] | null): string[] | null {
  if (image === null) return request
  const set = new Set(request?.map(nameOf))
  return [...(request ?? []), ...image.filter((entry) => !set.has(nameOf(entry)))]
}

function nameOf(entry: string): string {
  const equals = entry.indexOf('=')
  return equals < 0 ? entry : entry.slice(0, equals)
}

/** A request for none is no request: Docker's client sends an empty object for it, and inspect shows null. */
function union(request: Record<string, object> | null, image: Record<string, object> | null | undefined): Record<string, object> | null {
  if (Object.keys(request ?? {}).length === 0) return image ?? null
  return { ...image, ...request }
}

/** Only what was given, so that inspect shows the mount as it was asked for. */
function shownMount(mount: NonNullable<HostConfigBody['Mounts']>[number]): MountRequest {
  const { BindOptions, VolumeOptions, TmpfsOptions, ...rest } = mount
  const { DriverConfig, Labels, NoCopy, Subpath } = VolumeOptions ?? { DriverConfig: null, Labels: null, NoCopy: false, Subpath: '' }
  const driver = DriverConfig && { ...withoutZeros(DriverConfig), ...(DriverConfig.Options && { Options: { ...DriverConfig.Options } }) }
  const volume = { ...withoutZeros({ NoCopy, Subpath }), ...(Labels && { Labels: { ...Labels } }), ...(driver && { DriverConfig: driver }) }
  return {
    ...withoutZeros(rest),
    Type: mount.Type,
    Target: mount.Target,
    ...(BindOptions && { BindOptions: withoutZeros(BindOptions) }),
    ...(VolumeOptions && { VolumeOptions: volume as MountRequest['VolumeOptions'] }),
    ...(TmpfsOptions && { TmpfsOptions: withoutZeros(TmpfsOptions) })
  } as MountRequest
}

function withoutZeros<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item && !(Array.isArray(item) && item.length === 0))) as Partial<T>
}
