/** Frames one after the other, as they are to come in: data that can be sent to the engine's thread. */
export interface ReplayBatch {
  /** All of them; each begins at a word, so that whole words can be moved. */
  readonly words: Int32Array
  /** Index in `words` of each frame's first word. */
  readonly starts: Int32Array
  /** Bytes of each. */
  readonly lengths: Int32Array
  /** When each is due, nanoseconds since the replay's start. */
  readonly due: Float64Array
}

const WORDS_MIN = 1024

/** Packs frames into batches. */
export class ReplayBatchBuilder {
  private words = new Int32Array(WORDS_MIN)
  private used = 0
  private readonly starts: number[] = []
  private readonly lengths: number[] = []
  private readonly due: number[] = []

  /** Frames added since the last `take`. */
  get frames(): number {
    return this.lengths.length
  }

  /** Their bytes. */
  get bytes(): number {
    return this.used * 4
  }

  /**
   * `due`: nanoseconds since the replay's start, not before those of the frames added earlier. Gives the copy in the batch: what is changed
   * there before the next call is played so.
   */
  add(frame: Uint8Array, due: number): Uint8Array {
    const end = this.used + ((frame.length + 3) >> 2)
    if (end > this.words.length) {
      const bigger = new Int32Array(Math.max(end, this.words.length * 2))
      bigger.set(this.words.subarray(0, this.used))
      this.words = bigger
    }
    const copy = new Uint8Array(this.words.buffer, this.used * 4, frame.length)
    copy.set(frame)
    this.starts.push(this.used)
    this.lengths.push(frame.length)
    this.due.push(due)
    this.used = end
    return copy
  }

  /** What was added, as a batch of its own. */
  take(): ReplayBatch {
    const batch = {
      words: this.words.slice(0, this.used),
      starts: Int32Array.from(this.starts.splice(0)),
      lengths: Int32Array.from(this.lengths.splice(0)),
      due: Float64Array.from(this.due.splice(0))
    }
    this.used = 0
    return batch
  }
}
