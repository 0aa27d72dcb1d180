/**
 * The rules and routes that lead forwarded packets to our router (host-link.ts), and the link's addresses, kept in the kernel. Programs that rule a host's routing take
 * away what is not theirs (systemd-networkd does when it starts, unless ManageForeignRoutingPolicyRules=no), and without ours the kernel would
 * forward to docker0, where they end (host-filter.ts): they are put there again.
 */
import type { Timers } from '../../../engine/clock.ts'
import { ChangeWatch } from '../../../io/netlink/change-watch.ts'
import { NetlinkError } from '../../../io/netlink/netlink-error.ts'
import { formatPrefix, parseCidr } from '../../../wire/cidr.ts'
import { PacedWatch } from '../paced-watch.ts'
import type { HostChanges } from './host-changes.ts'
import type { HostLink } from './host-link.ts'
import type { HostNamespace } from './host-namespace.ts'
import { LINK_NAME, ROUTING_TABLE } from './host-settings.ts'

export interface KeptWaysOptions {
  readonly host: HostNamespace
  readonly timers: Timers
  readonly link: HostLink
  readonly changes: HostChanges
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
}

export class KeptWays {
  private readonly options: KeptWaysOptions
  private readonly families: readonly (4 | 6)[]
  private readonly subnets = new Set<string>()
  private rulesWatch: ChangeWatch | undefined
  private routesWatch: PacedWatch | undefined
  private line: Promise<unknown> = Promise.resolve()
  private isOpen = true
  private lastError = ''

  constructor(options: KeptWaysOptions) {
    this.options = options
    this.families = options.link.hasIpv6 ? [4, 6] : [4]
  }

  /** The rules. Throws NetlinkError. */
  async open(): Promise<void> {
    const { host, timers, changes } = this.options
    for (const family of this.families) await changes.addRule(family)
    this.rulesWatch = ChangeWatch.open(host.native, host.fd, ['ipv4Rule', 'ipv6Rule'], () => void this.look(() => this.restoreRules()))
    // Routes of others may be many and change all the time.
    const ask = (): Promise<void> => this.look(() => this.restoreRoutes())
    this.routesWatch = new PacedWatch({ native: host.native, netns: host.fd, timers, ask, failed: () => {} })
    await this.inLine(() => this.restoreRules())
  }

  /** The way to a network. Throws NetlinkError. */
  addRoute(subnet: string): Promise<void> {
    return this.inLine(async () => {
      await this.options.link.addRoute(subnet)
      this.subnets.add(subnet)
    })
  }

  /** One that is not there any more is no error. */
  deleteRoute(subnet: string): Promise<void> {
    return this.inLine(async () => {
      this.subnets.delete(subnet)
      await this.options.link.deleteRoute(subnet).catch((error: unknown) => {
        if (!(error instanceof NetlinkError) || error.code !== 'ESRCH') throw error
      })
    })
  }

  /** Routes go with the interface, rules by HostChanges. Resolves when nothing of ours is on its way to the kernel. */
  async close(): Promise<void> {
    this.isOpen = false
    this.rulesWatch?.close()
    this.routesWatch?.close()
    await this.line
  }

  private inLine(work: () => Promise<void>): Promise<void> {
    const done = this.line.then(work)
    this.line = done.catch(() => {}) // who asked for it is told
    return done
  }

  private async look(restore: () => Promise<void>): Promise<void> {
    try {
      await this.inLine(async () => {
        if (this.isOpen) await restore()
      })
      this.lastError = ''
    } catch (error) {
      const { message } = error as Error
      // Once for as long as it is the same.
      if (message !== this.lastError) this.options.log(`whether rules and routes to networks are still there cannot be seen to: ${message}`)
      this.lastError = message
    }
  }

  private async restoreRules(): Promise<void> {
    for (const family of this.families) {
      if (await this.options.changes.restoreRule(family)) this.tell(`the rule of IPv${family} that leads to table ${ROUTING_TABLE}`)
    }
  }

  private async restoreRoutes(): Promise<void> {
    const { host, link } = this.options
    for (const address of await link.restoreAddresses()) this.tell(`the address ${address} of ${LINK_NAME}`)
    if (this.subnets.size === 0) return
    const there = new Set((await host.netlink.routes.list(ROUTING_TABLE)).map(({ to }) => normal(to)))
    for (const subnet of this.subnets) {
      if (there.has(normal(subnet))) continue
      await link.addRoute(subnet)
      this.tell(`the route to ${subnet} in table ${ROUTING_TABLE}`)
    }
  }

  private tell(what: string): void {
    this.options.log(`somebody took ${what} away (systemd-networkd? it keeps others' with ManageForeign...=no); it is there again`)
  }
}

function normal(subnet: string): string {
  return formatPrefix(parseCidr(subnet))
}
