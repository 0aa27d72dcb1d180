import type { NativeBinding, NativeWatch } from '../native-binding.ts'
import { NETLINK_NETFILTER, NFTABLES_GROUP } from './nftables/nf-tables.ts'
import { MulticastGroup } from './rtnetlink.ts'

const NETLINK_ROUTE = 0

/**
 * Tells when links, addresses, routes or rules of a network namespace change, or its packet filter. It does not tell what: whoever wants to
 * know lists anew, which is right also after an overflow, when messages were lost. Several changes at once are told once.
 *
 * It keeps the process alive until it is closed.
 */
export class ChangeWatch {
  private readonly native: NativeBinding
  private readonly fd: number
  private readonly watch: NativeWatch
  private isOpen = true

  private constructor(native: NativeBinding, fd: number, changed: () => void) {
    this.native = native
    this.fd = fd
    try {
      this.watch = native.watchReadable(fd, () => {
        if (native.netlinkDrain(fd) > 0) changed()
      })
    } catch (error) {
      native.closeFd(fd)
      throw error
    }
  }

  /** Over the addon; `netns` is a namespace's fd, -1 for the caller's own. What changes after this call is told. */
  static open(native: NativeBinding, netns: number, groups: readonly (keyof typeof MulticastGroup)[], changed: () => void): ChangeWatch {
    const mask = groups.reduce((bits, name) => bits | MulticastGroup[name], 0)
    return new ChangeWatch(native, native.netlinkSubscribe(netns, NETLINK_ROUTE, mask), changed)
  }

  /** Of any table, by anybody: our own changes are told too. Needs CAP_NET_ADMIN there. */
  static ofNftables(native: NativeBinding, netns: number, changed: () => void): ChangeWatch {
    return new ChangeWatch(native, native.netlinkSubscribe(netns, NETLINK_NETFILTER, NFTABLES_GROUP), changed)
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.native.unwatchReadable(this.watch)
    this.native.closeFd(this.fd)
  }
}
