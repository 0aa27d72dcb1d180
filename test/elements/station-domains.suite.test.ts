/** One suite on every fabric whose stations are known: bridge, overlay, macvlan in mode bridge, ipvlan in mode l2, and macvlans over a cable. */
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { ipvlanType } from '../../src/elements/ipvlan/ipvlan.ts'
import { macvlanType } from '../../src/elements/macvlan/macvlan.ts'
import { TrunkPort, vlanPort, vlanTrunkType } from '../../src/elements/vlan/vlan-trunk.ts'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { ElementType } from '../../src/engine/element.ts'
import type { TopologyLink } from '../../src/engine/topology.ts'
import { station, testFrame } from './bridge-domain-suite.ts'
import { type StationDomainKind, stationDomainSuite } from './station-domain-suite.ts'
import { overlay } from './vxlan/overlay.ts'

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const PARENT = station(0xaa)
const FIRST_CHILD = 2

type Frames = Pick<StationDomainKind, 'unicast' | 'broadcast' | 'multicast'>

/** Station N has the MAC station(N + 1). */
const byMac: Frames = {
  unicast: (from, to, length = 60, fill = 0) => testFrame(station(to + 1), station(from + 1), length, fill),
  broadcast: (from, length = 60, fill = 0) => testFrame(BROADCAST, station(from + 1), length, fill),
  multicast: (from) => testFrame('01:00:5e:00:00:fb', station(from + 1))
}

/** Station N has 192.0.2.N+1, all the one MAC. */
const byAddress: Frames = {
  unicast: (from, to, length = 60, fill = 0) => ipv4(PARENT, from, [192, 0, 2, to + 1], length, fill),
  broadcast: (from, length = 60, fill = 0) => ipv4(BROADCAST, from, [192, 0, 2, 255], length, fill),
  multicast: (from) => ipv4('01:00:5e:00:00:fb', from, [224, 0, 0, 251], 60, 0)
}

function ipv4(to: string, from: number, destination: readonly number[], length: number, fill: number): Uint8Array {
  const bytes = testFrame(to, PARENT, length, fill)
  const total = length - 14
  bytes.set([8, 0, 0x45, 0, total >>> 8, total & 255, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, from + 1, ...destination], 12)
  return bytes
}

const types = [learningBridge, macvlanType, ipvlanType, vlanTrunkType] as unknown as ElementType<never>[]
const children = (ports: readonly number[], of: (port: number) => unknown): object => ({
  children: Object.fromEntries(ports.map((port) => [port + FIRST_CHILD, of(port)]))
})
const all = (ports: number): number[] => Array.from({ length: ports }, (_, port) => port)

stationDomainSuite('one bridge', {
  types,
  ...byMac,
  build: (ports) => ({ elements: { it: { type: 'bridge' } }, links: [], edges: all(ports).map((port) => ['it', port] as const) })
})

stationDomainSuite('macvlan, mode bridge', {
  types,
  ...byMac,
  build: (ports) => ({
    elements: { it: { type: 'macvlan', options: { mode: 'bridge', mac: PARENT } } },
    links: [],
    edges: all(ports).map((port) => ['it', port + FIRST_CHILD] as const),
    updates: [{ element: 'it', change: children(all(ports), (port) => station(port + 1)) }]
  })
})

stationDomainSuite('ipvlan, mode l2', {
  types,
  ...byAddress,
  build: (ports) => ({
    elements: { it: { type: 'ipvlan', options: { mode: 'l2', mac: PARENT } } },
    links: [],
    edges: all(ports).map((port) => ['it', port + FIRST_CHILD] as const),
    updates: [{ element: 'it', change: children(all(ports), (port) => [`192.0.2.${port + 1}`]) }]
  })
})

stationDomainSuite('an overlay of two hosts', {
  types: [...types, vxlanType as unknown as ElementType<never>],
  ...byMac,
  build: (ports, options) => overlay(ports, options, ['192.0.2.50', '192.0.2.51']),
  overhead: 70
})

/** Two parents with half of the stations each, on VLAN 30 of one cable. */
const overCable: TopologyLink[] = [
  { a: ['left', 0], b: ['left-trunk', vlanPort(30)] },
  { a: ['left-trunk', TrunkPort.cable], b: ['right-trunk', TrunkPort.cable] },
  { a: ['right-trunk', vlanPort(30)], b: ['right', 0] }
]
const side = (port: number): 'left' | 'right' => (port % 2 === 0 ? 'left' : 'right')

stationDomainSuite('two macvlans on a VLAN of one cable', {
  types,
  ...byMac,
  build: (ports) => ({
    elements: {
      left: { type: 'macvlan' },
      right: { type: 'macvlan' },
      'left-trunk': { type: 'vlan-trunk' },
      'right-trunk': { type: 'vlan-trunk' }
    },
    links: overCable,
    edges: all(ports).map((port) => [side(port), port + FIRST_CHILD] as const),
    updates: (['left', 'right'] as const).map((element) => {
      return {
        element,
        change: children(
          all(ports).filter((port) => side(port) === element),
          (port) => station(port + 1)
        )
      }
    })
  })
})
