import { getSystemErrorMap, getSystemErrorName } from 'node:util'

/** A sandbox could not do what was asked. `code` is an errno name ('ENOENT'), or 'ERR_SANDBOX_CLOSED', 'ERR_SHIM_MISSING'. */
export class SandboxError extends Error {
  readonly code: string
  readonly syscall: string | undefined

  constructor(code: string, message: string, syscall?: string) {
    super(message)
    this.name = 'SandboxError'
    this.code = code
    this.syscall = syscall
  }

  /** From a failure that the shim reports. A failed `spawn` has its whole sentence already. */
  static fromShim(errno: number, syscall: string, text: string): SandboxError {
    const code = errno > 0 ? getSystemErrorName(-errno) : 'EIO'
    if (syscall === 'spawn') return new SandboxError(code, text, syscall)
    const meaning = getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`
    return new SandboxError(code, `${syscall} ${text}: ${meaning}${adviceFor(code, text)}`, syscall)
  }
}

function adviceFor(code: string, text: string): string {
  if (text !== '/dev/net/tun') return ''
  if (code === 'EACCES' || code === 'EPERM') return ' (let this user in: chmod 666 /dev/net/tun, or run as root)'
  if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') return ' (load the driver: modprobe tun)'
  return ''
}
