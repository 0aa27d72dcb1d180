import type { NativeBinding } from '../../io/native-binding.ts'
import { ChangeWatch } from '../../io/netlink/change-watch.ts'
import type { Netlink } from '../../io/netlink/netlink.ts'

export interface InterfaceWatchOptions {
  readonly native: NativeBinding
  /** Of the namespace of the interface. */
  readonly netlink: Netlink
  /** Descriptor of that namespace; -1: the caller's own. */
  readonly netns: number
  readonly index: number
  /** Once: no interface of the namespace has this index any more. One that is renamed or down is still there. */
  readonly gone: () => void
  /** The kernel could not be asked; it is tried again at the next change. */
  readonly failed: (error: Error) => void
}

/** Tells that an interface was deleted or moved away: a packet socket that is bound to it just falls silent. */
export class InterfaceWatch {
  private readonly options: InterfaceWatchOptions
  private readonly watch: ChangeWatch
  /** 0: idle; 1: asking; 2: asking, and something changed meanwhile. */
  private state: 0 | 1 | 2 = 0
  private isOpen = true

  constructor(options: InterfaceWatchOptions) {
    this.options = options
    this.watch = ChangeWatch.open(options.native, options.netns, ['link'], () => this.changed())
  }

  /** Nothing is told afterwards. */
  close(): void {
    this.isOpen = false
    this.watch.close()
  }

  private changed(): void {
    if (this.state === 0) void this.ask()
    else this.state = 2
  }

  private async ask(): Promise<void> {
    const { netlink, index, gone, failed } = this.options
    do {
      this.state = 1
      try {
        const links = await netlink.links.list()
        if (!this.isOpen) return
        if (!links.some((link) => link.index === index)) {
          this.close()
          return gone()
        }
      } catch (error) {
        if (this.isOpen) failed(error as Error)
      }
    } while ((this.state as number) === 2)
    this.state = 0
  }
}
