import type { ReplayRun, ReplayWish } from '../replay/replay-control.ts'

/** As it is asked for: the filter as text. */
export type ReplayRequest = Omit<ReplayWish, 'filter'> & { readonly filter?: string }

/** What the route of replays needs behind it. Methods throw NetworkError, and what reading a capture throws. */
export interface ReplayBackend {
  /** `capture`: pcap or pcapng, as it comes in. */
  startReplay(wish: ReplayRequest, capture: AsyncIterable<Uint8Array>): Promise<ReplayRun>
}
