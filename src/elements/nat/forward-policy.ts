/**
 * Who may open a flow through the gateway; flows that exist are not asked again. As Docker's FORWARD, DOCKER and isolation chains.
 *
 *   from      to                       allowed
 *   network   uplink                   unless the network is internal
 *   network   another network          only to a published port
 *   network   itself                   when icc is on, or to a published port
 *   uplink    network                  only to a published port: translated, or (not `onlyLocal`) named by the target's own address and port
 *   uplink    uplink                   never
 */

import { PolicyDrop } from './nat-drop.ts'
import type { NatInterface } from './nat-interfaces.ts'
import type { PublishedPorts } from './published-ports.ts'
import type { Tuple } from './tuple.ts'

/** `judge` says so when the flow may be opened. */
export const ALLOWED = -1

export class ForwardPolicy {
  private readonly published: PublishedPorts

  constructor(published: PublishedPorts) {
    this.published = published
  }

  /**
   * ALLOWED, or the reason to drop.
   * @param isDnat the flow goes to a published port
   * @param tuple as the packet is after destination translation
   */
  judge(ingress: NatInterface, egress: NatInterface, isDnat: boolean, tuple: Tuple): number {
    if (ingress.spec.internal || egress.spec.internal) return PolicyDrop.internal
    if (ingress.isUplink) {
      if (egress.isUplink) return PolicyDrop.transit
      if (isDnat || this.published.isTarget(tuple.protocol, tuple.destination, tuple.destinationPort, tuple.isIpv6)) return ALLOWED
      return PolicyDrop.notPublished
    }
    if (egress.isUplink || isDnat) return ALLOWED
    if (ingress !== egress) return PolicyDrop.isolated
    return ingress.spec.icc ? ALLOWED : PolicyDrop.icc
  }
}
