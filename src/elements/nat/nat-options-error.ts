/** An option or a record of the NAT that cannot be: names it, its value, and what is wrong. */
export class NatOptionsError extends Error {
  readonly code = 'ERR_NAT_OPTIONS'

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${JSON.stringify(value)} ${problem}`)
    this.name = 'NatOptionsError'
  }
}
