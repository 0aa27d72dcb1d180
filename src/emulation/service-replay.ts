/** Plays the capture of a service into its endpoint, round after round, as a client of its host. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { CaptureFileError } from '../capture/capture-error.ts'
import type { Client } from '../client/client.ts'
import type { VirtualReplay } from '../compose/virtual-replay.ts'

/** Rejects with CaptureFileError: better before the endpoint is there than after. */
export async function checkReplayFile({ file }: VirtualReplay): Promise<void> {
  await stat(file).catch((error: unknown) => {
    throw CaptureFileError.from('read', file, error)
  })
}

/** Resolves when the last round is over, or at the signal. Rejects with what the daemon says. */
export async function playService(client: Client, into: string, replay: VirtualReplay, signal: AbortSignal): Promise<void> {
  const { file, speed, loop, limit, interface: from, filter, map } = replay
  const request = { into, speed, limit, map, interface: from, filter }
  for (let round = 0; round < loop; round++) {
    try {
      for await (const message of client.replays.play(request, createReadStream(file), signal)) {
        if ('error' in message) throw new Error(message.error)
        // Over and over nothing would keep a processor busy for nothing.
        if ('summary' in message && message.summary.sent === 0) throw new Error(`no frame of ${file} could be sent`)
      }
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
  }
}
