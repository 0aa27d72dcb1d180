import path from 'node:path'
import { capabilityMask, capabilitySet } from './capabilities.ts'
import { SandboxError } from './sandbox-error.ts'
import type { MountOptions, RootOptions, SandboxOptions } from './sandbox-options.ts'
import type { ShimField } from './shim-message.ts'

/** Puts the options into the shim's words (native/shim/README.md, verb setup). Throws SandboxError EINVAL. */
export function setupRequest(options: SandboxOptions): ShimField[] {
  const { name, root, mounts = [], limits = {}, network = 'own', privileged = false } = options
  const hostname = options.hostname ?? name
  if (hostname === '' || Buffer.byteLength(hostname) > 64 || /[\n\0]/.test(hostname)) {
    throw new SandboxError('EINVAL', `sandbox ${name}: hostname '${hostname}' must be one line of 1 to 64 bytes`)
  }
  if (mounts.length > 0 && !root) throw new SandboxError('EINVAL', `sandbox ${name}: mounts need a root`)
  const fields: ShimField[] = [
    'setup',
    `hostname=${hostname}`,
    `userns=${options.userNamespace ?? 'auto'}`,
    `init=${options.init === false ? 0 : 1}`,
    `network=${typeof network === 'string' ? network : network.pid}`
  ]
  if (options.domainname) fields.push(`domainname=${options.domainname}`)
  if (privileged) fields.push('privileged=1')
  const capabilities = options.capabilities ?? (privileged || !root ? 'all' : capabilitySet())
  fields.push(`caps=${capabilityMask(capabilities)}`)
  if (root) fields.push(...rootFields(root), ...mounts.map(mountField))
  if (limits.memory !== undefined) fields.push(`memory=${limits.memory}`)
  if (limits.cpus !== undefined) fields.push(`cpu-quota=${Math.round(limits.cpus * 100_000)}`)
  if (limits.pids !== undefined) fields.push(`pids=${limits.pids}`)
  return fields
}

function rootFields({ image, directory, readonly, hide = [] }: RootOptions): ShimField[] {
  const fields: ShimField[] = [`directory=${path.resolve(directory)}`, `readonly=${readonly ? 1 : 0}`]
  if (image === 'host') fields.push('root=host', ...hide.map((hidden) => `hide=${path.resolve(hidden)}`))
  else fields.push('root=layers', ...image.map((layer) => `layer=${path.resolve(layer)}`))
  for (const field of fields) if (String(field).includes('\0')) throw new SandboxError('EINVAL', 'a NUL byte in a path of the root')
  return fields
}

function mountField({ type, source = '', target, readonly, propagation = '', options = '' }: MountOptions): ShimField {
  const parts = [type, source, target, readonly ? 'ro' : 'rw', propagation, options]
  if (parts.some((part) => part.includes('\0'))) throw new SandboxError('EINVAL', `a NUL byte in mount ${target}`)
  return `mount=${parts.join('\0')}`
}
