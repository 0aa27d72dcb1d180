/** The longest packet that the host's way out takes. */
import type { Timers } from '../../../engine/clock.ts'
import { PacedWatch } from '../paced-watch.ts'
import type { HostNamespace } from './host-namespace.ts'

/** RFC 8200, section 5: what every link with IPv6 takes. */
const MTU_MIN = 1280

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

/** Tells another MTU than before. */
export class UplinkMtuWatch {
  private readonly watch: PacedWatch

  /** `failed`: of `told`, or the kernel could not be asked; it is tried again at the next change. */
  constructor(host: HostNamespace, timers: Timers, mtu: number, told: (mtu: number) => Promise<void>, failed: (error: Error) => void) {
    let known = mtu
    const ask = async (): Promise<void> => {
      const now = await uplinkMtu(host)
      // Without a way out there is nothing to follow: it may come back as it was.
      if (now === null || now === known) return
      await told(now)
      known = now
    }
    this.watch = new PacedWatch({ native: host.native, netns: host.fd, timers, ask, failed })
  }

  /** Nothing is told afterwards. */
  close(): void {
    this.watch.close()
  }
}
