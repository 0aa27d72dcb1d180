/**
 * Platforms as Docker writes them, `linux/arm64` or `linux/arm/v7` (containerd's platforms, which dockerd 20.10 uses).
 */
import { architectureOf } from './image-file.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  /** '' for none. */
  readonly variant: string
}

/** A text that names no platform; the message is Docker's. */
export class PlatformError extends Error {}

const COMPONENT = /^[A-Za-z0-9_-]+$/
const SYSTEMS = ['aix', 'android', 'darwin', 'dragonfly', 'freebsd', 'illumos', 'ios', 'js', 'linux', 'netbsd', 'openbsd', 'plan9']
const KNOWN_SYSTEMS = [...SYSTEMS, 'solaris', 'windows', 'zos']
const ARCHITECTURES = ['386', 'amd64', 'arm', 'arm64', 'loong64', 'mips', 'mips64', 'mips64le', 'mipsle', 'ppc64', 'ppc64le', 'riscv64']
const KNOWN_ARCHITECTURES = [...ARCHITECTURES, 's390x', 'wasm']
/** Other names of an architecture: the usual one, and its variant. */
const ALIASES: Readonly<Record<string, readonly [architecture: string, variant: string]>> = {
  i386: ['386', ''],
  x86_64: ['amd64', ''],
  'x86-64': ['amd64', ''],
  aarch64: ['arm64', ''],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6']
}

/** Throws PlatformError. One word is a system or an architecture; the other is then this machine's. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  const wrong = parts.find((part) => !COMPONENT.test(part))
  if (wrong !== undefined) {
    const rule = 'platform specifier component must match "^[A-Za-z0-9_-]+$"'
    throw new PlatformError(`"${wrong}" is an invalid component of "${text}": ${rule}: invalid argument`)
  }
  if (parts.length > 3) throw new PlatformError(`"${text}": cannot parse platform specifier: invalid argument`)
  const [first, second, third = ''] = parts.map((part) => part.toLowerCase())
  if (second !== undefined) return platform(systemOf(first!), second, third)
  if (KNOWN_SYSTEMS.includes(systemOf(first!))) return platform(systemOf(first!), architectureOf(process.arch), '')
  const alone = platform('linux', first!, '')
  if (KNOWN_ARCHITECTURES.includes(alone.architecture)) return alone
  throw new PlatformError(`"${text}": unknown operating system or architecture: invalid argument`)
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/')
}

/** Whether an image for `has` does where `wanted` was asked for. An image of ARM that names no variant, or a lower one, does. */
export function fitsPlatform(has: Platform, wanted: Platform): boolean {
  if (has.os !== wanted.os || has.architecture !== wanted.architecture) return false
  if (wanted.architecture !== 'arm') return true
  const version = ({ variant }: Platform): number => Number(/^v(\d+)$/.exec(variant)?.[1] ?? 7)
  return has.variant === '' || version(has) <= version(wanted)
}

function systemOf(name: string): string {
  return name === 'macos' ? 'darwin' : name
}

/** With the architecture's usual name; what a variant says anyway is left out. */
function platform(os: string, name: string, given: string): Platform {
  const [architecture, implied] = ALIASES[name] ?? [name, '']
  const variant = given === '' ? implied : /^\d$/.test(given) ? `v${given}` : given
  if (architecture === 'arm64' && variant === 'v8') return { os, architecture, variant: '' }
  if (architecture === 'arm' && variant === '') return { os, architecture, variant: 'v7' }
  return { os, architecture, variant }
}
