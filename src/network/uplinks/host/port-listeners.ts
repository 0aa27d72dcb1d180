import type { Timers } from '../../../engine/clock.ts'
import { type UplinkPort, UplinkPortError } from '../../uplink.ts'
import { openTcpProxy, type PortProxy } from './tcp-proxy.ts'
import { openUdpProxy } from './udp-proxy.ts'

/**
 * The sockets of published ports: they reserve the port, and serve what never becomes a frame (loopback) or changes its family on the way
 * (`::` in front of a container without IPv6).
 */
export class PortListeners {
  private readonly timers: Timers
  private readonly proxies = new Map<string, PortProxy>()

  constructor(timers: Timers) {
    this.timers = timers
  }

  /** All or none. Rejects with UplinkPortError for the first that cannot be had. */
  async open(ports: readonly UplinkPort[]): Promise<void> {
    const opened: string[] = []
    for (const port of ports) {
      try {
        this.proxies.set(port.key, await (port.protocol === 'tcp' ? openTcpProxy(port) : openUdpProxy(port, this.timers)))
        opened.push(port.key)
      } catch (error) {
        await this.close(opened)
        throw new UplinkPortError(port, (error as NodeJS.ErrnoException).code ?? 'EIO', { cause: error })
      }
    }
  }

  /** Unknown keys are no error. Without keys: all. */
  async close(keys: Iterable<string> = [...this.proxies.keys()]): Promise<void> {
    for (const key of keys) {
      await this.proxies.get(key)?.close()
      this.proxies.delete(key)
    }
  }
}
