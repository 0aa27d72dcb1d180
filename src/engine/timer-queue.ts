/**
 * Timers in the order (time, sequence): two due at the same instant fire in the order in which they were armed.
 *
 * A binary heap of reusable Timer objects: arming allocates nothing, moving or stopping one is O(log n).
 */
export class Timer {
  /** When it fires, nanoseconds; meaningful while armed. */
  at = 0
  /** Order among equals. */
  sequence = 0
  /** Place in the heap; -1: not armed. */
  index = -1
  private readonly queue: TimerQueue
  readonly fire: (now: number) => void

  constructor(queue: TimerQueue, fire: (now: number) => void) {
    this.queue = queue
    this.fire = fire
  }

  get armed(): boolean {
    return this.index >= 0
  }

  /** Fires at `time` (nanoseconds since the engine's start), instead of any earlier setting. */
  arm(time: number): void {
    this.queue.arm(this, time)
  }

  disarm(): void {
    this.queue.disarm(this)
  }
}

export class TimerQueue {
  private readonly heap: Timer[] = []
  private sequence = 0
  /** The time of the last `reach` or `fireDue`. */
  private now = Number.NEGATIVE_INFINITY

  /** When the next timer fires; Infinity when none is armed. */
  get next(): number {
    return this.heap.length > 0 ? this.heap[0].at : Number.POSITIVE_INFINITY
  }

  get size(): number {
    return this.heap.length
  }

  /** A timer that calls `fire` with the engine's time. */
  timer(fire: (now: number) => void): Timer {
    return new Timer(this, fire)
  }

  arm(timer: Timer, time: number): void {
    if (timer.index >= 0) this.remove(timer)
    // The past is now: a timer that is armed for long ago does not push in before those that are due.
    timer.at = Math.max(time, this.now)
    timer.sequence = this.sequence++
    timer.index = this.heap.length
    this.heap.push(timer)
    this.up(timer.index)
  }

  disarm(timer: Timer): void {
    if (timer.index >= 0) this.remove(timer)
  }

  /**
   * Takes over a turn's time; whether something is due. It comes in its object: V8 would make an object of a double that is an argument
   * or a result of a call that is not inlined, and this runs every turn.
   */
  reach(time: { readonly now: number }): boolean {
    this.now = time.now
    return this.heap.length > 0 && this.heap[0].at <= time.now
  }

  /** Fires what is due at `now`. A timer armed meanwhile for `now` or earlier waits for the next call. */
  fireDue(now: number): void {
    this.now = now
    const limit = this.sequence
    while (this.heap.length > 0 && this.heap[0].at <= now && this.heap[0].sequence < limit) {
      const timer = this.heap[0]
      this.remove(timer)
      timer.fire(now)
    }
  }

  private remove(timer: Timer): void {
    const { heap } = this
    const at = timer.index
    timer.index = -1
    const last = heap.pop()!
    if (last === timer) return
    heap[at] = last
    last.index = at
    this.up(at)
    this.down(last.index)
  }

  private up(at: number): void {
    const { heap } = this
    const timer = heap[at]
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(timer, heap[parent])) break
      heap[at] = heap[parent]
      heap[at].index = at
      at = parent
    }
    heap[at] = timer
    timer.index = at
  }

  private down(at: number): void {
    const { heap } = this
    const timer = heap[at]
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++
      if (!before(heap[child], timer)) break
      heap[at] = heap[child]
      heap[at].index = at
      at = child
    }
    heap[at] = timer
    timer.index = at
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence)
}
