/** The longest packet that the host's way out takes. */
import type { Timers } from '../../../engine/clock.ts'
import { ChangeWatch } from '../../../io/netlink/change-watch.ts'
import type { HostNamespace } from './host-namespace.ts'

/** RFC 8200, section 5: what every link with IPv6 takes. */
const MTU_MIN = 1280
/** Networks that come and go are told too, each several times; asking costs more with each network that there is. */
const PAUSE_MS = 1000

/**
 * Of the interface of the default route, bytes; null when there is none: then it is our router that says "fragmentation needed", from the
 * network's gateway address, as the only hop there is.
 */
export async function uplinkMtu({ netlink }: HostNamespace): Promise<number | null> {
  const routes = await netlink.routes.list()
  const ways = routes.filter(({ to, dev }) => to.endsWith('/0') && dev !== undefined)
  const best = ways.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))[0]
  const link = best && (await netlink.links.list()).find(({ index }) => index === best.dev)
  return link === undefined ? null : Math.max(link.mtu, MTU_MIN)
}

/** Tells another MTU than before, at most a second after the kernel told of a change of links or routes. */
export class UplinkMtuWatch {
  private readonly host: HostNamespace
  private readonly timers: Timers
  private readonly told: (mtu: number) => Promise<void>
  private readonly failed: (error: Error) => void
  private readonly watch: ChangeWatch
  private mtu: number
  private isWaiting = false
  private cancel = (): void => {}

  /** `failed`: of `told`, or the kernel could not be asked; it is tried again at the next change. */
  constructor(host: HostNamespace, timers: Timers, mtu: number, told: (mtu: number) => Promise<void>, failed: (error: Error) => void) {
    this.host = host
    this.timers = timers
    this.mtu = mtu
    this.told = told
    this.failed = failed
    this.watch = ChangeWatch.open(host.native, host.fd, ['link', 'ipv4Route', 'ipv6Route'], () => this.changed())
  }

  /** Nothing is told afterwards. */
  close(): void {
    this.watch.close()
    this.cancel()
  }

  private changed(): void {
    if (this.isWaiting) return
    this.isWaiting = true
    this.cancel = this.timers.after(PAUSE_MS, () => {
      this.isWaiting = false
      void this.ask()
    })
  }

  private async ask(): Promise<void> {
    try {
      const mtu = await uplinkMtu(this.host)
      // Without a way out there is nothing to follow: it may come back as it was.
      if (mtu === null || mtu === this.mtu) return
      await this.told(mtu)
      this.mtu = mtu
    } catch (error) {
      this.failed(error as Error)
    }
  }
}
