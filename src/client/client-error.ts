/** A call that did not succeed. */
export class ClientError extends Error {
  /** 'ERR_DAEMON': the daemon said no, in `message`. 'ERR_NO_DAEMON': there is none. 'ERR_PROTOCOL': an answer that is none of Docker's API. */
  readonly code: 'ERR_DAEMON' | 'ERR_NO_DAEMON' | 'ERR_PROTOCOL'
  /** HTTP status; 0 without an answer. */
  readonly status: number

  constructor(code: ClientError['code'], message: string, status = 0, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ClientError'
    this.code = code
    this.status = status
  }
}
