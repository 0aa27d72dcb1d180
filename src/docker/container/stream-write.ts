import type { Duplex, Writable } from 'node:stream'

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

/**
 * Ends our direction of a client's connection, and the connection when the client's has ended, too: now, before, or later. Not
 * earlier, since closing over bytes that nobody read would take the last of our output from the client.
 */
export function endConnection(connection: Duplex): void {
  const close = (): void => {
    if (connection.writableFinished && (connection.readableEnded || connection.readableAborted)) connection.destroy()
  }
  connection.on('end', close)
  connection.on('error', () => {})
  connection.resume()
  connection.end(close)
}
