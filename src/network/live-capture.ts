/**
 * A capture that runs, as those see it who asked for it.
 */

/** Where a capture's bytes go: an HTTP answer, a file of the caller's. */
export interface CaptureOutlet {
  /**
   * Takes a piece of the file, which is the outlet's own from here on. The promise says when the next ones can come: as long as it is
   * pending, a few more pieces may come, then frames are lost (and counted), never traffic. What it throws or rejects with ends the capture.
   */
  write(chunk: Uint8Array): void | Promise<void>
  /** After the last piece, once. `error`: why it ended although nobody stopped it. */
  close(error?: Error): void
}

export interface CaptureStatus {
  readonly id: string
  /** As they were asked for; none: all. */
  readonly targets: readonly string[]
  /** Names of the points that are captured. */
  readonly points: readonly string[]
  /** Points that came when the file had all the interfaces that it can have: their frames are not captured. */
  readonly pointsLeftOut: number
  readonly filter: string
  readonly format: 'pcapng' | 'pcap'
  /** Bytes kept of each frame. */
  readonly snapLength: number
  /** ns since 1970, in decimal: more than a double holds. */
  readonly startedAt: string
  /** Frames recorded by now, and those for which there was no room. */
  readonly frames: number
  readonly dropped: number
  /** Bytes of frames recorded by now. */
  readonly bytes: number
}

export interface CaptureSummary {
  /** Frames in the file. */
  readonly frames: number
  /** Frames that should be in it and are not. */
  readonly dropped: number
  /** Bytes of the file. */
  readonly bytes: number
}

export interface LiveCapture {
  readonly id: string
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<CaptureSummary>
  status(): CaptureStatus
  /** Ends it in order: the last pieces are with the outlet, and it is closed, when this resolves. Again: the same. */
  stop(): Promise<CaptureSummary>
}
