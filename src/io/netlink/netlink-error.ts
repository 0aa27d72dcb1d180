import { getSystemErrorName } from 'node:util'

/** The kernel refused a request, or it could not be put into one. */
export class NetlinkError extends Error {
  /** 'EEXIST', 'ENODEV', ...; 'EINVAL' also for values that were refused before they were sent. */
  readonly code: string
  /** What was asked, in the words of iproute2: `address add 192.0.2.1/24 dev eth0`. */
  readonly request: string

  /** `text`: the kernel's own sentence, or ours. */
  constructor(errno: number, request: string, text: string) {
    const code = errnoName(errno)
    super(`${request}: ${code}${text === '' ? '' : `: ${text}`}`)
    this.name = 'NetlinkError'
    this.code = code
    this.request = request
  }
}

function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno)
  } catch {
    return `E${errno}` // one that libuv has no name for
  }
}
