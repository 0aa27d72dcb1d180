import type { Writable } from 'node:stream'

/** Writes at the reader's pace: resolves when more may come, or when the reader has gone. */
export function writeAll(to: Writable, data: Uint8Array): Promise<void> {
  if (to.destroyed || to.writableEnded || to.write(data)) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done)
      to.off('close', done)
      resolve()
    }
    to.on('drain', done)
    to.on('close', done)
  })
}
