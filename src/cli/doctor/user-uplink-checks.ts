/** The uplink `user`: the ordinary user's way out, and root's where `host` cannot be had. */
import { SandboxError } from '../../sandbox/sandbox-error.ts'
import { type Check, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'
import { howToBuild, type NativeParts } from './native-checks.ts'

const ID = 'user-uplink'
/** Groups whose members may have ping sockets (icmp(7)): the first and the last number. */
const PING_GROUPS = '/proc/sys/net/ipv4/ping_group_range'
/** Of the helper's descriptors: its own, and what one container alone may have of the rest (native/uplink: control.cc, source_shares.h). */
const HELPERS_OWN = 256
const TIMES_FREE = 2
const DESCRIPTORS_OF_CONNECTION = 2

/** `needed`: checks of what every sandbox needs (addon, /dev/net/tun, namespaces); the helper of this uplink is in one. */
export function checkUserUplink(machine: Machine, { findUplink }: NativeParts, needed: readonly Check[]): Check {
  let helper: string
  try {
    helper = findUplink()
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error
    return warn(ID, `--uplink user cannot be had: ${error.message}`, howToBuild(machine))
  }
  if (!machine.may(helper, 'x')) {
    const fix = `chmod +x ${helper}\nor install on a file system that is not mounted noexec`
    return warn(ID, `--uplink user cannot be had: ${helper} cannot be executed`, fix)
  }
  const failed = needed.filter(({ status }) => status === 'fail').map(({ id }) => id)
  if (failed.length > 0) return warn(ID, `--uplink user cannot be had: see ${failed.join(', ')} above`, 'mend what failed above')
  const room = roomOf(machine)
  if (!mayPing(machine)) {
    const sudo = machine.uid === 0 ? '' : 'sudo '
    return warn(
      ID,
      `${helper}; containers of --uplink user cannot ping the outside, all else works${room}`,
      `${sudo}sysctl -w net.ipv4.ping_group_range="0 2147483647"`
    )
  }
  return ok(ID, `${helper}, and ping sockets${room}`)
}

/** How many connections the hard limit of open files allows, to which the helper raises its own; '' where the kernel does not say. */
function roomOf(machine: Machine): string {
  const limit = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(machine.read('/proc/self/limits') ?? '')?.[1])
  if (!(limit > HELPERS_OWN)) return ''
  const most = Math.floor((TIMES_FREE * (limit - HELPERS_OWN)) / (TIMES_FREE + 1) / DESCRIPTORS_OF_CONNECTION)
  return `; one container may have ${most.toLocaleString('en-US')} TCP connections at once (at most ${limit} open files: ulimit -Hn)`
}

/** A kernel that does not say is taken to allow it: the daemon tells when it does not. */
function mayPing(machine: Machine): boolean {
  const range = machine.read(PING_GROUPS)?.trim().split(/\s+/).map(Number)
  if (range?.length !== 2) return true
  const [first, last] = range as [number, number]
  return machine.groups.some((group) => group >= first && group <= last)
}
