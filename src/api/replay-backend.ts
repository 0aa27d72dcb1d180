import type { ReplayRun, ReplayWish } from '../replay/replay-control.ts'

/** What the route of replays needs behind it. Methods throw NetworkError, and what reading a capture throws. */
export interface ReplayBackend {
  /** `capture`: pcap or pcapng, as it comes in. */
  startReplay(wish: ReplayWish, capture: AsyncIterable<Uint8Array>): Promise<ReplayRun>
}
