/** /dev/net/tun, and a TAP opened with every offload in a namespace of its own. */
import path from 'node:path'
import { type Check, fail, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'
import { UNSHARE_AS_ROOT, UNSHARE_AS_USER } from './namespace-checks.ts'
import type { TapProbeResult } from './tap-probe.ts'
import { nameOffloads } from './tun-offloads.ts'

const TUN = '/dev/net/tun'
const PROBE = path.join(import.meta.dirname, 'tap-probe.js')

export function checkTunDevice(machine: Machine): Check {
  if (!machine.exists(TUN)) {
    return fail('tun', `there is no ${TUN}`, 'modprobe tun\nin a container, start it with: --device /dev/net/tun --cap-add NET_ADMIN')
  }
  if (machine.may(TUN, 'rw')) return ok('tun', `${TUN} can be opened`)
  if (machine.uid === 0) return fail('tun', `root may not open ${TUN}`, 'start this container with: --device /dev/net/tun')
  return fail(
    'tun',
    `${machine.userName} may not open ${TUN}`,
    `let every user open it, as udev does elsewhere: sudo chmod 0666 ${TUN}\nor run netloom as root`
  )
}

/** Only sense can be made of it when the addon, the device and the namespaces are there. */
export function checkTap(machine: Machine): Check {
  const unshare = machine.uid === 0 ? UNSHARE_AS_ROOT : UNSHARE_AS_USER
  const ran = machine.run('unshare', [...unshare, process.execPath, PROBE])
  const result = parse(ran.stdout)
  if (result === null)
    return fail(
      'tap',
      `the probe of a TAP failed: ${firstLine(ran.stderr) || `exit ${ran.status}`}`,
      'run it again with --debug and report it'
    )
  if (result.error) return fail('tap', `a TAP cannot be made: ${result.error.message}`, fixFor(result.error.code, machine))
  const { granted, refused } = nameOffloads(result.offloads ?? 0)
  const detail = `a TAP in a new namespace, with offloads ${granted.join(', ') || 'none'}`
  if (!granted.includes('TSO4')) {
    return warn(
      'tap',
      `${detail}: every TCP segment crosses on its own, about a sixth of the speed`,
      'run a kernel with TSO on TAPs (any since 3.0)'
    )
  }
  return ok('tap', refused.length > 0 ? `${detail}; not ${refused.join(', ')}` : detail)
}

function fixFor(code: string, machine: Machine): string {
  if (code !== 'EPERM' && code !== 'EACCES') return 'run `netloom doctor --debug` and report it'
  if (machine.uid === 0) return 'this root lacks CAP_NET_ADMIN: start the container with --cap-add NET_ADMIN --device /dev/net/tun'
  return 'a security module takes the capabilities away from user namespaces (see user-namespaces above)\nor run netloom as root'
}

function parse(text: string): TapProbeResult | null {
  try {
    return JSON.parse(text) as TapProbeResult
  } catch {
    return null
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
