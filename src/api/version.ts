/** Versions of Docker's API, as they stand in paths: '/v1.41/networks'. */
import { ApiError } from './api-error.ts'

/** The engine whose answers these are, and the version of the API that it speaks: what clients negotiate down to. */
export const ENGINE_VERSION = '20.10.24+dfsg1'
export const API_VERSION = '1.41'
export const MIN_API_VERSION = '1.12'

/** Clients that insist on a newer version are served as far as this one: what they get are the members of API_VERSION. */
const NEWEST_ACCEPTED = '1.43'

/** The last version whose errors are plain text. */
const LAST_WITH_TEXT_ERRORS = '1.23'

export interface VersionedPath {
  /** As it stands in the path; undefined when it has none. */
  readonly version: string | undefined
  readonly path: string
}

export function splitVersion(path: string): VersionedPath {
  const match = /^\/v([0-9.]+)(\/.*)$/s.exec(path)
  return match === null ? { version: undefined, path } : { version: match[1], path: match[2]! }
}

/** ApiError 400 for a version that is not spoken. */
export function checkVersion(version: string): void {
  if (compareVersions(version, MIN_API_VERSION) < 0) {
    const advice = 'please upgrade your client to a newer version'
    throw ApiError.badRequest(`client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, ${advice}`)
  }
  if (compareVersions(version, NEWEST_ACCEPTED) > 0) {
    throw ApiError.badRequest(`client version ${version} is too new. Maximum supported API version is ${API_VERSION}`)
  }
}

/** Below 0 when `left` is the older one. '1.9' is older than '1.24'. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number))
  for (let index = 0; index < Math.max(a!.length, b!.length); index++) {
    const difference = (a![index] ?? 0) - (b![index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export function hasJsonErrors(version: string | undefined): boolean {
  return version === undefined || compareVersions(version, LAST_WITH_TEXT_ERRORS) > 0
}
