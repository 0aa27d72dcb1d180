/** Why a daemon does not start. The command line prints message and fix. */
export type DaemonErrorCode =
  /** A flag or a member of the configuration file is wrong, or both say the same thing. */
  | 'ERR_DAEMON_CONFIG'
  /** Another daemon has the state directory. */
  | 'ERR_DAEMON_RUNNING'
  /** An address cannot be listened on. */
  | 'ERR_DAEMON_LISTEN'

export class DaemonError extends Error {
  readonly code: DaemonErrorCode
  readonly fix: string | undefined

  constructor(code: DaemonErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'DaemonError'
    this.code = code
    this.fix = options.fix
  }
}
