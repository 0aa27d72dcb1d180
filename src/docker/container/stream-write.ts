import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** Writes at the reader's pace: resolves when more may come, or when the reader has gone. */
export async function writeAll(to: Writable, data: Uint8Array): Promise<void> {
  if (to.destroyed || to.writableEnded || to.write(data)) return
  await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {})
}
