import { constants, openSync, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { CapturePiece } from '../../capture/capture-cutter.ts'
import { CaptureFileError } from '../../capture/capture-error.ts'
import type { CaptureDestination } from './capture-session.ts'

const LOOK_AGAIN_MS = 20

/** A capture in a FIFO that somebody reads: `mkfifo f; wireshark -k -i f`, or Wireshark itself over extcap. */
export class FifoDestination implements CaptureDestination {
  readonly room = Number.POSITIVE_INFINITY
  private readonly path: string
  private readonly socket: Socket
  private error: Error | undefined

  private constructor(path: string, fd: number) {
    this.path = path
    this.socket = new Socket({ fd, readable: false, writable: true })
    this.socket.on('error', (error) => {
      this.error = error
    })
  }

  /**
   * Waits for a reader; undefined when `stop` came first. To open it in the usual way would wait too, but where no signal ends it.
   * Rejects with CaptureFileError.
   */
  static async open(path: string, stop: AbortSignal): Promise<FifoDestination | undefined> {
    while (!stop.aborted) {
      try {
        return new FifoDestination(path, openSync(path, constants.O_WRONLY | constants.O_NONBLOCK))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw CaptureFileError.from('write', path, error)
      }
      await pause(LOOK_AGAIN_MS, undefined, { signal: stop }).catch(() => {})
    }
    return undefined
  }

  /** Resolves when the pipe has it. Rejects with CaptureFileError; its code is EPIPE when the reader has gone. */
  write({ bytes }: CapturePiece): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => reject(CaptureFileError.from('write', this.path, error))
      if (this.error !== undefined) return refuse(this.error)
      this.socket.write(bytes, (error) => (error ? refuse(error) : resolve()))
    })
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return
    await new Promise<void>((resolve) => {
      this.socket.once('close', resolve)
      this.socket.end(() => this.socket.destroy())
    })
  }
}

export function isFifo(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFIFO() === true
}
