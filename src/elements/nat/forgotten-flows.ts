/**
 * Flows that a change of the control plane ends: what they lead to is gone, or somebody else.
 */
import { type Conntrack, FlowStatus } from './conntrack.ts'
import type { NatInterface } from './nat-interfaces.ts'
import type { InterfaceSpec } from './nat-options.ts'
import { type PublishedPorts, portKey } from './published-ports.ts'
import { Tuple } from './tuple.ts'

/**
 * Removes flows to published ports that now lead nowhere, or elsewhere: a client would go on talking to who is gone.
 * @param changed `portKey` of each port of which anything has changed; the flows of others stay as they are
 */
export function forgetUnpublished(flows: Conntrack, published: PublishedPorts, changed: ReadonlySet<number>): void {
  const original = new Tuple()
  const reply = new Tuple()
  for (let flow = 0; flow < flows.end; flow++) {
    if ((flows.status[flow] & FlowStatus.dnat) === 0) continue
    const { protocol, destination, destinationPort, isIpv6 } = flows.tuple(flow, 0, original)
    if (!changed.has(portKey(protocol, destinationPort))) continue
    const entry = published.find(protocol, destination, destinationPort, isIpv6)
    flows.tuple(flow, 1, reply)
    if (entry === null || entry.target !== reply.source || entry.targetPort !== reply.sourcePort) flows.remove(flow)
  }
}

/**
 * Removes flows to or from an address that an uplink had and has no longer, as Linux's masquerade does (nf_nat_masquerade.c): the next
 * station that gets it must hear nothing of them. To be called before the interface is changed.
 */
export function forgetMoved(flows: Conntrack, before: NatInterface | null, after: InterfaceSpec | null): void {
  if (before === null || after === null) return
  const hasMoved = before.hasSnat && before.spec.snat !== after.snat
  const hasMoved6 = before.spec.snat6 !== undefined && before.spec.snat6 !== after.snat6
  if (!hasMoved && !hasMoved6) return
  const tuple = new Tuple()
  const isGone = (flow: number, direction: number): boolean => {
    const { destination, isIpv6 } = flows.tuple(flow, direction, tuple)
    return isIpv6 ? hasMoved6 && destination === before.snat6 : hasMoved && destination === before.snat
  }
  for (let flow = 0; flow < flows.end; flow++) {
    if (flows.status[flow] !== 0 && (isGone(flow, 0) || isGone(flow, 1))) flows.remove(flow)
  }
}
