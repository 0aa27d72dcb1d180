/** The bodies of requests about containers, as Go's structs of Docker's API 1.41 read them. Lists and maps that were not given are null. */
import { any, boolean, type Decoded, integer, list, map, nullable, type Shape, string, struct, text, words } from './decode.ts'

const int = integer('int')
const int64 = integer('int64')
const uint16 = integer('uint16')
const strings = nullable(list(string))
const texts = nullable(map(string))
const anything = nullable(list(any, '[]interface {}'))
const keys = (type: string): Shape<Record<string, object> | null> => nullable(map(struct('struct {}', {}), type))

const health = struct('container.HealthConfig', {
  Test: list(string),
  Interval: int64,
  Timeout: int64,
  StartPeriod: int64,
  Retries: int
})

const CONFIG = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: boolean,
  AttachStdout: boolean,
  AttachStderr: boolean,
  ExposedPorts: keys('nat.PortSet'),
  Tty: boolean,
  OpenStdin: boolean,
  StdinOnce: boolean,
  Env: strings,
  Cmd: nullable(words),
  Healthcheck: nullable(health),
  ArgsEscaped: boolean,
  Image: string,
  Volumes: keys('map[string]struct {}'),
  WorkingDir: string,
  Entrypoint: nullable(words),
  NetworkDisabled: boolean,
  MacAddress: string,
  OnBuild: strings,
  Labels: texts,
  StopSignal: string,
  StopTimeout: nullable(int),
  Shell: nullable(words)
}

const portBinding = struct('nat.PortBinding', { HostIp: string, HostPort: string })

const mount = struct('mount.Mount', {
  Type: text('mount.Type'),
  Source: string,
  Target: string,
  ReadOnly: boolean,
  Consistency: text('mount.Consistency'),
  BindOptions: nullable(struct('mount.BindOptions', { Propagation: text('mount.Propagation'), NonRecursive: boolean })),
  VolumeOptions: nullable(
    struct('mount.VolumeOptions', {
      NoCopy: boolean,
      Labels: texts,
      Subpath: string,
      DriverConfig: nullable(struct('mount.Driver', { Name: string, Options: texts }))
    })
  ),
  TmpfsOptions: nullable(struct('mount.TmpfsOptions', { SizeBytes: int64, Mode: integer('uint32') }))
})

const restartPolicy = struct('container.RestartPolicy', { Name: string, MaximumRetryCount: int })

const HOST_CONFIG = {
  Binds: strings,
  ContainerIDFile: string,
  LogConfig: struct('container.LogConfig', { Type: string, Config: texts }),
  NetworkMode: text('container.NetworkMode'),
  PortBindings: nullable(map(nullable(list(portBinding)), 'nat.PortMap')),
  RestartPolicy: restartPolicy,
  AutoRemove: boolean,
  VolumeDriver: string,
  VolumesFrom: strings,
  CapAdd: nullable(words),
  CapDrop: nullable(words),
  CgroupnsMode: text('container.CgroupnsMode'),
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: text('container.IpcMode'),
  Cgroup: text('container.CgroupSpec'),
  Links: strings,
  OomScoreAdj: int,
  PidMode: text('container.PidMode'),
  Privileged: boolean,
  PublishAllPorts: boolean,
  ReadonlyRootfs: boolean,
  SecurityOpt: strings,
  StorageOpt: texts,
  Tmpfs: texts,
  UTSMode: text('container.UTSMode'),
  UsernsMode: text('container.UsernsMode'),
  ShmSize: int64,
  Sysctls: texts,
  Runtime: string,
  ConsoleSize: nullable(list(integer('uint'), '[2]uint')),
  Isolation: text('container.Isolation'),
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CgroupParent: string,
  BlkioWeight: uint16,
  BlkioWeightDevice: anything,
  BlkioDeviceReadBps: anything,
  BlkioDeviceWriteBps: anything,
  BlkioDeviceReadIOps: anything,
  BlkioDeviceWriteIOps: anything,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: anything,
  DeviceCgroupRules: strings,
  DeviceRequests: anything,
  KernelMemory: int64,
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: nullable(int64),
  OomKillDisable: nullable(boolean),
  PidsLimit: nullable(int64),
  Ulimits: anything,
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: integer('uint64'),
  IOMaximumBandwidth: integer('uint64'),
  Mounts: nullable(list(mount)),
  MaskedPaths: strings,
  ReadonlyPaths: strings,
  Init: nullable(boolean)
}

const ipam = struct('network.EndpointIPAMConfig', { IPv4Address: string, IPv6Address: string, LinkLocalIPs: strings })

/** A member of EndpointsConfig. IPAMConfig has only what was given, as Docker shows it again. */
const endpointMembers = struct('network.EndpointSettings', {
  IPAMConfig: nullable(ipam),
  Links: strings,
  Aliases: strings,
  MacAddress: string,
  DriverOpts: texts
})
const endpoint = {
  ...endpointMembers,
  read: (value: unknown, place?: Parameters<typeof endpointMembers.read>[1]) => {
    const { IPAMConfig, ...members } = endpointMembers.read(value, place)
    return { ...members, IPAMConfig: IPAMConfig && withoutEmpty(IPAMConfig) }
  },
  zero: () => ({ ...endpointMembers.zero(), IPAMConfig: null })
} satisfies Shape<unknown>

const wrapper = struct('runconfig.ContainerConfigWrapper', {
  ...CONFIG,
  HostConfig: nullable(struct('container.HostConfig', HOST_CONFIG)),
  NetworkingConfig: nullable(
    struct('network.NetworkingConfig', { EndpointsConfig: nullable(map(nullable(endpoint), 'map[string]*network.EndpointSettings')) })
  )
})

export type ConfigBody = { [K in keyof typeof CONFIG]: Decoded<(typeof CONFIG)[K]> }
export type HostConfigBody = { [K in keyof typeof HOST_CONFIG]: Decoded<(typeof HOST_CONFIG)[K]> }

export interface CreateBody {
  /** null when the body had not one member of it. */
  readonly config: ConfigBody | null
  readonly hostConfig: HostConfigBody | null
  readonly NetworkingConfig: Decoded<typeof wrapper>['NetworkingConfig']
}

const CONFIG_KEYS = new Set(Object.keys(CONFIG).map((key) => key.toLowerCase()))

/** POST /containers/create. */
export const createBody: Shape<CreateBody> = {
  type: wrapper.type,
  zero: () => ({ config: null, hostConfig: null, NetworkingConfig: null }),
  read(value, place) {
    const { HostConfig, NetworkingConfig, ...config } = wrapper.read(value, place)
    const isGiven = Object.keys((value as object | null) ?? {}).some((key) => CONFIG_KEYS.has(key.toLowerCase()))
    return { config: isGiven ? config : null, hostConfig: HostConfig, NetworkingConfig }
  }
}

/** A host configuration with nothing set. */
export const hostConfigBody: Shape<HostConfigBody> = struct('container.HostConfig', HOST_CONFIG)

/** POST /containers/{id}/update: limits beside the restart policy. */
export const updateBody = struct('container.UpdateConfig', {
  RestartPolicy: restartPolicy,
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpusetCpus: string,
  CpusetMems: string,
  MemoryReservation: int64,
  MemorySwap: int64,
  PidsLimit: nullable(int64),
  BlkioWeight: uint16
})

/** POST /containers/{id}/exec. */
export const execBody = struct('types.ExecConfig', {
  User: string,
  Privileged: boolean,
  Tty: boolean,
  AttachStdin: boolean,
  AttachStderr: boolean,
  AttachStdout: boolean,
  Detach: boolean,
  DetachKeys: string,
  Env: strings,
  WorkingDir: string,
  Cmd: strings
})

/** POST /exec/{id}/start. */
export const execStartBody = struct('types.ExecStartCheck', {
  Detach: boolean,
  Tty: boolean,
  ConsoleSize: nullable(list(integer('uint'), '[2]uint'))
})

function withoutEmpty(config: Decoded<typeof ipam>): { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } {
  const { IPv4Address, IPv6Address, LinkLocalIPs } = config
  return { ...(IPv4Address && { IPv4Address }), ...(IPv6Address && { IPv6Address }), ...(LinkLocalIPs?.length && { LinkLocalIPs }) }
}
