/**
 * Errors of the control plane: a code that programs compare, a message that names the field and the value, and what to do.
 */

/** What went wrong; the API maps it to a status in one place. */
export type NetworkErrorCode =
  | 'invalid' // a field has a value that it cannot have
  | 'not-found'
  | 'conflict' // the name or address is taken, or the thing is in use
  | 'exhausted' // no address is left
  | 'unsupported' // this machine or this process cannot do it
  | 'unclean' // it is done, but something could not be closed
  | 'stuck' // virtual time has nothing left to do
  | 'closed'

export class NetworkError extends Error {
  readonly code: NetworkErrorCode
  /** One sentence: what the user can do. */
  readonly fix: string | undefined

  constructor(code: NetworkErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'NetworkError'
    this.code = code
    this.fix = options.fix
  }
}

/** Throws NetworkError `unclean` when there are errors. @param done what was done all the same, a sentence */
export function reportUnclean(done: string, errors: readonly Error[]): void {
  if (errors.length === 0) return
  throw new NetworkError('unclean', `${done}, but not everything of it could be closed: ${errors[0].message}`, { cause: errors[0] })
}
