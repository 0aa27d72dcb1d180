/** What a NetworkController is made with. */
import type { DnsSettings } from '../dns/dns-options.ts'
import type { NatSettings } from '../elements/nat/nat-options.ts'
import type { Random } from '../engine/index.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import type { Driver } from './driver.ts'
import type { EngineHost } from './engine-host.ts'
import type { ForwardNames } from './name-forwarder.ts'
import type { Uplink } from './uplink.ts'

export interface NetworkControllerOptions {
  readonly engine: EngineHost
  readonly addresses: AddressSpace
  /** Draws ids. */
  readonly random: Random
  /** Without it names outside are answered as unreachable. */
  readonly forward?: ForwardNames
  /**
   * CIDR prefixes that automatic subnets must not share addresses with (the host's routes and name servers, say); asked each
   * time that one is wanted.
   */
  readonly avoid?: () => readonly string[] | Promise<readonly string[]>
  /** How names are answered; `unanswered` is by default `silent` in real time and `servfail` in virtual time. */
  readonly dns?: DnsSettings
  /**
   * The way out. With one, the gateways of all networks are one router with NAT; without, each is a virtual host that answers
   * echo and routes nothing.
   */
  readonly uplink?: Uplink
  /** How the gateway's NAT works; default: as Linux. */
  readonly nat?: NatSettings
  /** Kinds of networks beside `bridge`. */
  readonly drivers?: readonly Driver[]
  /** For what nobody asked for but an operator should read. */
  readonly log?: (message: string) => void
}
