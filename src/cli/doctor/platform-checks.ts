/** Kernel, Node, memory and limits. */
import { type Check, fail, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'

interface KernelFeature {
  readonly since: readonly [major: number, minor: number]
  readonly name: string
  readonly without: string
}

const KERNEL_FEATURES: readonly KernelFeature[] = [
  { since: [5, 11], name: 'epoll_pwait2', without: 'waits are rounded up to a millisecond' },
  { since: [6, 2], name: 'UDP segmentation on TAPs (USO)', without: 'UDP super-frames are cut by the kernel' },
  { since: [6, 17], name: 'UDP tunnel segmentation on TAPs', without: 'VXLAN super-frames over a TAP are cut in software' }
]

const OLDEST_NODE = 20
/** Two chunks of frames (50 MiB), the engine's tables, node and a sandbox or two. */
const NEEDED_MIB = 384
/** The frame pool may grow to this under load: 64 small and 32 large chunks (see engine/frame-pool.ts). */
const POOL_LIMIT_MIB = 64 * 16 + 32 * 34
/** A sandbox takes about ten descriptors. */
const NEEDED_FILES = 1024

export function checkPlatform(machine: Machine): Check[] {
  return [checkKernel(machine), checkNode(machine), checkMemory(machine), checkOpenFiles(machine)]
}

function checkKernel(machine: Machine): Check {
  if (machine.platform !== 'linux') {
    return fail('kernel', `this is ${machine.platform}: TAP devices and sandboxes need Linux`, 'use a Linux machine or virtual machine')
  }
  const [major = 0, minor = 0] = machine.kernelRelease.split('.').map((part) => Number.parseInt(part, 10))
  const missing = KERNEL_FEATURES.filter(({ since }) => major < since[0] || (major === since[0] && minor < since[1]))
  const told = missing.map(({ since, name, without }) => `no ${name} (Linux ${since.join('.')}): ${without}`)
  const detail = [`Linux ${machine.kernelRelease}`, ...told].join('; ')
  const [oldest] = KERNEL_FEATURES
  return oldest && missing.includes(oldest)
    ? warn('kernel', detail, 'run a newer kernel: 5.11 at least, 6.2 or newer is better')
    : ok('kernel', detail)
}

function checkNode(machine: Machine): Check {
  const major = Number.parseInt(machine.nodeVersion, 10)
  const detail = `Node.js ${machine.nodeVersion}`
  if (major >= OLDEST_NODE) return ok('node', detail)
  return fail('node', `${detail}: too old`, `install Node.js ${OLDEST_NODE} or newer`)
}

function checkMemory(machine: Machine): Check {
  const kib = /^MemAvailable:\s+(\d+) kB/m.exec(machine.read('/proc/meminfo') ?? '')?.[1]
  if (kib === undefined) return warn('memory', 'the free memory cannot be told: /proc/meminfo cannot be read', 'mount /proc')
  const free = Math.floor(Number(kib) / 1024)
  const limit = controlGroupRoom(machine)
  const available = Math.min(free, limit)
  const detail = `${available} MiB available${limit < free ? ' in this control group' : ''}; frames take 50 MiB, ${POOL_LIMIT_MIB} MiB at most`
  if (available >= NEEDED_MIB) return ok('memory', detail)
  return warn('memory', detail, `free some memory: ${NEEDED_MIB} MiB are needed for the demo`)
}

/** MiB that the control group (version 2) of this process may still take. */
function controlGroupRoom(machine: Machine): number {
  const group = /^0::(.*)$/m.exec(machine.read('/proc/self/cgroup') ?? '')?.[1]
  if (group === undefined) return Number.POSITIVE_INFINITY
  const folder = `/sys/fs/cgroup${group === '/' ? '' : group}`
  const limit = Number(machine.read(`${folder}/memory.max`) ?? Number.NaN)
  const used = Number(machine.read(`${folder}/memory.current`) ?? 0)
  return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : Math.floor(Math.max(0, limit - used) / 1024 / 1024)
}

function checkOpenFiles(machine: Machine): Check {
  const limits = /^Max open files\s+(\S+)\s+(\S+)/m.exec(machine.read('/proc/self/limits') ?? '')
  const soft = limits?.[1]
  if (soft === undefined) return warn('open-files', 'the limit of open files cannot be told', 'mount /proc')
  if (soft === 'unlimited' || Number(soft) >= NEEDED_FILES) return ok('open-files', `up to ${soft} open files`)
  return warn('open-files', `up to ${soft} open files (at most ${limits?.[2]}): a few hundred endpoints`, 'raise it: ulimit -n 65536')
}
