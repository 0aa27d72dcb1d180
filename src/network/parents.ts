/**
 * Interfaces that macvlan and ipvlan networks stand on: `eth0`, or `eth0.30`, VLAN 30 of eth0.
 *
 *   the LAN ... wire -- 0 | trunk | 1 -- who stands on eth0 itself      `port` of the Parent `eth0`
 *                         |       | 31 - who stands on eth0.30          `port` of the Parent `eth0.30`
 *
 * Wire and trunk are shared by all who stand on one interface. A real interface: `parents/host-parents.ts`; an emulated host's is the
 * lab's.
 */
import type { CaptureWire } from './capture-point.ts'
import type { PortReference, TopologyPart } from './driver.ts'
import { NetworkError } from './network-error.ts'

/** Who stands on a parent. */
export interface ParentUser {
  /** The network's id. */
  readonly network: string
  readonly driver: 'macvlan' | 'ipvlan'
  /** CIDR: what its endpoints have addresses of. The parent's own kernel must not take ipvlan's for somebody else's. */
  readonly subnets: readonly string[]
}

export interface Parent {
  /** As it was asked for. */
  readonly name: string
  readonly mac: string
  /** Longest packet, bytes. */
  readonly mtu: number
  /** Elements that all who stand on the interface share, the same for each of them. */
  readonly part: TopologyPart
  /** Where the interface's frames can be captured; undefined: where it is known otherwise. */
  readonly wire?: CaptureWire
  /** Where the user's wire goes. */
  readonly port: PortReference
  /** Where what is the parent's own stack's goes to and comes from; undefined: nowhere, a real parent's kernel sees the wire itself. */
  readonly stack?: PortReference
  /**
   * What the parent's own stack would route by, for ipvlan's modes l3 and l3s where `stack` is not there: its addresses (CIDR), and by
   * prefix the next hop, without one what is on the link.
   */
  readonly station?: { readonly addresses: readonly string[]; readonly routes: Readonly<Record<string, { readonly via?: string }>> }
}

export interface ParentInterfaces {
  /** First parts of the names of shared elements. */
  readonly reserved: readonly string[]
  /** Opens or shares. Throws NetworkError `not-found` (no such interface), `invalid` (no such VLAN), `conflict`, `unsupported`. */
  acquire(name: string, user: ParentUser): Promise<Parent>
  /** By network id. What is not held is no error. */
  release(name: string, network: string): Promise<void>
}

/** An interface, or a VLAN of one. */
export interface ParentName {
  readonly interface: string
  /** null: the interface itself. */
  readonly vlan: number | null
}

const VLAN_MAX = 4094

/**
 * What a name means where there is no interface of that very name, in the order and words of Docker's checks (libnetwork,
 * drivers/macvlan/macvlan_setup.go); the VLAN's number is plain decimal. Throws NetworkError.
 * @param exists whether there is an interface of a name
 */
export function parseVlanParent(name: string, exists: (name: string) => boolean): { interface: string; vlan: number } {
  if (!name.includes('.')) {
    throw new NetworkError('not-found', `invalid subinterface vlan name ${name}, example formatting is eth0.10`, {
      fix: 'name an interface that `ip link` shows, or a VLAN of one'
    })
  }
  const parts = name.split('.')
  if (parts.length !== 2) {
    throw new NetworkError('invalid', `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`)
  }
  const [parent, text] = parts
  // Docker reads 030 and +30 as 30 too. Networks are told apart by the parent's name: one VLAN is to have one.
  if (!/^(0|[1-9]\d*)$/.test(text))
    throw new NetworkError('invalid', `unable to parse a valid vlan id from: ${text} (ex. eth0.10 for vlan 10)`)
  if (!exists(parent)) throw new NetworkError('not-found', `-o parent interface was not found on the host: ${parent}`)
  const vlan = Number(text)
  if (vlan < 1 || vlan > VLAN_MAX) throw new NetworkError('invalid', `vlan id must be between 1-4094, received: ${vlan}`)
  return { interface: parent, vlan }
}
