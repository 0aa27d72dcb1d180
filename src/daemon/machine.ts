/** What `/info` and `/version` tell of the machine, read from it each time. */
import { readdirSync, readFileSync } from 'node:fs'
import { arch, cpus, hostname, release, totalmem } from 'node:os'

/** node's names of processors -> Go's and uname's. */
const ARCHITECTURES: Readonly<Record<string, readonly [go: string, uname: string]>> = {
  x64: ['amd64', 'x86_64'],
  arm64: ['arm64', 'aarch64'],
  arm: ['arm', 'armv7l'],
  ia32: ['386', 'i686']
}

export function goArchitecture(): string {
  return ARCHITECTURES[arch()]?.[0] ?? arch()
}

export interface CgroupSupport {
  readonly version: '1' | '2'
  readonly controllers: ReadonlySet<string>
}

export function machineInfo(): Record<string, unknown> {
  const { version, controllers } = cgroupSupport()
  const release_ = osRelease()
  const hasMemory = controllers.has('memory')
  const hasCpu = controllers.has('cpu')
  return {
    MemoryLimit: hasMemory,
    SwapLimit: hasMemory,
    KernelMemory: hasMemory,
    KernelMemoryTCP: hasMemory,
    CpuCfsPeriod: hasCpu,
    CpuCfsQuota: hasCpu,
    CPUShares: hasCpu,
    CPUSet: controllers.has('cpuset'),
    PidsLimit: controllers.has('pids'),
    OomKillDisable: hasMemory && version === '1',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: version,
    NFd: readdirSync('/proc/self/fd').length,
    KernelVersion: release(),
    OperatingSystem: release_['PRETTY_NAME'] ?? 'Linux',
    OSVersion: release_['VERSION_ID'] ?? '',
    OSType: 'linux',
    Architecture: ARCHITECTURES[arch()]?.[1] ?? arch(),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    Name: hostname()
  }
}

/** Controllers that a container's limits could use. */
function cgroupSupport(): CgroupSupport {
  const unified = words(read('/sys/fs/cgroup/cgroup.controllers'))
  if (unified.length > 0) return { version: '2', controllers: new Set(unified) }
  const enabled = read('/proc/cgroups')
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([name, , , isEnabled]) => name !== undefined && !name.startsWith('#') && isEnabled === '1')
  return { version: '1', controllers: new Set(enabled.map(([name]) => name!)) }
}

/** os-release(5). */
function osRelease(): Record<string, string> {
  const lines = read('/etc/os-release').split('\n')
  const pairs = lines.map((line) => /^([A-Z_]+)=(.*)$/.exec(line)).filter((match) => match !== null)
  return Object.fromEntries(pairs.map(([, name, value]) => [name!, value!.replace(/^(["'])(.*)\1$/, '$2')]))
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/** '' for what is not there. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
