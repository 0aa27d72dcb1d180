/** `/exec`, and `/containers/{id}/exec`. */
import type { ExecBackend } from './container-backend.ts'
import { dimensionsOf } from './container-routes.ts'
import { execBody, execStartBody } from './container-shapes.ts'
import type { Router } from './router.ts'

export function execRoutes(router: Router, backend: ExecBackend): void {
  router.add('POST', '/containers/{id}/exec', async (request, response) => {
    response.json(201, await backend.execCreate(request.params['id']!, await request.decode(execBody)))
  })
  router.add('POST', '/exec/{id}/start', async (request, response) => {
    const { Detach, Tty, ConsoleSize } = await request.decode(execStartBody)
    const [rows, columns] = ConsoleSize ?? []
    const size = rows === undefined || columns === undefined ? null : { rows, columns }
    const serve = await backend.execStart(request.params['id']!, { detach: Detach, tty: Tty, size })
    if (serve === null) response.empty(200)
    else await serve(await response.hijack())
  })
  router.add('POST', '/exec/{id}/resize', async ({ params, query }, response) => {
    await backend.execResize(params['id']!, dimensionsOf(query))
    response.empty(200)
  })
  router.add('GET', '/exec/{id}/json', ({ params }, response) => response.json(200, backend.execInspect(params['id']!)))
}
