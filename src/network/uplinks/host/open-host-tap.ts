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
export async function openHostTap(host: HostNamespace, name: string, timers: Timers = realTimers): Promise<OpenedTap> {
  for (let waited = 0; ; waited += RETRY_MS) {
    try {
      return openTap(host.native, { netns: host.fd, name })
    } catch (error) {
      if ((error as SystemCallError).code !== 'EBUSY' || waited >= PATIENCE_MS) throw explained(name, error as SystemCallError)
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

function explained(name: string, error: SystemCallError): Error {
  const what = `the interface ${name} cannot be made on the host: ${error.message}`
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
