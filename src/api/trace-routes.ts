/** POST /netloom/trace: the walks of the next frames, one JSON object on each line, as they come to rest. */
import { float, integer, string, struct } from './decode.ts'
import type { Router } from './router.ts'
import type { TraceBackend } from './trace-backend.ts'

const traceShape = struct('netloom.TraceRequest', { count: integer('int'), target: string, filter: string, timeoutSeconds: float })
const COUNT = 10

export function traceRoutes(router: Router, backend: TraceBackend): void {
  router.add('POST', '/netloom/trace', async (request, response) => {
    const { count, target, filter, timeoutSeconds } = await request.decode(traceShape)
    const trace = await backend.openTrace({
      count: count === 0 ? COUNT : count,
      ...(target !== '' && { target }),
      ...(filter !== '' && { filter }),
      ...(timeoutSeconds !== 0 && { timeoutSeconds })
    })
    const stream = response.stream(200, 'application/x-ndjson')
    for await (const walk of trace.frames(request.gone)) stream.write(`${JSON.stringify(walk)}\n`)
    stream.end()
  })
}
