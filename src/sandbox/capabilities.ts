import { SandboxError } from './sandbox-error.ts'

/** linux/capability.h: the index is the bit. */
const NAMES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE'
].map((name) => `CAP_${name}`)

/** What a container's root may do by default (Docker: "Runtime privilege and Linux capabilities"). */
const DEFAULT = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE'
].map((name) => `CAP_${name}`)

/**
 * The capabilities of `docker run --cap-add ADD --cap-drop DROP`: names in any case, with or without CAP_, or ALL.
 * Throws SandboxError EINVAL with Docker's sentence for a name that is none.
 */
export function capabilitySet(add: readonly string[] = [], drop: readonly string[] = []): readonly string[] {
  const added = normalized('CapAdd', add)
  const dropped = normalized('CapDrop', drop)
  const base = added.includes('ALL') ? NAMES : dropped.includes('ALL') ? [] : DEFAULT
  const kept = base.filter((name) => !dropped.includes(name))
  const more = added.filter((name) => name !== 'ALL' && !kept.includes(name) && !(added.includes('ALL') && dropped.includes(name)))
  return [...kept, ...more]
}

/** As the kernel counts them: bit N for capability N, in hexadecimal. */
export function capabilityMask(capabilities: readonly string[] | 'all'): string {
  if (capabilities === 'all') return 'ffffffffffffffff'
  let mask = 0n
  for (const name of capabilities) {
    const bit = NAMES.indexOf(name)
    if (bit < 0) throw new SandboxError('EINVAL', `'${name}' is no capability`)
    mask |= 1n << BigInt(bit)
  }
  return mask.toString(16)
}

function normalized(option: string, names: readonly string[]): string[] {
  return names.map((name) => {
    const upper = name.toUpperCase()
    if (upper === 'ALL') return upper
    const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    if (!NAMES.includes(full)) throw new SandboxError('EINVAL', `invalid ${option}: unknown capability: "${full}"`)
    return full
  })
}
