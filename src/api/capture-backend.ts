import type { CapturePoint } from '../network/capture-point.ts'
import type { CaptureOutlet, CaptureStatus, CaptureSummary, LiveCapture } from '../network/live-capture.ts'

export type { CaptureOutlet, CaptureStatus, CaptureSummary, LiveCapture }

/** The body of POST /netloom/captures. What is absent is the default. */
export interface CaptureRequest {
  /** Networks, containers, endpoints (`lan/web`), ports (`host1/eth0`), `uplink`, `underlay`; none, or `all`: everything. */
  readonly targets?: readonly string[]
  /** In libpcap's language; '' is none. */
  readonly filter?: string
  /** Bytes kept of a frame; default: all. */
  readonly snapLength?: number
  /** Frames that cross several of the targets are recorded at each; default false: once for each content that they have. */
  readonly everyPort?: boolean
  /** Frames that end early are recorded with the reason; default true. */
  readonly drops?: boolean
  readonly format?: 'pcapng' | 'pcap'
  /** Super-frames are cut into packets as on a wire; default false. */
  readonly segment?: boolean
  /** For the section header. */
  readonly comment?: string
}

/** A row of GET /netloom/captures/points. `link` is its target for PUT /netloom/links of the same host; absent where there is none. */
export type CapturePointRow = Pick<CapturePoint, 'name' | 'kind' | 'description' | 'mac' | 'addresses' | 'network' | 'link' | 'speed'>

/** What the routes of captures need behind them. Methods throw NetworkError and CaptureFilterError. */
export interface CaptureBackend {
  /** Those that run. */
  captures(): CaptureStatus[]
  /** Where frames can be captured now. */
  capturePoints(): CapturePointRow[]
  /**
   * Starts one; the file goes to `outlet` in pieces that end with whole blocks. Nothing is written before it resolves. Rejects with
   * NetworkError `not-found` (no such target) or `invalid`.
   */
  openCapture(request: CaptureRequest, outlet: CaptureOutlet): Promise<LiveCapture>
  /** By id: ends it in order, the statistics blocks come, then `outlet.close`. Rejects with NetworkError `not-found`. */
  stopCapture(id: string): Promise<CaptureSummary>
}
