// What lies between a cluster's daemon and its store, on virtual time: delay, loss, partition. Counts what passes.

import { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { MemoryLink } from '../../src/cluster/memory-cluster-store.ts'
import type { Random } from '../../src/engine/random.ts'
import type { VirtualTimers } from './virtual-timers.ts'

export interface LinkOptions {
  readonly timers: VirtualTimers
  readonly random: Random
  /** Milliseconds one way, from and to. */
  readonly delay: readonly [number, number]
  /** Of requests and of answers, 0 to 1. What is lost ends in `unavailable` after the patience. */
  readonly loss: () => number
}

const PATIENCE_MS = 1000
/** After so long without a word a stream is given up. */
const STREAM_PATIENCE_MS = 4000

export class SimulatedLink implements MemoryLink {
  isCut = false
  private isKilled = false
  requests = 0
  notifications = 0
  private readonly options: LinkOptions
  private readonly breaks = new Set<(error: ClusterError) => void>()

  constructor(options: LinkOptions) {
    this.options = options
  }

  /** Nothing passes; streams break when they would notice. */
  cut(): void {
    this.isCut = true
    this.options.timers.after(STREAM_PATIENCE_MS, () => {
      if (this.isCut) this.breakStreams()
    })
  }

  heal(): void {
    if (this.isKilled) return
    this.isCut = false
    // A message of a stream that was sent meanwhile would have been sent again by TCP; here the stream begins anew.
    this.breakStreams()
  }

  /** Its process is gone: nothing of it hears anything again. */
  kill(): void {
    this.isCut = true
    this.isKilled = true
    this.breaks.clear()
  }

  call<T>(request: () => T): Promise<T> {
    const { timers } = this.options
    this.requests++
    return new Promise((resolve, reject) => {
      let isSent = false
      const giveUp = timers.after(PATIENCE_MS, () =>
        reject(new ClusterError('unavailable', 'the store does not answer', { isUncertain: isSent }))
      )
      if (this.isLost()) return
      timers.after(this.delay(), () => {
        if (this.isCut) return
        isSent = true
        let answer: () => void
        try {
          const result = request()
          answer = () => resolve(result)
        } catch (error) {
          answer = () => reject(error)
        }
        if (this.isLost()) return
        timers.after(this.delay(), () => {
          if (this.isCut) return
          giveUp()
          answer()
        })
      })
    })
  }

  stream(broken: (error: ClusterError) => void): ReturnType<MemoryLink['stream']> {
    let last = 0
    let isOpen = true
    const { timers } = this.options
    this.breaks.add(broken)
    return {
      send: (deliver) => {
        this.notifications++
        last = Math.max(last, timers.now + this.delay())
        timers.after(last - timers.now, () => {
          if (isOpen && !this.isCut) deliver()
        })
      },
      end: () => {
        isOpen = false
        this.breaks.delete(broken)
      }
    }
  }

  private breakStreams(): void {
    for (const broken of [...this.breaks]) broken(new ClusterError('unavailable', 'the connection broke'))
  }

  private delay(): number {
    const [from, to] = this.options.delay
    return from + this.options.random.next() * (to - from)
  }

  private isLost(): boolean {
    return this.isCut || this.options.random.next() < this.options.loss()
  }
}
