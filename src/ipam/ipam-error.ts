/** What can be wrong with a request for a pool or an address. */
export type IpamErrorCode =
  /** The text is no prefix or no address, or of the other family. */
  | 'IPAM_INVALID'
  /** The address or range is not inside the subnet. */
  | 'IPAM_OUTSIDE'
  /** Somebody has the address, or nobody may have it (network and broadcast address). */
  | 'IPAM_IN_USE'
  /** No address is left in the pool or its range. */
  | 'IPAM_EXHAUSTED'
  /** The subnet shares addresses with another pool. */
  | 'IPAM_OVERLAP'
  /** All default subnets are taken. */
  | 'IPAM_NO_POOL'
  /** A pool of this name exists, or does not. */
  | 'IPAM_NAME'

/** Control path. `field` names what the user gave (`subnet`, `gateway`, `aux-address host1`...), `value` is its text. */
export class IpamError extends Error {
  readonly code: IpamErrorCode
  readonly field: string
  readonly value: string

  constructor(code: IpamErrorCode, field: string, value: string, problem: string) {
    super(`${field} ${value === '' ? '(automatic)' : value}: ${problem}`)
    this.name = 'IpamError'
    this.code = code
    this.field = field
    this.value = value
  }
}
