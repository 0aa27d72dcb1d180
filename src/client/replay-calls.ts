import type { ReplayMessage } from '../api/replay-json.ts'
import type { HttpTransport } from './http-transport.ts'
import { jsonLines } from './json-lines.ts'

export interface ReplayRequest {
  /** An endpoint: `web`, or `front/web`. */
  readonly into: string
  /** 2 plays twice as fast as recorded; `max` as fast as the engine takes frames. Default 1. */
  readonly speed?: number | 'max'
  /** Frames to be sent at most. */
  readonly limit?: number
  /** `OLD=NEW` each: MACs, addresses and prefixes. */
  readonly map?: readonly string[]
  /** Only frames that the capture has from the interface of this name. */
  readonly interface?: string
  /** Only frames that it wants, in libpcap's language, under the addresses of the capture. */
  readonly filter?: string
}

/** `/netloom/replay`. */
export class ReplayCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  /** Sends a capture at the pace at which it is played; gives how far it is, and what became of it last. Throws ClientError. */
  async *play(request: ReplayRequest, capture: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<ReplayMessage> {
    let failure: unknown
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        yield* capture
      } catch (error) {
        failure = error
        throw error
      }
    }
    try {
      const answer = await this.http.stream('POST', '/netloom/replay', {
        query: { ...request },
        body: body(),
        contentType: 'application/vnd.tcpdump.pcap',
        isAnsweredEarly: true,
        signal
      })
      for await (const message of jsonLines<ReplayMessage>(answer)) {
        yield message
        // Nothing comes after it, and the daemon would wait for the end of what is being sent.
        if (!('status' in message)) break
      }
    } catch (error) {
      // That the capture could not be read says more than that the connection ended.
      throw failure ?? error
    }
  }
}
