import { NetworkError } from '../network-error.ts'

/** Errors of the kernel as the control plane's; others as they are. `what`: the underlay, for the message. */
export function underlayError(error: unknown, what: string): unknown {
  if (error instanceof NetworkError || !(error instanceof Error)) return error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EPERM' || code === 'EACCES' || code === 'EROFS') {
    return new NetworkError('unsupported', `${what}: ${error.message}`, {
      cause: error,
      fix: 'run the daemon as root, or with --underlay udp'
    })
  }
  if (code === 'EADDRNOTAVAIL') return new NetworkError('invalid', `${what}: ${error.message}`, { cause: error })
  if (code === 'EOPNOTSUPP' || code === 'ENOENT') {
    return new NetworkError('unsupported', `${what}: this kernel cannot do it: ${error.message}`, {
      cause: error,
      fix: 'use --underlay udp'
    })
  }
  const fix = code === 'EADDRINUSE' ? 'end who listens there (a VXLAN device of the kernel, perhaps), or use another port' : undefined
  return new NetworkError('conflict', `${what}: ${error.message}`, { cause: error, fix })
}
