import type { Timers } from '../../engine/clock.ts'
import type { NativeBinding } from '../../io/native-binding.ts'
import { ChangeWatch } from '../../io/netlink/change-watch.ts'

/** Networks that come and go are told too, each several times; asking costs more with each network that there is. */
const PAUSE_MS = 1000

export interface PacedWatchOptions {
  readonly native: NativeBinding
  /** Descriptor of the namespace; -1: the caller's own. */
  readonly netns: number
  readonly timers: Timers
  /** What has become of it; one call ends before the next begins. */
  readonly ask: () => Promise<void>
  /** `ask` rejected; it is called again after the next change. */
  readonly failed: (error: Error) => void
}

/** Asks at most a second after the kernel told of a change of links or routes, however many there were meanwhile. */
export class PacedWatch {
  private readonly options: PacedWatchOptions
  private readonly watch: ChangeWatch
  private line: Promise<void> = Promise.resolve()
  private isWaiting = false
  private isOpen = true
  private cancel = (): void => {}

  constructor(options: PacedWatchOptions) {
    this.options = options
    this.watch = ChangeWatch.open(options.native, options.netns, ['link', 'ipv4Route', 'ipv6Route'], () => this.changed())
  }

  /** Nothing is asked afterwards. */
  close(): void {
    this.isOpen = false
    this.watch.close()
    this.cancel()
  }

  private changed(): void {
    if (this.isWaiting) return
    this.isWaiting = true
    const { timers, ask, failed } = this.options
    this.cancel = timers.after(PAUSE_MS, () => {
      this.isWaiting = false
      this.line = this.line.then(() => (this.isOpen ? ask() : undefined)).catch(failed)
    })
  }
}
