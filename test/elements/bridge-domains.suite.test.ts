/**
 * One suite on every layer-2 domain: bridges, overlays, macvlan in mode bridge, ipvlan in mode l2. Overlays over UDP sockets:
 * test/system/vxlan-domain.slow.test.ts.
 */
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { ipvlanType } from '../../src/elements/ipvlan/ipvlan.ts'
import { macvlanType } from '../../src/elements/macvlan/macvlan.ts'
import { TrunkPort, vlanPort, vlanTrunkType } from '../../src/elements/vlan/vlan-trunk.ts'
import { vxlanType } from '../../src/elements/vxlan/vxlan.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { BROADCAST, type BridgeDomainKind, type StationFrames, station, testFrame } from './bridge-domain.ts'
import { bridgeDomainSuite } from './bridge-domain-suite.ts'
import { overlay } from './vxlan/overlay.ts'

const PARENT = station(0xaa)
const FIRST_CHILD = 2

/** Station N has 192.0.2.N+1, all the one MAC. */
const byAddress: StationFrames = {
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

const types = [learningBridge, macvlanType, ipvlanType, vlanTrunkType, vxlanType] as unknown as ElementType<never>[]
const children = (ports: readonly number[], of: (port: number) => unknown): object => ({
  children: Object.fromEntries(ports.map((port) => [port + FIRST_CHILD, of(port)]))
})
const all = (ports: number): number[] => Array.from({ length: ports }, (_, port) => port)
const side = (port: number): 'left' | 'right' => (port % 2 === 0 ? 'left' : 'right')
const oneTable = 'the two bridges have one each'
const learning = 'a parent is told who its children are'

const kinds: Readonly<Record<string, Omit<BridgeDomainKind, 'types'>>> = {
  'one bridge': {
    build: (ports, options) => ({
      elements: { it: { type: 'bridge', options } },
      links: [],
      edges: all(ports).map((port) => ['it', port] as const)
    })
  },
  // Each learns what is behind the other.
  'two bridges in line': {
    build: (ports, options) => ({
      elements: { left: { type: 'bridge', options }, right: { type: 'bridge', options } },
      links: [{ a: ['left', 100], b: ['right', 100] }],
      edges: all(ports).map((port) => [side(port), port] as const)
    }),
    lacks: { oneTable }
  },
  // A bridge and a VTEP on each of two hosts, and a cable between the VTEPs.
  'overlay over IPv4': {
    build: (ports, options) => overlay(ports, options, ['192.0.2.50', '192.0.2.51']),
    overhead: 70,
    lacks: { oneTable }
  },
  'overlay over IPv6': {
    build: (ports, options) => overlay(ports, options, ['2001:db8::50', '2001:db8::51']),
    overhead: 70,
    lacks: { oneTable }
  },
  'macvlan, mode bridge': {
    build: (ports) => ({
      elements: { it: { type: 'macvlan', options: { mode: 'bridge', mac: PARENT } } },
      links: [],
      edges: all(ports).map((port) => ['it', port + FIRST_CHILD] as const),
      updates: [{ element: 'it', change: children(all(ports), (port) => station(port + 1)) }]
    }),
    lacks: { learning }
  },
  'ipvlan, mode l2': {
    build: (ports) => ({
      elements: { it: { type: 'ipvlan', options: { mode: 'l2', mac: PARENT } } },
      links: [],
      edges: all(ports).map((port) => ['it', port + FIRST_CHILD] as const),
      updates: [{ element: 'it', change: children(all(ports), (port) => [`192.0.2.${port + 1}`]) }]
    }),
    frames: byAddress,
    lacks: { learning, ownMacs: "all children have the parent's" }
  },
  // Two parents with half of the stations each.
  'two macvlans on a VLAN of one cable': {
    build: (ports) => ({
      elements: {
        left: { type: 'macvlan' },
        right: { type: 'macvlan' },
        'left-trunk': { type: 'vlan-trunk' },
        'right-trunk': { type: 'vlan-trunk' }
      },
      links: [
        { a: ['left', 0], b: ['left-trunk', vlanPort(30)] },
        { a: ['left-trunk', TrunkPort.cable], b: ['right-trunk', TrunkPort.cable] },
        { a: ['right-trunk', vlanPort(30)], b: ['right', 0] }
      ],
      edges: all(ports).map((port) => [side(port), port + FIRST_CHILD] as const),
      updates: (['left', 'right'] as const).map((element) => {
        const own = all(ports).filter((port) => side(port) === element)
        return { element, change: children(own, (port) => station(port + 1)) }
      })
    }),
    lacks: { learning }
  }
}

for (const [name, kind] of Object.entries(kinds)) bridgeDomainSuite(name, { ...kind, types })
