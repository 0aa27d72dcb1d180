/** What the word holds while the consumer sleeps. */
const ASLEEP = 1
const AWAKE = 0

/** A word of shared memory at which one thread sleeps and others wake it: a call to the kernel only when it does sleep. */
export class Doorbell {
  private readonly words: Int32Array
  private readonly at: number

  constructor(words: Int32Array, at = 0) {
    this.words = words
    this.at = at
  }

  get isAsleep(): boolean {
    return Atomics.load(this.words, this.at) === ASLEEP
  }

  ring(): void {
    if (Atomics.exchange(this.words, this.at, AWAKE) === ASLEEP) Atomics.notify(this.words, this.at)
  }

  /** Up to `milliseconds`, or until it rings; not at all when `isBusy` says so once who comes later would ring. */
  sleep(milliseconds: number, isBusy: () => boolean): void {
    Atomics.store(this.words, this.at, ASLEEP)
    if (!isBusy()) Atomics.wait(this.words, this.at, ASLEEP, milliseconds)
    Atomics.store(this.words, this.at, AWAKE)
  }
}
