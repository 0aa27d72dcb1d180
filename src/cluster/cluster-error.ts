/** What went wrong in the cluster; whoever speaks Docker's API has the texts. */
export type ClusterErrorCode =
  /** The store cannot be reached, is too slow, has no leader, or refuses writes. */
  | 'unavailable'
  /** The store does not know who asks, or does not let them. */
  | 'denied'
  /** The thing is in use, or was changed by somebody else in a way that cannot be merged. */
  | 'conflict'
  | 'not-found'
  /** No VNI is left. */
  | 'exhausted'
  /** The name is taken, here or on another host. */
  | 'exists'
  /** A URL or an option that cannot be. */
  | 'invalid'
  | 'closed'

/** Control path. What is wrong with a subnet or an address is an IpamError. */
export class ClusterError extends Error {
  readonly code: ClusterErrorCode
  /** With `unavailable`: the request may have been carried out all the same, its answer was lost. */
  readonly isUncertain: boolean

  constructor(code: ClusterErrorCode, message: string, options: { cause?: unknown; isUncertain?: boolean } = {}) {
    super(message, { cause: options.cause })
    this.name = 'ClusterError'
    this.code = code
    this.isUncertain = options.isUncertain ?? false
  }
}

/** Whether waiting may help: the store is away, or does not let us in now. */
export function isAway(error: unknown): boolean {
  return error instanceof ClusterError && (error.code === 'unavailable' || error.code === 'denied')
}
