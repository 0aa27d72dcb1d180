/**
 * What Docker refuses in a create request before anything is made (moby: daemon/container.go, verifyContainerSettings), and what it
 * only warns of. Names, addresses and ports of networks are networking's to check.
 */
import { ApiError } from '../../api/api-error.ts'
import type { HealthConfig, RestartPolicy } from '../../api/container-json.ts'
import type { ConfigBody, HostConfigBody } from '../../api/container-shapes.ts'
import { capabilitySet } from '../../sandbox/capabilities.ts'
import { signalNumber } from './signals.ts'

/** Least memory, as Docker has it. */
const MIN_MEMORY = 6 << 20

/** Nanoseconds. */
const MILLISECOND = 1_000_000

const given = (value: readonly unknown[] | object | string | null): boolean => value !== null && Object.keys(value).length > 0

/** What is taken, since scripts give it, and does nothing: said, so that nobody relies on it. */
const WITHOUT_EFFECT: readonly (readonly [flag: string, isAsked: (host: HostConfigBody) => boolean])[] = [
  ['--blkio-weight', ({ BlkioWeight }) => BlkioWeight > 0],
  ['--cgroup-parent', ({ CgroupParent }) => given(CgroupParent)],
  ['--cgroupns', ({ CgroupnsMode }) => CgroupnsMode === 'private'],
  ['--cpu-shares', ({ CpuShares }) => CpuShares > 0],
  ['--cpuset-cpus', ({ CpusetCpus }) => given(CpusetCpus)],
  ['--cpuset-mems', ({ CpusetMems }) => given(CpusetMems)],
  ['--device', ({ Devices }) => given(Devices)],
  ['--device-cgroup-rule', ({ DeviceCgroupRules }) => given(DeviceCgroupRules)],
  ['--group-add', ({ GroupAdd }) => given(GroupAdd)],
  ['--ipc', ({ IpcMode }) => !['', 'private', 'shareable'].includes(IpcMode)],
  ['--kernel-memory', ({ KernelMemory }) => KernelMemory > 0],
  ['--memory-reservation', ({ MemoryReservation }) => MemoryReservation > 0],
  ['--memory-swap', ({ MemorySwap }) => MemorySwap > 0],
  // The client's own default is -1.
  ['--memory-swappiness', ({ MemorySwappiness }) => MemorySwappiness !== null && MemorySwappiness >= 0],
  ['--oom-kill-disable', ({ OomKillDisable }) => OomKillDisable === true],
  ['--oom-score-adj', ({ OomScoreAdj }) => OomScoreAdj !== 0],
  ['--pid', ({ PidMode }) => given(PidMode)],
  ['--storage-opt', ({ StorageOpt }) => given(StorageOpt)],
  ['--ulimit', ({ Ulimits }) => given(Ulimits)],
  ['--userns', ({ UsernsMode }) => given(UsernsMode)],
  ['--uts', ({ UTSMode }) => given(UTSMode)],
  ['--volume-driver', ({ VolumeDriver }) => given(VolumeDriver)]
]

/** Throws ApiError 400. */
export function verifyConfig(config: ConfigBody): void {
  const { WorkingDir, StopSignal, Env, Healthcheck } = config
  if (WorkingDir !== '' && !WorkingDir.startsWith('/')) {
    throw ApiError.badRequest(`the working directory '${WorkingDir}' is invalid, it needs to be an absolute path`)
  }
  if (StopSignal !== '') signalNumber(StopSignal)
  for (const entry of Env ?? []) {
    if (entry === '' || entry.startsWith('=')) throw ApiError.badRequest(`invalid environment variable: ${entry}`)
  }
  for (const text of [...(config.Cmd ?? []), ...(config.Entrypoint ?? []), ...(Env ?? []), WorkingDir, config.User]) {
    if (text.includes('\0')) throw ApiError.badRequest('a NUL byte in a command, its environment, directory or user')
  }
  if (Healthcheck !== null) verifyHealthcheck(Healthcheck)
}

/** Throws ApiError 400. Returns warnings. */
export function verifyHostConfig(host: HostConfigBody): string[] {
  const warnings: string[] = []
  if (host.AutoRemove && isRestarting(host.RestartPolicy)) {
    throw ApiError.badRequest("can't create 'AutoRemove' container with restart policy")
  }
  verifyRestartPolicy(host.RestartPolicy)
  try {
    capabilitySet(host.CapAdd ?? [], host.CapDrop ?? [])
  } catch (error) {
    throw ApiError.badRequest((error as Error).message, { cause: error })
  }
  if (host.ShmSize < 0) throw ApiError.badRequest('SHM size can not be less than 0')
  if (host.Memory > 0 && host.Memory < MIN_MEMORY) throw ApiError.badRequest('Minimum memory limit allowed is 6MB')
  if (host.NanoCpus !== 0) verifyCpus(host)
  if (host.Runtime !== '' && host.Runtime !== 'runc') throw ApiError.badRequest(`Unknown runtime specified ${host.Runtime}`)
  if (!['', 'json-file', 'local', 'none'].includes(host.LogConfig.Type)) {
    throw ApiError.badRequest(`logger: no log driver named '${host.LogConfig.Type}' is registered`)
  }
  for (const name of Object.keys(host.Sysctls ?? {})) {
    if (!/^net\.[\w.-]+$/.test(name) || name.split('.').includes('')) {
      throw ApiError.badRequest(`sysctl ${name} is outside of what netloom does: only those of net.* are`)
    }
    if (host.NetworkMode === 'host') throw ApiError.badRequest(`sysctl "${name}" not allowed in host network namespace`)
  }
  if ((host.DeviceRequests?.length ?? 0) > 0) {
    throw ApiError.badRequest('could not select device driver "" with capabilities: devices are outside of what netloom does')
  }
  for (const [flag, isAsked] of WITHOUT_EFFECT) {
    if (isAsked(host)) warnings.push(`${flag} is outside of what netloom does: it is without effect.`)
  }
  if ((host.SecurityOpt ?? []).some((option) => /seccomp|apparmor|label/.test(option))) {
    warnings.push('netloom is not a security boundary: --security-opt is without effect.')
  }
  return warnings
}

/** Throws ApiError 400 with Docker's texts. */
export function verifyRestartPolicy({ Name, MaximumRetryCount }: RestartPolicy): void {
  if (['always', 'unless-stopped', 'no'].includes(Name)) {
    if (MaximumRetryCount !== 0) throw ApiError.badRequest(`maximum retry count cannot be used with restart policy '${Name}'`)
  } else if (Name === 'on-failure') {
    if (MaximumRetryCount < 0) throw ApiError.badRequest('maximum retry count cannot be negative')
  } else if (Name !== '') {
    throw ApiError.badRequest(`invalid restart policy '${Name}'`)
  }
}

function isRestarting({ Name }: RestartPolicy): boolean {
  return Name !== '' && Name !== 'no'
}

function verifyCpus(host: HostConfigBody): void {
  if (host.CpuPeriod > 0) throw ApiError.badRequest('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (host.CpuQuota > 0) throw ApiError.badRequest('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  if (host.NanoCpus < 0) throw ApiError.badRequest('range of CPUs is from 0.01 upwards')
}

function verifyHealthcheck({ Interval, Timeout, StartPeriod, Retries }: HealthConfig): void {
  const tooShort = (value: number | undefined): boolean => value !== undefined && value !== 0 && value < MILLISECOND
  if (tooShort(Interval)) throw ApiError.badRequest('Interval in Healthcheck cannot be less than 1ms')
  if (tooShort(Timeout)) throw ApiError.badRequest('Timeout in Healthcheck cannot be less than 1ms')
  if ((Retries ?? 0) < 0) throw ApiError.badRequest('Retries in Healthcheck cannot be negative')
  if (tooShort(StartPeriod)) throw ApiError.badRequest('StartPeriod in Healthcheck cannot be less than 1ms')
}
