import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'

export type Handler = (request: ApiRequest, response: ApiResponse) => Promise<void> | void

interface Route {
  readonly method: string
  readonly parts: readonly string[]
  readonly handler: Handler
}

export interface Match {
  readonly handler: Handler
  readonly params: Record<string, string>
}

/**
 * Finds the handler of a method and path.
 *
 * A part `{name}` stands for one segment or more, since names of images have slashes, and Docker takes ids with slashes for what
 * they are: unknown ids. A path has at most one such part. Of several routes that fit, the one added first is taken; GET does not
 * answer HEAD.
 */
export class Router {
  private readonly routes: Route[] = []

  /** `path` begins with a slash and has no version: '/networks/{id}/connect'. Method '*' is any. */
  add(method: string, path: string, handler: Handler): void {
    const parts = path.split('/').slice(1)
    if (parts.filter((part) => part.startsWith('{')).length > 1) throw new RangeError(`route ${path}: more than one {name}`)
    this.routes.push({ method, parts, handler })
  }

  /** `path` percent-decoded, without version and query. */
  find(method: string, path: string): Match | undefined {
    const segments = path.split('/').slice(1)
    for (const route of this.routes) {
      if (route.method !== method && route.method !== '*') continue
      const params = matchParts(route.parts, segments)
      if (params !== undefined) return { handler: route.handler, params }
    }
    return undefined
  }
}

function matchParts(parts: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const extra = segments.length - parts.length
  if (extra < 0) return undefined
  const params: Record<string, string> = {}
  let at = 0
  for (const part of parts) {
    if (!part.startsWith('{')) {
      if (part !== segments[at++]) return undefined
      continue
    }
    const value = segments.slice(at, at + extra + 1).join('/')
    if (value === '') return undefined
    at += extra + 1
    params[part.slice(1, part.endsWith('...}') ? -4 : -1)] = value
  }
  return at === segments.length ? params : undefined
}
