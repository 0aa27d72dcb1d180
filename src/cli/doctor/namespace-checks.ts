/**
 * Can namespaces be made here, in the way that the shim makes them? Tried with unshare(1) of util-linux, then explained by the
 * settings that commonly forbid it.
 */
import { type Check, fail, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'

export const UNSHARE_AS_ROOT = ['--net'] as const
export const UNSHARE_AS_USER = ['--user', '--map-root-user', '--net'] as const
/** The rest of what a sandbox has. */
const SANDBOX = ['--mount', '--uts', '--ipc', '--pid', '--fork'] as const

export function checkNamespaces(machine: Machine): Check[] {
  if (machine.which('unshare') === null) {
    return [fail('namespaces', 'cannot be tried: there is no unshare', 'apt-get install util-linux')]
  }
  return machine.uid === 0 ? [checkAsRoot(machine)] : [checkAsUser(machine), checkSubordinateIds(machine)]
}

function checkAsRoot(machine: Machine): Check {
  const tried = machine.run('unshare', [...UNSHARE_AS_ROOT, ...SANDBOX, 'true'])
  if (tried.status === 0) return ok('namespaces', 'network, mount, UTS, IPC and PID namespaces, as root')
  const reason = lastLine(tried.stderr)
  if (/No space left/.test(reason)) return fail('namespaces', `too many namespaces: ${reason}`, 'sysctl -w user.max_net_namespaces=15000')
  return fail(
    'namespaces',
    `this root may not make namespaces: ${reason}`,
    'this is a container without CAP_SYS_ADMIN: start it with --privileged\nor with --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined --device /dev/net/tun'
  )
}

function checkAsUser(machine: Machine): Check {
  const id = 'user-namespaces'
  const tried = machine.run('unshare', [...UNSHARE_AS_USER, ...SANDBOX, 'true'])
  if (tried.status === 0) return ok(id, `${machine.userName} may make namespaces, in a user namespace`)
  const reason = lastLine(tried.stderr)
  const [cause, fix] = explain(machine)
  return fail(
    id,
    `${machine.userName} may not make a user namespace: ${reason || `exit ${tried.status}`}${cause}`,
    `${fix}\nor run netloom as root`
  )
}

/** The likeliest of the settings that forbid it, and its cure. */
function explain(machine: Machine): [cause: string, fix: string] {
  if (machine.read('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return ['; kernel.unprivileged_userns_clone is 0', 'sudo sysctl -w kernel.unprivileged_userns_clone=1']
  }
  if (Number(machine.read('/proc/sys/user/max_user_namespaces') ?? 1) === 0) {
    return ['; user.max_user_namespaces is 0', 'sudo sysctl -w user.max_user_namespaces=15000']
  }
  if (machine.read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return ['; AppArmor restricts them', 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0']
  }
  if (!machine.exists('/proc/self/ns/user')) return ['; this kernel has none', 'use a kernel with CONFIG_USER_NS']
  return ['', 'in a container, start it with: --security-opt seccomp=unconfined']
}

/** Without them a sandbox has one user, root; enough for the demo, not for programs that give up their privileges. */
function checkSubordinateIds(machine: Machine): Check {
  const id = 'subordinate-ids'
  const missing = ['newuidmap', 'newgidmap'].filter((program) => machine.which(program) === null)
  const ranges = ['/etc/subuid', '/etc/subgid'].filter((file) => !hasRange(machine, file))
  if (missing.length === 0 && ranges.length === 0) return ok(id, `${machine.userName} has ranges in /etc/subuid and /etc/subgid`)
  const lacks = [...missing.map((program) => `no ${program}`), ...ranges.map((file) => `no range for ${machine.userName} in ${file}`)].join(
    ', '
  )
  const steps = [
    ...(missing.length > 0 ? ['sudo apt-get install uidmap'] : []),
    ...(ranges.length > 0 ? [`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${machine.userName}`] : [])
  ]
  return warn(id, `${lacks}: in a sandbox every file is root's, and programs that change their user fail`, steps.join('\n'))
}

/** A line is NAME-OR-UID:FIRST:COUNT (subuid(5)). */
function hasRange(machine: Machine, file: string): boolean {
  const lines = (machine.read(file) ?? '').split('\n')
  return lines.some((line) => {
    const [owner, , count] = line.split(':')
    return (owner === machine.userName || owner === String(machine.uid)) && Number(count) > 0
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
