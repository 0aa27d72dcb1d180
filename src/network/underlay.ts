/**
 * How VXLAN leaves and enters the emulated world: what the control plane asks of an underlay, and what it is given.
 *
 *   segments of overlay networks -- vxlan 0 -- UnderlayPart.port ... other VTEPs
 *
 * One VTEP element stands for the daemon, or for an emulated host; its port 0 is linked to the underlay's. Outer frames go to
 * `nextHopMac`, whoever the remote VTEP is: the underlay knows the way.
 *
 * Errors are NetworkErrors: `unsupported` when this machine or user cannot have the underlay at all, `conflict` when somebody else has
 * the address, the port or the interface, `invalid` for an address that is not the host's. What `open` rejects with leaves nothing behind.
 */
import type { TopologyElement, TopologyLink } from '../engine/index.ts'
import type { PortReference } from './driver.ts'

export interface UnderlayTarget {
  /** Of this VTEP as the others know it (`--cluster-advertise`): IPv4 or IPv6, one of the host's own. */
  readonly address: string
  /** UDP, the same for all VTEPs. */
  readonly port: number
}

export interface Underlay {
  /**
   * `tap`: an interface of the host's kernel, which forwards outer frames; super-frames pass whole. `udp`: sockets, without any right.
   * `emulated`: an emulated host's own router.
   */
  readonly kind: 'tap' | 'udp' | 'emulated'
  /** Once. */
  open(target: UnderlayTarget): Promise<UnderlayPart>
  /** Puts back what was changed on the host. The elements keep their descriptors until the engine closes them. Also after a failed `open`. */
  close(): Promise<void>
}

/** The underlay as a part of the graph, and what the VTEP's options need of it. */
export interface UnderlayPart {
  /** Names begin with `underlay/`. Descriptors in the options are the engine's from here on. */
  readonly elements: Readonly<Record<string, TopologyElement>>
  /** Among these elements. */
  readonly links: readonly TopologyLink[]
  /** Where the VTEP's port 0 is linked to. */
  readonly port: PortReference
  /** `VxlanOptions.mac` and `nextHopMac`. */
  readonly mac: string
  readonly nextHopMac: string
  /** `VxlanOptions.underlayMtu`, bytes. */
  readonly mtu: number
  /** bit/s, as captures tell it; undefined: nobody knows. */
  readonly speed?: number
  /** `VxlanOptions.addresses`: what outer frames carry here, which the host may translate to the address that others know. */
  readonly address: string
}
