// Timers on virtual time: events in the order (time, sequence), promise jobs drained between them.
import { drainMicrotasks, type Timers } from '../../src/engine/clock.ts'
import { TimerQueue } from '../../src/engine/timer-queue.ts'

export class VirtualTimers implements Timers {
  /** Milliseconds. */
  now = 0
  private readonly queue = new TimerQueue()

  after(ms: number, fire: () => void): () => void {
    const timer = this.queue.timer(fire)
    timer.arm(this.now + Math.max(0, ms))
    return () => timer.disarm()
  }

  /** The same time on a clock that runs faster (rate > 1) or slower: its holder's milliseconds are shorter or longer. */
  drifting(rate: number): Timers {
    return { after: (ms, fire) => this.after(ms / rate, fire) }
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms
    await drainMicrotasks()
    while (this.queue.next <= end) {
      this.now = this.queue.next
      this.queue.fireDue(this.now)
      await drainMicrotasks()
    }
    this.now = end
  }

  /** Lets time pass until the work is done. Fails after `limitMs` of virtual time. */
  async finish<T>(work: Promise<T>, limitMs = 600_000): Promise<T> {
    let isDone = false
    const mark = (): void => {
      isDone = true
    }
    work.then(mark, mark)
    const end = this.now + limitMs
    await drainMicrotasks()
    while (!isDone) {
      if (this.queue.next > end) throw new Error(`not done after ${limitMs} ms of virtual time`)
      this.now = this.queue.next
      this.queue.fireDue(this.now)
      await drainMicrotasks()
    }
    return work
  }
}
