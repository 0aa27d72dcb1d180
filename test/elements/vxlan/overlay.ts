/**
 * One bridge domain on two emulated hosts:
 *
 *   even ports -- bridge -- VTEP -- underlay -- VTEP -- bridge -- odd ports
 */
import type { VxlanOptions } from '../../../src/elements/vxlan/vxlan-options.ts'
import type { TopologyElement, TopologyLink } from '../../../src/engine/topology.ts'
import type { BridgeDomainOptions, BridgeDomainParts } from '../bridge-domain.ts'

const UPLINK = 100
const VNI = 256
/** Longer than any frame of the suite. */
const MTU = 9000

/** A VTEP whose one segment learns and replicates to the other, so that it is as transparent as a cable. */
export function cableVtep(own: string, other: string, side: 0 | 1, ageing: number, port?: number): VxlanOptions {
  return {
    addresses: [own],
    mac: `02:cc:00:00:01:0${side}`,
    nextHopMac: `02:cc:00:00:01:0${1 - side}`,
    underlayMtu: MTU + 70,
    port,
    ageing,
    segments: { [VNI]: { port: 1, mtu: MTU, bum: 'flood', learning: true, remotes: [other] } }
  }
}

export function overlay(
  ports: number,
  options: BridgeDomainOptions,
  [left, right]: readonly [string, string],
  port?: number
): BridgeDomainParts {
  const elements: Record<string, TopologyElement> = {
    left: { type: 'bridge', options },
    right: { type: 'bridge', options },
    leftVtep: { type: 'vxlan', options: cableVtep(left, right, 0, options.ageing, port) },
    rightVtep: { type: 'vxlan', options: cableVtep(right, left, 1, options.ageing, port) }
  }
  const links: TopologyLink[] = [
    { a: ['left', UPLINK], b: ['leftVtep', 1] },
    { a: ['leftVtep', 0], b: ['rightVtep', 0] },
    { a: ['rightVtep', 1], b: ['right', UPLINK] }
  ]
  return { elements, links, edges: Array.from({ length: ports }, (_, port) => [port % 2 === 0 ? 'left' : 'right', port] as const) }
}
