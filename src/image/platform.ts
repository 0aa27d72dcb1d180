/**
 * Platforms as Docker writes them, `linux/arm64` or `linux/arm/v7`: what containerd 1.6 reads, which dockerd 20.10 uses, its texts
 * included (asked of a real daemon).
 */

import { ImageError } from './image-error.ts'
import { architectureOf } from './image-file.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  /** '' for none. */
  readonly variant: string
}

const COMPONENT = /^[A-Za-z0-9_-]+$/
/** What is known by one word alone; of two, any will do. */
const SYSTEMS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(' ')
)
const ARCHITECTURES = new Set([
  ...['386', 'amd64', 'amd64p32', 'arm', 'armbe', 'arm64', 'arm64be', 'loong64', 'mips', 'mipsle', 'mips64', 'mips64le', 'mips64p32'],
  ...['mips64p32le', 'ppc', 'ppc64', 'ppc64le', 'riscv', 'riscv64', 's390', 's390x', 'sparc', 'sparc64', 'wasm']
])

/** Throws ImageError 'invalid', with Docker's text. One word is a system or an architecture; the other is then this machine's. */
export function parsePlatform(text: string): Platform {
  const invalid = (why: string): ImageError => new ImageError('invalid', `${why}: invalid argument`)
  const whole = JSON.stringify(text)
  if (text.includes('*')) throw invalid(`${whole}: wildcards not yet supported`)
  const parts = text.split('/')
  const wrong = parts.find((part) => !COMPONENT.test(part))
  if (wrong !== undefined) {
    throw invalid(
      `${JSON.stringify(wrong)} is an invalid component of ${whole}: platform specifier component must match "${COMPONENT.source}"`
    )
  }
  if (parts.length > 3) throw invalid(`${whole}: cannot parse platform specifier`)
  const [first, second, variant] = parts.map((part) => part.toLowerCase())
  const os = first === 'macos' ? 'darwin' : first!
  if (variant !== undefined) return { os, ...withImpliedVariant(normalized(second!, variant)) }
  if (second !== undefined) return { os, ...withoutImpliedVariant(normalized(second, '')) }
  if (SYSTEMS.has(os)) return { os, architecture: architectureOf(process.arch), variant: '' }
  const alone = normalized(first!, '')
  if (!ARCHITECTURES.has(alone.architecture)) throw invalid(`${whole}: unknown operating system or architecture`)
  return { os: 'linux', ...withoutImpliedVariant(alone) }
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

type Machine = Omit<Platform, 'os'>

/** The usual name of an architecture, and its variant, '' for the one that it has anyway. */
function normalized(architecture: string, variant: string): Machine {
  switch (architecture) {
    case 'i386':
      return { architecture: '386', variant: '' }
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: variant === 'v1' ? '' : variant }
    case 'aarch64':
    case 'arm64':
      return { architecture: 'arm64', variant: variant === '8' || variant === 'v8' ? '' : variant }
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' }
    case 'armel':
      return { architecture: 'arm', variant: 'v6' }
    case 'arm':
      return { architecture, variant: variant === '' ? 'v7' : /^[5-8]$/.test(variant) ? `v${variant}` : variant }
    default:
      return { architecture, variant }
  }
}

/** Who writes `linux/arm` is told of `linux/arm`, */
function withoutImpliedVariant({ architecture, variant }: Machine): Machine {
  return { architecture, variant: architecture === 'arm' && variant === 'v7' ? '' : variant }
}

/** and who writes `linux/arm64/v8` of all three. */
function withImpliedVariant({ architecture, variant }: Machine): Machine {
  return { architecture, variant: architecture === 'arm64' && variant === '' ? 'v8' : variant }
}
