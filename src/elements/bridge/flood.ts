/**
 * Flooding: a frame of unknown or group destination leaves by every other port.
 *
 * The frame itself goes to the last port and copies go to those before. Where the pool is exhausted, ports are left out and
 * counted: there is no frame to drop, and the original still leaves.
 */
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import { NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link, Port } from '../../engine/link.ts'

export class Flood {
  copies = 0
  copyFailures = 0
  private readonly frames: FramePool
  /** The connected ports, ascending, and their links. */
  private numbers = new Int32Array(0)
  private links: Link[] = []
  private isolatedFrom = 0
  /** How many connected ports are not isolated: the first ones. */
  private open = 0

  constructor(frames: FramePool) {
    this.frames = frames
  }

  /** `isolatedFrom`: see LearningBridgeOptions. */
  setPorts(ports: readonly (Port | null)[], isolatedFrom: number): void {
    const connected = ports.map((port, number) => ({ port, number })).filter(({ port }) => port !== null)
    this.numbers = Int32Array.from(connected, ({ number }) => number)
    this.links = connected.map(({ port }) => port!.tx)
    this.isolatedFrom = isolatedFrom
    this.open = connected.filter(({ number }) => number < isolatedFrom).length
  }

  /** Sends the frame by every port but `ingress`, from an isolated port to those that are not. False, and the frame stays the caller's, when there is none. */
  send(frame: FrameHandle, ingress: number): boolean {
    const { numbers, links } = this
    let last = (ingress >= this.isolatedFrom ? this.open : numbers.length) - 1
    if (last >= 0 && numbers[last] === ingress) last--
    if (last < 0) return false
    for (let i = 0; i < last; i++) {
      if (numbers[i] === ingress) continue
      const copy = this.frames.copy(frame)
      if (copy === NO_FRAME) {
        this.copyFailures++
        continue
      }
      this.copies++
      links[i].transmit(copy)
    }
    links[last].transmit(frame)
    return true
  }
}
