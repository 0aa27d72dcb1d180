/**
 * The overlay suite: VXLAN in memory, and TCP by it between processes in namespaces, beside the kernel's and Open vSwitch's.
 */
import { runOverlay } from '../overlay/datapath.ts'
import { hasOpenVswitch, type OverlayKind, runOverlayPath } from '../overlay/overlay-path.ts'
import { type TrialCase, trialSuite } from '../trial-suite.ts'

/** Slots of 64 MiB gone through before one is used again: beyond the second-level cache. */
const HOSTILE = 64 * 2 ** 20
const FRAMES = 12e6
const SECONDS = 2

function tunnelName(flows: number, macs: number, underlay: 4 | 6, workingSet: number): string {
  return `${flows.toLocaleString('en')} flows, ${macs.toLocaleString('en')} MACs, IPv${underlay}, ${workingSet === 0 ? 'natural' : 'hostile'}`
}

function tunnel(flows: number, macs: number, underlay: 4 | 6, workingSet: number): TrialCase {
  return {
    name: tunnelName(flows, macs, underlay, workingSet),
    group: 'encap and decap in memory, UDP, 64 bytes',
    run: async () => ({ ...(await runOverlay({ flows, macs, underlay, tunnel: true, workingSet, frames: FRAMES })) })
  }
}

function between(kind: OverlayKind, name: string, group: string): TrialCase {
  return { name, group, run: () => runOverlayPath(kind, SECONDS) }
}

const MACHINES = 'containers of two machines, inner MTU 1,450'
const ONE_PROCESS = 'containers in one process'

const KERNEL = 'kernel vxlan over veth'
const TAP = 'netloom, TAP underlay'
const UDP = 'netloom, UDP sockets'
const OPEN_VSWITCH = 'Open vSwitch, userspace vxlan'
const BRIDGE = 'netloom, one bridge'
const EMULATED = 'netloom, overlay of two emulated hosts'
const openVswitch = hasOpenVswitch()

export const suite = trialSuite({
  name: 'overlay',
  title: 'VXLAN in memory, and between machines',
  warmUp: 'in memory as many frames as are measured; between machines a second of TCP',
  rounds: 9,
  columns: [
    { key: 'mpps', title: 'rate', unit: 'Mpps', digits: 1, better: 'more' },
    { key: 'gbit', title: 'TCP, 1 stream', unit: 'Gbit/s', digits: 2, better: 'more' },
    { key: 'kpps', title: 'UDP 64 bytes, overload', unit: 'kpps', digits: 0, better: 'more' },
    { key: 'cpu', title: 'CPU of the machine, TCP', unit: 's/GB', digits: 2, better: 'less' },
    { key: 'nsPerFrame', title: 'time', unit: 'ns', digits: 1, better: 'less' },
    { key: 'cpuPerFrame', title: 'CPU', unit: 'ns', digits: 1, better: 'less' },
    { key: 'heapPerMillion', title: 'garbage', unit: 'bytes per million', digits: 0, better: 'less' }
  ],
  cases: [
    tunnel(64, 64, 4, 0),
    tunnel(4000, 1000, 4, 0),
    tunnel(64, 64, 4, HOSTILE),
    tunnel(64, 64, 6, 0),
    {
      name: 'the stations alone, no tunnel, natural',
      group: 'the stations alone',
      run: async () => ({ ...(await runOverlay({ flows: 64, macs: 64, underlay: 4, tunnel: false, workingSet: 0, frames: FRAMES })) })
    },
    between('kernel', KERNEL, MACHINES),
    between('tap', TAP, MACHINES),
    between('udp', UDP, MACHINES),
    ...(openVswitch ? [between('openvswitch', OPEN_VSWITCH, MACHINES)] : []),
    between('bridge', BRIDGE, ONE_PROCESS),
    between('emulated', EMULATED, ONE_PROCESS)
  ],
  ratios: [
    { of: tunnelName(64, 64, 4, 0), figure: 'mpps', target: 15, direction: 'at least' },
    { of: TAP, to: KERNEL, figure: 'gbit', target: 0.7, direction: 'at least' },
    { of: UDP, to: KERNEL, figure: 'gbit', target: 0.4, direction: 'at least' },
    ...(openVswitch ? [{ of: TAP, to: OPEN_VSWITCH, figure: 'gbit', target: 3, direction: 'at least' } as const] : []),
    { of: EMULATED, to: BRIDGE, figure: 'gbit', target: 0.8, direction: 'at least' }
  ]
})
