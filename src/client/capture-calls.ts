import type { IncomingMessage } from 'node:http'
import type { CapturePointRow, CaptureRequest, CaptureStatus, CaptureSummary } from '../api/capture-backend.ts'
import { CAPTURE_ID_HEADER } from '../api/capture-header.ts'
import type { HttpTransport } from './http-transport.ts'

export interface OpenedCapture {
  readonly id: string
  /** The file, as it is written. It ends when the capture is stopped, and is destroyed with an error when the daemon goes. */
  readonly stream: IncomingMessage
}

/** `/netloom/captures`: frames, as they pass. */
export class CaptureCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  /** Those that run, whoever started them. */
  list(): Promise<CaptureStatus[]> {
    return this.http.call('GET', '/netloom/captures')
  }

  points(): Promise<CapturePointRow[]> {
    return this.http.call('GET', '/netloom/captures/points')
  }

  /** Frames are captured from when it resolves until `stop`, or the stream is destroyed. */
  async open(request: CaptureRequest): Promise<OpenedCapture> {
    const stream = await this.http.stream('POST', '/netloom/captures', { json: request })
    return { id: String(stream.headers[CAPTURE_ID_HEADER.toLowerCase()]), stream }
  }

  /** Ends one in order: its stream gets what was captured, the statistics, and its end. */
  stop(id: string): Promise<CaptureSummary> {
    return this.http.call('DELETE', `/netloom/captures/${encodeURIComponent(id)}`)
  }
}
