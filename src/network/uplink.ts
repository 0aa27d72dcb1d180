/**
 * How frames leave the emulated world: what the control plane asks of an uplink, and what it is given.
 *
 *   network's bridge 0 -- divert -- nat | router | nat -- UplinkPart.port ... the world
 *                           |
 *                     NetworkTap.tap: the host as a station of the network (uplink `host` only)
 *
 * The uplink owns everything outside the engine: interfaces, addresses, rules, sockets, helper processes. The controller owns
 * the graph: it puts the elements that it is given into it, and numbers, routes, translates and filters around them.
 *
 * The order of calls, one after the other, never two at once:
 *
 *   start - (addNetwork | removeNetwork | publish | unpublish)* - close
 *
 * `addNetwork` comes before the network's elements run, `removeNetwork` after they ended; `publish` before the NAT translates for
 * the ports, `unpublish` after it stopped. So nothing is routed to an uplink that does not expect it. What a call rejects with must
 * leave the uplink as it was before the call: the controller undoes its own part and hands the error on.
 *
 * Errors are NetworkErrors whose message names the thing (interface, address, port, rule) and whose `fix` says what to do:
 * `unsupported` when this machine or user cannot have the uplink at all, `conflict` when somebody else has what is needed,
 * `invalid` for a wrong setting. Ports that cannot be taken: UplinkPortError.
 *
 * Crashes. What an uplink changes beyond what dies with its descriptors (rules, sysctls, nftables) it writes to a journal of its
 * own in its state directory (a constructor argument), flushed before the change is made. `start` first puts back what a journal
 * still lists, then begins anew: after SIGKILL the controller adds all networks and publishes all ports again, in any order.
 */
import type { Plain, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { PortReference } from './driver.ts'
import { NetworkError } from './network-error.ts'

export interface Uplink {
  /** As in `--uplink`, without what follows an equals sign. */
  readonly kind: 'host' | 'interface' | 'user' | 'none' | 'emulated'
  /**
   * Once, before anything else. Resolves with the way out, or null when there is none (`none`): networks are then routed and
   * filtered, and what is for elsewhere is unreachable. `world` is told of later changes, until `close` resolves.
   */
  start(world: UplinkWorld): Promise<UplinkPart | null>
  /**
   * A network comes, also an internal one. Resolves with the host's own station on it, or null where the host has none (every
   * uplink but `host`): the router itself is then the station with the gateway's address and MAC, and answers ARP and echo there.
   */
  addNetwork(network: UplinkNetwork): Promise<NetworkTap | null>
  /** The network of this id went; its elements are closed (and with them the TAP). Also after an `addNetwork` that was in vain. */
  removeNetwork(id: string): Promise<void>
  /**
   * All of these or none. Reserves the ports on the host by listening there, serves what does not come by frames (loopback; all of it
   * with `user`), and opens ways for what does. Rejects with UplinkPortError for the first port that cannot be had.
   */
  publish(ports: readonly UplinkPort[]): Promise<void>
  /** By key; unknown keys are no error. */
  unpublish(keys: readonly string[]): Promise<void>
  /** What else may keep back what leaves, as far as is known now: sentences, for explanations. Absent: nothing ever. */
  obstacles?(): readonly string[]
  /**
   * Ends everything and puts the machine back as it was; the journal is empty then. Networks may still be there: the elements keep
   * their descriptors until the engine closes them. Also after a `start` that rejected. Rejects with `unclean` when something stays.
   */
  close(): Promise<void>
}

/** What an uplink may tell. */
export interface UplinkWorld {
  /** All addresses that the host has now, without prefix lengths, in any order; replaces those told before. See UplinkPart. */
  hostAddresses(addresses: readonly string[]): void
  /**
   * The way out is another now: a device was replaced (other options of an element of the same name; the descriptor in them is the
   * engine's), or the interface or its routes changed. Elements and links are the same as in the part before. Resolves when the
   * graph runs so; rejects when it cannot, and then all is as before and new descriptors are the caller's again.
   */
  changed(part: UplinkPart): Promise<void>
  /** Hears what one of the part's elements tells (`ElementContext.emit`), from its first word on. */
  listen(element: string, listener: (event: Plain) => void): void
  /** One sentence for the operator: what was found and what it means. */
  log(message: string): void
  /** The way out is gone and does not come back by itself (the interface was deleted). */
  failed(error: Error): void
}

/** The way out as a part of the graph, and its interface of NAT and router. */
export interface UplinkPart {
  /**
   * Devices and what else stands outside the NAT; names begin with `uplink/`. Descriptors in the options are the engine's from
   * here on, which closes them with the elements.
   */
  readonly elements: Readonly<Record<string, TopologyElement>>
  /** Among these elements. */
  readonly links: readonly TopologyLink[]
  /** Where the NAT's outward port is linked to. */
  readonly port: PortReference
  readonly interface: UplinkInterface
  /** CIDR -> next hop; `via` absent: on the link. Usually `0.0.0.0/0` and, with IPv6, `::/0`. They leave by this interface. */
  readonly routes: Readonly<Record<string, { readonly via?: string }>>
  /**
   * What comes in here for the target of a port on loopback is the uplink's own: its socket there took it, and nobody else can send such
   * frames. Default false: those targets are not to be reached from here.
   */
  readonly servesLoopback?: boolean
  /**
   * Addresses that mean the host, of both families, without loopback: published ports answer on them for containers too (hairpin),
   * and with `host` frames to them are the TAP's. Those of the networks' gateways may be among them and need not. A change
   * is told by `UplinkWorld.hostAddresses`.
   */
  readonly hostAddresses: readonly string[]
}

/** Our station on the uplink's link. */
export interface UplinkInterface {
  /** As it is shown: `netloom0`, `eth0`. */
  readonly name: string
  /** The router's own, not that of a kernel interface at the other end. */
  readonly mac: string
  /** CIDR, at most one of each family beside link-local ones. */
  readonly addresses: readonly string[]
  /** Longest packet, bytes. */
  readonly mtu: number
  /** bit/s, as captures tell it; undefined: nobody knows. */
  readonly speed?: number
  /**
   * The source address that masqueraded flows get, per family; absent: flows of that family keep theirs. (`host` leaves out both
   * when the kernel's own masquerade is to see containers' addresses.)
   */
  readonly snat?: string
  readonly snat6?: string
  /** TTL and hop limit are not counted down here: router and host are one hop. Default false. */
  readonly noDecrement?: boolean
  /** Answer ARP for whatever the router has a route to. Default false. */
  readonly proxyArp?: boolean
}

/** A network as an uplink sees it. */
export interface UplinkNetwork {
  /** 64 hexadecimal digits. */
  readonly id: string
  /** As the user calls it; for messages. */
  readonly name: string
  /** Interface on the host, 1 to 15 bytes: `docker0`, `br-` and 12 digits of the id, or what the user chose. */
  readonly bridgeName: string
  /** IPv4 CIDR, and IPv6 CIDR or null. */
  readonly subnet: string
  readonly subnet6: string | null
  /** With prefix lengths (`172.17.0.1/16`); null: none, nobody is at home there. */
  readonly gateway: string | null
  readonly gateway6: string | null
  /** The gateway's MAC, which the host's TAP gets: the divert element goes by it. */
  readonly mac: string
  readonly mtu: number
  readonly internal: boolean
  readonly masquerade: boolean
}

/** The host's own station on a network. */
export interface NetworkTap {
  /** A device element with one port, 0, towards the bridge; its descriptor is the engine's from here on. */
  readonly tap: TopologyElement
}

/** One published port of the host: one binding of `docker port`. */
export interface UplinkPort {
  /** Whoever publishes chooses it; unique as long as the port is published. */
  readonly key: string
  readonly protocol: 'tcp' | 'udp'
  /** `0.0.0.0` and `::` stand for all addresses of their family (`::` for those of IPv6 only); loopback ones are possible. */
  readonly address: string
  readonly port: number
  /** The endpoint's address, which may be of the other family (`::` in front of a container without IPv6), and its port. */
  readonly target: string
  readonly targetPort: number
  /** The target's network. */
  readonly network: string
}

/** A port that cannot be had. `errno` is the system's word: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
export class UplinkPortError extends NetworkError {
  readonly port: UplinkPort
  readonly errno: string

  constructor(port: UplinkPort, errno: string, options: { cause?: unknown } = {}) {
    const { address, protocol } = port
    const where = `${address.includes(':') ? `[${address}]` : address}:${port.port}/${protocol}`
    super(errno === 'EADDRINUSE' ? 'conflict' : 'unsupported', `${where} cannot be published: ${errno}`, {
      fix: errno === 'EADDRINUSE' ? 'end who listens there, or publish another port' : undefined,
      ...options
    })
    this.name = 'UplinkPortError'
    this.port = port
    this.errno = errno
  }
}
