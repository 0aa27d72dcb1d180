/**
 * Docker's JSON of containers, with exactly its member names (Engine API 1.41, daemon 20.10).
 */
import type { EndpointSettings, NetworkSettings, PortMap, PortSummary } from './network-json.ts'

/** Durations are nanoseconds. */
export interface HealthConfig {
  Test?: string[]
  Interval?: number
  Timeout?: number
  StartPeriod?: number
  Retries?: number
}

/** What is independent of the host. */
export interface ContainerConfig {
  Hostname: string
  Domainname: string
  User: string
  AttachStdin: boolean
  AttachStdout: boolean
  AttachStderr: boolean
  ExposedPorts?: Record<string, object>
  Tty: boolean
  OpenStdin: boolean
  StdinOnce: boolean
  Env: string[] | null
  Cmd: string[] | null
  Healthcheck?: HealthConfig
  ArgsEscaped?: boolean
  Image: string
  Volumes: Record<string, object> | null
  WorkingDir: string
  Entrypoint: string[] | null
  NetworkDisabled?: boolean
  MacAddress?: string
  OnBuild: string[] | null
  Labels: Record<string, string> | null
  StopSignal?: string
  /** Seconds; -1: for ever. */
  StopTimeout?: number
  Shell?: string[]
}

export interface RestartPolicy {
  Name: string
  MaximumRetryCount: number
}

export interface LogConfig {
  Type: string
  Config: Record<string, string>
}

/** `--mount`, as it comes and as inspect shows it again. */
export interface MountRequest {
  Type: string
  Source?: string
  Target: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: { Propagation?: string; NonRecursive?: boolean }
  VolumeOptions?: {
    NoCopy?: boolean
    Labels?: Record<string, string>
    DriverConfig?: { Name?: string; Options?: Record<string, string> }
    /** Of API 1.45. Newer clients send it whatever was negotiated. */
    Subpath?: string
  }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number }
}

/** What depends on the host. */
export interface HostConfig {
  Binds: string[] | null
  ContainerIDFile: string
  LogConfig: LogConfig
  NetworkMode: string
  PortBindings: PortMap | null
  RestartPolicy: RestartPolicy
  AutoRemove: boolean
  /** For an OCI runtime, of which there is none here. */
  Annotations?: Record<string, string>
  VolumeDriver: string
  VolumesFrom: string[] | null
  CapAdd: string[] | null
  CapDrop: string[] | null
  CgroupnsMode: string
  Dns: string[] | null
  DnsOptions: string[] | null
  DnsSearch: string[] | null
  ExtraHosts: string[] | null
  GroupAdd: string[] | null
  IpcMode: string
  Cgroup: string
  Links: string[] | null
  OomScoreAdj: number
  PidMode: string
  Privileged: boolean
  PublishAllPorts: boolean
  ReadonlyRootfs: boolean
  SecurityOpt: string[] | null
  StorageOpt?: Record<string, string>
  Tmpfs?: Record<string, string>
  UTSMode: string
  UsernsMode: string
  ShmSize: number
  Sysctls?: Record<string, string>
  Runtime: string
  ConsoleSize: [number, number]
  Isolation: string
  CpuShares: number
  Memory: number
  NanoCpus: number
  CgroupParent: string
  BlkioWeight: number
  BlkioWeightDevice: unknown[] | null
  BlkioDeviceReadBps: unknown[] | null
  BlkioDeviceWriteBps: unknown[] | null
  BlkioDeviceReadIOps: unknown[] | null
  BlkioDeviceWriteIOps: unknown[] | null
  CpuPeriod: number
  CpuQuota: number
  CpuRealtimePeriod: number
  CpuRealtimeRuntime: number
  CpusetCpus: string
  CpusetMems: string
  Devices: unknown[] | null
  DeviceCgroupRules: string[] | null
  DeviceRequests: unknown[] | null
  KernelMemory: number
  KernelMemoryTCP: number
  MemoryReservation: number
  MemorySwap: number
  MemorySwappiness: number | null
  OomKillDisable: boolean | null
  PidsLimit: number | null
  Ulimits: unknown[] | null
  CpuCount: number
  CpuPercent: number
  IOMaximumIOps: number
  IOMaximumBandwidth: number
  Mounts?: MountRequest[]
  MaskedPaths: string[] | null
  ReadonlyPaths: string[] | null
  Init?: boolean
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

export interface ContainerHealth {
  Status: string
  FailingStreak: number
  Log: { Start: string; End: string; ExitCode: number; Output: string }[] | null
}

/** Times are RFC 3339 with up to nine digits, UTC. */
export interface ContainerState {
  Status: ContainerStatus
  Running: boolean
  Paused: boolean
  Restarting: boolean
  OOMKilled: boolean
  Dead: boolean
  /** On the host; 0 when it does not run. */
  Pid: number
  ExitCode: number
  Error: string
  StartedAt: string
  FinishedAt: string
  Health?: ContainerHealth
}

/** `Mounts` of inspect and of the list. */
export interface MountPoint {
  Type: string
  Name?: string
  Source: string
  Destination: string
  Driver?: string
  Mode: string
  RW: boolean
  Propagation: string
}

export interface CreateResponse {
  Id: string
  Warnings: string[]
}

/** GET /containers/{id}/json. */
export interface ContainerInspect {
  Id: string
  Created: string
  Path: string
  Args: string[]
  State: ContainerState
  Image: string
  ResolvConfPath: string
  HostnamePath: string
  HostsPath: string
  LogPath: string
  Name: string
  RestartCount: number
  Driver: string
  Platform: string
  MountLabel: string
  ProcessLabel: string
  AppArmorProfile: string
  ExecIDs: string[] | null
  HostConfig: HostConfig
  GraphDriver: { Data: Record<string, string>; Name: string }
  SizeRw?: number
  SizeRootFs?: number
  Mounts: MountPoint[]
  Config: ContainerConfig
  NetworkSettings: NetworkSettings
}

/** One line of GET /containers/json. `Created` is seconds since 1970. */
export interface ContainerSummary {
  Id: string
  Names: string[]
  Image: string
  ImageID: string
  Command: string
  Created: number
  Ports: PortSummary[]
  SizeRw?: number
  SizeRootFs?: number
  Labels: Record<string, string>
  State: string
  Status: string
  HostConfig: { NetworkMode: string }
  NetworkSettings: { Networks: Record<string, EndpointSettings> }
  Mounts: MountPoint[]
}

export interface ExecInspect {
  ID: string
  Running: boolean
  ExitCode: number | null
  ProcessConfig: { tty: boolean; entrypoint: string; arguments: string[]; privileged: boolean; user?: string }
  OpenStdin: boolean
  OpenStderr: boolean
  OpenStdout: boolean
  CanRemove: boolean
  ContainerID: string
  DetachKeys: string
  Pid: number
}
