/** Which addresses the host has now. */
import { ChangeWatch } from '../../../io/netlink/change-watch.ts'
import type { HostNamespace } from './host-namespace.ts'

/** Without loopback and prefix lengths, sorted. */
export async function hostAddresses({ netlink }: HostNamespace): Promise<string[]> {
  const addresses = (await netlink.addresses.list()).map(({ address }) => address.slice(0, address.indexOf('/')))
  return [...new Set(addresses)].filter((address) => address !== '::1' && !address.startsWith('127.')).sort()
}

/** Lists them again whenever the kernel tells of a change, one listing after the other, and tells when they are others than before. */
export class HostAddressWatch {
  private readonly host: HostNamespace
  private readonly told: (addresses: readonly string[]) => void
  private readonly failed: (error: Error) => void
  private readonly watch: ChangeWatch
  private last: readonly string[]
  /** 0: idle; 1: listing; 2: listing, and something changed meanwhile. */
  private state: 0 | 1 | 2 = 0
  private isOpen = true

  private constructor(
    host: HostNamespace,
    last: readonly string[],
    told: (addresses: readonly string[]) => void,
    failed: (error: Error) => void
  ) {
    this.host = host
    this.last = last
    this.told = told
    this.failed = failed
    this.watch = ChangeWatch.open(host.native, host.fd, ['ipv4Address', 'ipv6Address'], () => this.changed())
  }

  /** `failed`: the kernel could not be asked; it is tried again at the next change. */
  static async open(
    host: HostNamespace,
    told: (addresses: readonly string[]) => void,
    failed: (error: Error) => void
  ): Promise<HostAddressWatch> {
    const watch = new HostAddressWatch(host, [], told, failed)
    try {
      watch.last = await hostAddresses(host) // listed after the watch began: nothing is missed
      return watch
    } catch (error) {
      watch.close()
      throw error
    }
  }

  /** As of the last listing. */
  get addresses(): readonly string[] {
    return this.last
  }

  /** Nothing is told afterwards. */
  close(): void {
    this.isOpen = false
    this.watch.close()
  }

  private changed(): void {
    if (this.state === 0) void this.listAgain()
    else this.state = 2
  }

  private async listAgain(): Promise<void> {
    do {
      this.state = 1
      try {
        const addresses = await hostAddresses(this.host)
        if (!this.isOpen) return
        if (addresses.join() !== this.last.join()) {
          this.last = addresses
          this.told(addresses)
        }
      } catch (error) {
        if (this.isOpen) this.failed(error as Error)
      }
    } while ((this.state as number) === 2)
    this.state = 0
  }
}
