/** GET and PUT /netloom/links: emulated links. */
import { ApiError } from './api-error.ts'
import { string, struct, words } from './decode.ts'
import type { LinkBackend } from './link-backend.ts'
import type { Router } from './router.ts'

const linkShape = struct('netloom.LinkRequest', { target: string, direction: string, words, trace: string, distribution: string })

export function linkRoutes(router: Router, backend: LinkBackend): void {
  router.add('GET', '/netloom/links', (_request, response) => response.json(200, backend.links()))
  router.add('PUT', '/netloom/links', async (request, response) => {
    const { target, direction, words: given, trace, distribution } = await request.decode(linkShape)
    if (target === '') throw ApiError.badRequest('target: a container, an endpoint or a network must be given')
    if (direction !== '' && direction !== 'both' && direction !== 'out' && direction !== 'in') {
      throw ApiError.badRequest(`direction '${direction}' must be both, out or in`)
    }
    const rows = await backend.setLink({
      target,
      words: given,
      ...(direction !== '' && { direction }),
      ...(trace !== '' && { trace }),
      ...(distribution !== '' && { distribution })
    })
    response.json(200, rows)
  })
}
