/**
 * A capture of a lab into a file: one interface block per port, every frame once, where it entered.
 */
import type { CaptureSession, CaptureWish } from '../network/capture-session.ts'

export interface LabCaptureOptions extends Omit<CaptureWish, 'filter'> {
  /** In libpcap's language; in virtual time its common subset, see src/capture/filter. */
  readonly filter?: string
  /** Told once when the file cannot be written any more; traffic goes on. */
  readonly onError?: (error: Error) => void
}

export interface LabCaptureResult {
  /** Frames in the file. */
  readonly frames: number
  /** Copies that are not: the writer was slower than the traffic, or failed. */
  readonly dropped: number
  /** Size of the file. */
  readonly bytes: number
}

export class LabCapture {
  readonly path: string
  private readonly session: CaptureSession

  constructor(path: string, session: CaptureSession) {
    this.path = path
    this.session = session
  }

  /** Ends the file; everything that entered before is in it or counted as dropped. */
  close(): Promise<LabCaptureResult> {
    return this.session.stop()
  }
}
