/**
 * The way out without root: flows become ordinary sockets of this user (native/uplink).
 *
 *   nat | router | nat -- uplink/tap == TAP == helper namespace == sockets == the user's own network
 *
 * Nothing on the machine is changed: all of it is descriptors and processes of ours, which end with us. So there is no journal.
 * A helper that dies is started again, with its ports, after a time that doubles while it goes on dying.
 */
import { networkInterfaces } from 'node:os'
import { realTimers, type Timers } from '../../engine/clock.ts'
import { loadNative } from '../../io/load-native.ts'
import { ChangeWatch } from '../../io/netlink/change-watch.ts'
import type { SandboxError } from '../../sandbox/sandbox-error.ts'
import { TAP_SPEED } from '../capture-point.ts'
import { NetworkError } from '../network-error.ts'
import {
  type NetworkTap,
  type Uplink,
  type UplinkNetwork,
  type UplinkPart,
  type UplinkPort,
  UplinkPortError,
  type UplinkWorld
} from '../uplink.ts'
import type { HelperLink } from './helper-namespace.ts'
import { refuseOverlap } from './link-overlap.ts'
import { UserHelper, type UserTimeouts } from './user-helper.ts'

export interface UserUplinkOptions {
  readonly timeouts?: UserTimeouts
  /** When a helper that ended is started again; default: real time. */
  readonly timers?: Timers
}

/** How long after its end a helper is started again: the first time, and at most. One that lived for the longest begins anew. */
const RESTART_MS = 1000
const RESTART_MAX_MS = 60_000

/**
 * A link that no network outside has: 192.0.0.0/29 is for the two ends of a tunnel within one machine (RFC 7335), the other is a
 * unique local prefix (RFC 4193). Its packets are not limited by a wire, so the MTU is the most that a frame holds.
 */
const LINK: HelperLink = {
  helper: { mac: '02:6e:6c:00:00:01', address: '192.0.0.1', address6: 'fd6e:6574:6c6f:6f6d::1' },
  router: { mac: '02:6e:6c:00:00:02', address: '192.0.0.2', address6: 'fd6e:6574:6c6f:6f6d::2' },
  prefixLength: 29,
  prefixLength6: 64,
  mtu: 65_520
}

const TAP_ELEMENT = 'uplink/tap'

export class UserUplink implements Uplink {
  readonly kind = 'user'
  private readonly timeouts: UserTimeouts
  private readonly timers: Timers
  /** null before the start, while a new one is to come, and after the end. */
  private helper: UserHelper | null = null
  private watch: ChangeWatch | null = null
  private world: UplinkWorld | null = null
  private readonly ports = new Map<string, UplinkPort>()
  /** Before the next start. */
  private pauseMs = RESTART_MS
  private cancelRestart = (): void => {}
  private cancelTrust = (): void => {}

  constructor(options: UserUplinkOptions = {}) {
    this.timeouts = options.timeouts ?? {}
    this.timers = options.timers ?? realTimers
  }

  async start(world: UplinkWorld): Promise<UplinkPart> {
    this.world = world
    try {
      this.helper = await this.startHelper()
    } catch (error) {
      throw cannotStart(error as SandboxError)
    }
    this.watch = ChangeWatch.open(loadNative(), -1, ['ipv4Address', 'ipv6Address'], () => world.hostAddresses(hostAddresses()))
    const { tap, missing } = this.helper
    if (missing.includes('ping')) {
      world.log('containers cannot ping the outside: let this user in with `sysctl -w net.ipv4.ping_group_range="0 2147483647"`')
    }
    return part(tap, !missing.includes('ipv6'))
  }

  /** The router is the only station with a gateway's address. */
  async addNetwork(network: UplinkNetwork): Promise<NetworkTap | null> {
    refuseOverlap(network, [`${LINK.router.address}/${LINK.prefixLength}`, `${LINK.router.address6}/${LINK.prefixLength6}`])
    return null
  }

  async removeNetwork(): Promise<void> {}

  async publish(ports: readonly UplinkPort[]): Promise<void> {
    const done: string[] = []
    for (const port of ports) {
      try {
        await this.running().publish(port)
        this.ports.set(port.key, port)
        done.push(port.key)
      } catch (error) {
        await this.unpublish(done)
        const { code = 'EIO' } = error as SandboxError
        throw error instanceof NetworkError ? error : new UplinkPortError(port, code, { cause: error })
      }
    }
  }

  async unpublish(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      if (this.ports.delete(key)) await this.helper?.unpublish(key)
    }
  }

  /** Counters by their names in native/uplink/README.md. Throws NetworkError `closed`. */
  stats(): Promise<Record<string, number>> {
    return this.running().stats()
  }

  async close(): Promise<void> {
    const { helper } = this
    this.helper = null
    this.world = null
    this.cancelRestart()
    this.cancelTrust()
    this.watch?.close()
    this.watch = null
    await helper?.close()
  }

  private running(): UserHelper {
    if (this.helper === null) throw new NetworkError('closed', 'the user uplink is not running', { fix: 'try again in a moment' })
    return this.helper
  }

  private startHelper(): Promise<UserHelper> {
    return UserHelper.start(LINK, this.timeouts, (reason) => void this.ended(reason))
  }

  private async ended(reason: string): Promise<void> {
    const { helper, world, pauseMs } = this
    if (world === null) return
    this.helper = null
    this.cancelTrust()
    this.pauseMs = Math.min(2 * pauseMs, RESTART_MAX_MS)
    world.log(`${reason}; it is started again in ${pauseMs / 1000} s, connections of containers to the outside are lost`)
    this.cancelRestart = this.timers.after(pauseMs, () => void this.restart())
    await helper?.close().catch(() => {}) // one of its two processes may still be there; the other one's end was told
  }

  private async restart(): Promise<void> {
    let helper: UserHelper
    try {
      helper = await this.startHelper()
    } catch (error) {
      return this.ended(`the helper of the user uplink cannot be started: ${(error as Error).message}`)
    }
    const { world } = this
    // Closed meanwhile: nobody waits for this one.
    if (world === null) return helper.close()
    // What is published from now on is published there; the others may go before it is their turn.
    const ports = [...this.ports]
    this.helper = helper
    try {
      await world.changed(part(helper.tap, !helper.missing.includes('ipv6')))
    } catch (error) {
      loadNative().closeFd(helper.tap.fd) // it never became the graph's
      if (this.helper !== helper) return // it has ended meanwhile, which was told
      return this.ended(`the new helper of the user uplink cannot be used: ${(error as Error).message}`)
    }
    for (const [key, port] of ports) {
      if (this.ports.get(key) !== port) continue
      await helper.publish(port).catch((error: SandboxError) => {
        world.log(`${new UplinkPortError(port, error.code ?? 'EIO').message}, after the user uplink was started again`)
      })
    }
    world.log('the user uplink is there again')
    this.cancelTrust = this.timers.after(RESTART_MAX_MS, () => {
      this.pauseMs = RESTART_MS
    })
  }
}

function part(tap: UserHelper['tap'], hasIpv6: boolean): UplinkPart {
  const { router, helper, prefixLength, prefixLength6, mtu } = LINK
  const { fd, name, vnetHeaderLength, offloads } = tap
  return {
    elements: { [TAP_ELEMENT]: { type: 'tap', options: { fd, name, mtu, vnetHeaderLength, offloads, shared: true } } },
    links: [],
    port: [TAP_ELEMENT, 0],
    interface: {
      name: 'user',
      mac: router.mac,
      addresses: [`${router.address}/${prefixLength}`, ...(hasIpv6 ? [`${router.address6}/${prefixLength6}`] : [])],
      mtu,
      speed: TAP_SPEED,
      noDecrement: true // the helper counts down
    },
    routes: { '0.0.0.0/0': { via: helper.address }, ...(hasIpv6 && { '::/0': { via: helper.address6 } }) },
    servesLoopback: true,
    hostAddresses: hostAddresses()
  }
}

/** Of all interfaces, without loopback and without addresses that mean something on one link only. */
function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address)
}

function cannotStart(error: SandboxError): Error {
  if (error.code === undefined) return error
  const fix = error.code === 'ERR_SHIM_MISSING' ? 'run npm rebuild' : 'see the message, or use --uplink none'
  return new NetworkError('unsupported', `the user uplink cannot be had here: ${error.message}`, { fix, cause: error })
}
