/** POST /netloom/trace: the walks of the next frames, one JSON object on each line, as they come to rest. */
import { once } from 'node:events'
import { float, integer, string, struct } from './decode.ts'
import type { Router } from './router.ts'
import type { TraceBackend } from './trace-backend.ts'
import { whenAborted } from './when-aborted.ts'

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
    for await (const walk of trace.frames(request.gone)) {
      // A client that does not read is waited for: what it follows is bounded by the engine.
      if (!stream.write(`${JSON.stringify(walk)}\n`)) await Promise.race([once(stream, 'drain'), whenAborted(request.gone)])
    }
    stream.end()
  })
}
