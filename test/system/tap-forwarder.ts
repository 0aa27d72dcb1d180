import { closeSync, readSync, writeSync } from 'node:fs'
import { loadNative } from '../../src/io/load-native.ts'

/**
 * A cable between two TAPs that were opened alike: frames cross with their virtio_net_hdr, unread. Returns the function that
 * pulls it out and closes both, but for one that is kept.
 */
export function forward(one: number, other: number): (kept?: number) => void {
  const native = loadNative()
  const bytes = Buffer.alloc(70_000)
  const relay = (from: number, to: number): void => {
    try {
      writeSync(to, bytes, 0, readSync(from, bytes))
    } catch (error) {
      // EAGAIN: woken for nothing. EIO: the other interface is down; a cable loses such frames.
      if (!['EAGAIN', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  const watches = [native.watchReadable(one, () => relay(one, other)), native.watchReadable(other, () => relay(other, one))]
  return (kept) => {
    for (const watch of watches) native.unwatchReadable(watch)
    for (const end of [one, other]) if (end !== kept) closeSync(end)
  }
}
