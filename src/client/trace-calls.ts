import type { FrameWalk, TraceRequest } from '../api/trace-json.ts'
import type { HttpTransport } from './http-transport.ts'
import { jsonLines } from './json-lines.ts'

/** `/netloom/trace`: the walks of frames through the engine. */
export class TraceCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  /** Frames are followed from when it resolves; what it gives ends with the trace, or with the signal. */
  async open(request: TraceRequest, signal?: AbortSignal): Promise<AsyncIterable<FrameWalk>> {
    return jsonLines<FrameWalk>(await this.http.stream('POST', '/netloom/trace', { json: request, signal }))
  }
}
