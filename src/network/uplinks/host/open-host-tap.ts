import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { realTimers, type Timers } from '../../../engine/clock.ts'
import type { TopologyElement } from '../../../engine/index.ts'
import type { OpenedTap, SystemCallError } from '../../../io/native-binding.ts'
import { openTap } from '../../../io/tap-device.ts'
import { NetworkError } from '../../network-error.ts'
import type { HostNamespace } from './host-namespace.ts'

/** A killed daemon's TAPs go one after the other, each after up to 30 ms: the next daemon may come meanwhile. */
const PATIENCE_MS = 5000
const RETRY_MS = 20

/**
 * Opens the host's end of a cable to the engine. Rejects with NetworkError: `unsupported` without the right or the device, `conflict` when
 * another interface or another process has the name.
 */
export async function openHostTap(host: HostNamespace, name: string, timers: Timers = realTimers, offloads?: number): Promise<OpenedTap> {
  for (let waited = 0; ; waited += RETRY_MS) {
    try {
      return openTap(host.native, { netns: host.fd, name, offloads })
    } catch (error) {
      const isBusy = (error as SystemCallError).code === 'EBUSY'
      const holder = isBusy ? holderOf(host, name) : null
      if (!isBusy || holder !== null || waited >= PATIENCE_MS) throw explained(name, error as SystemCallError, holder)
    }
    await new Promise<void>((resolve) => {
      timers.after(RETRY_MS, resolve)
    })
  }
}

/** The TAP as an element of the engine, which owns the descriptor from then on. */
export function tapElementOf({ fd, name, vnetHeaderLength, offloads }: OpenedTap, mtu: number): TopologyElement {
  return { type: 'tap', options: { fd, name, mtu, vnetHeaderLength, offloads } }
}

/** Of which the kernel makes no interface (dev_valid_name). */
const IMPOSSIBLE_NAME = /^\.{1,2}$|[/:\s]/

/**
 * The process of this namespace that has the TAP open and lives: one that was killed has given up its table of descriptors, and the
 * interface goes soon. Only root sees others' descriptors.
 */
function holderOf({ namespaceInode }: HostNamespace, name: string): number | null {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (statSync(`/proc/${pid}/ns/net`).ino !== namespaceInode) continue
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== '/dev/net/tun') continue
        const told = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').split('\n')
        if (told.some((line) => line.startsWith('iff:') && line.slice('iff:'.length).trim() === name)) return Number(pid)
      }
    } catch {} // it ended meanwhile, or is hidden from us
  }
  return null
}

function explained(name: string, error: SystemCallError, holder: number | null): Error {
  const what = `the interface ${name} cannot be made on the host: ${error.message}`
  if (holder !== null) {
    const fix = holder === process.pid ? undefined : `end that daemon: kill ${holder}`
    return new NetworkError('conflict', `the interface ${name} on this host is process ${holder}'s`, { cause: error, fix })
  }
  if (IMPOSSIBLE_NAME.test(name)) {
    return new NetworkError('invalid', `no interface of the host can be called '${name}'`, { cause: error, fix: 'choose another name' })
  }
  switch (error.code) {
    case 'EBUSY':
    case 'EINVAL': // an interface of another kind
    case 'EEXIST':
      return new NetworkError('conflict', what, { cause: error, fix: `end what has it, or remove it: ip link delete ${name}` })
    case 'EPERM':
    case 'EACCES':
      return new NetworkError('unsupported', what, { cause: error, fix: 'run the daemon as root, or with --uplink user' })
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new NetworkError('unsupported', what, { cause: error, fix: 'modprobe tun; `netloom doctor` says more' })
    default:
      return error
  }
}
