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
 * Finds the handler of a method and path. A part `{name}` stands for one segment, `{name...}` (inside a path too, for image names
 * with slashes) for one or more. Of several routes that fit, the one added first is taken.
 */
export class Router {
  private readonly routes: Route[] = []

  /** `path` begins with a slash and has no version: '/networks/{id}/connect', '/images/{name...}/json'. */
  add(method: string, path: string, handler: Handler): void {
    this.routes.push({ method, parts: path.split('/').slice(1), handler })
  }

  /** `path` as the client sent it, percent-encoded, without version and query. HEAD is answered by the route of GET. */
  find(method: string, path: string): Match | undefined {
    const segments = path.split('/').slice(1)
    const wanted = method === 'HEAD' ? 'GET' : method
    for (const { method, parts, handler } of this.routes) {
      if (method !== wanted) continue
      const params = matchParts(parts, segments)
      if (params !== undefined) return { handler, params }
    }
    return undefined
  }
}

function matchParts(parts: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const wide = parts.findIndex((part) => part.endsWith('...}'))
  const extra = segments.length - parts.length
  if (wide === -1 ? extra !== 0 : extra < 0) return undefined
  const params: Record<string, string> = {}
  for (let index = 0, at = 0; index < parts.length; index++) {
    const part = parts[index]!
    const taken = index === wide ? extra + 1 : 1
    const text = segments.slice(at, at + taken).join('/')
    at += taken
    if (!part.startsWith('{')) {
      if (part !== text) return undefined
      continue
    }
    const value = decodeSegment(text)
    if (value === undefined || value === '') return undefined
    params[part.slice(1, index === wide ? -4 : -1)] = value
  }
  return params
}

/** undefined where a percent sign is not followed by two digits, or the bytes are no UTF-8. */
function decodeSegment(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
