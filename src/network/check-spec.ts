/**
 * Names and ids that users and callers choose.
 */
import { NetworkError } from './network-error.ts'

const ID = /^[0-9a-f]{64}$/
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** Throws NetworkError. */
export function checkId(what: string, id: string): string {
  if (typeof id === 'string' && ID.test(id)) return id
  throw new NetworkError('invalid', `${what} id '${id}' is invalid: it must be 64 hexadecimal digits`)
}

export function isName(name: string): boolean {
  return typeof name === 'string' && NAME.test(name)
}

/** Throws NetworkError. */
export function checkName(field: string, name: string): void {
  if (isName(name)) return
  throw new NetworkError('invalid', `${field} name '${name}' is invalid: it must begin with a letter or digit and hold only [a-zA-Z0-9_.-]`)
}
