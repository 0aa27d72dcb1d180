/**
 * The datapath suite: frames from the pool through link, bridge and link back to the pool, production classes throughout.
 */
import { PORTS, runDatapath } from '../datapath.ts'
import { type TrialCase, trialSuite } from '../trial-suite.ts'

/** The simple IMIX that RFC 6985 names: 7 frames of 64 bytes, 4 of 570, 1 of 1518, spread over the cycle. */
const IMIX = [64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 64, 570]
const MiB = 2 ** 20
/** Slots of 64 MiB gone through before one is used again: beyond the second-level cache. */
const HOSTILE = 64 * MiB
const FRAMES = 12e6
const FLOODED = 6e6

const LENGTHS: readonly [name: string, lengths: readonly number[]][] = [
  ['64 bytes', [64]],
  ['512 bytes', [512]],
  ['1518 bytes', [1518]],
  ['IMIX', IMIX]
]

function unicast(name: string, lengths: readonly number[], macs: number, workingSet: number): TrialCase {
  return {
    name: `unicast ${name}, ${macs.toLocaleString('en')} MACs, ${workingSet === 0 ? 'natural' : 'hostile'}`,
    group: 'unicast',
    run: async () => ({ ...(await runDatapath({ lengths, macs, flood: false, bridge: true, workingSet, frames: FRAMES })) })
  }
}

function flood(name: string, lengths: readonly number[], workingSet: number): TrialCase {
  return {
    name: `flood ${name}, ${PORTS} ports, ${workingSet === 0 ? 'natural' : 'hostile'}`,
    group: 'flood (frames delivered)',
    run: async () => ({ ...(await runDatapath({ lengths, macs: 64, flood: true, bridge: true, workingSet, frames: FLOODED })) })
  }
}

/** What the traffic itself costs: take it from the times above to have the bridge and the way to it. */
function pairs(workingSet: number): TrialCase {
  return {
    name: `stations in pairs, no bridge, ${workingSet === 0 ? 'natural' : 'hostile'}`,
    group: 'the stations alone',
    run: async () => ({
      ...(await runDatapath({ lengths: [64], macs: 64, flood: false, bridge: false, workingSet, frames: FRAMES }))
    })
  }
}

function fabricName(name: 'bridge' | 'macvlan' | 'ipvlan', ip: boolean): string {
  return `${name}, one MAC a port, ${ip ? 'IPv4' : '64 bytes'}`
}

/** One station a port, so that all three can join them: macvlan by MAC, ipvlan by address. */
function fabric(name: 'bridge' | 'macvlan' | 'ipvlan', ip: boolean): TrialCase {
  return {
    name: fabricName(name, ip),
    group: 'one station a port: bridge, macvlan, ipvlan',
    run: async () => ({
      ...(await runDatapath({ lengths: [64], macs: PORTS, flood: false, bridge: true, fabric: name, ip, workingSet: 0, frames: FRAMES }))
    })
  }
}

export const suite = trialSuite({
  name: 'datapath',
  title: `Bridge in memory, ${PORTS} ports, one core`,
  warmUp: 'the same traffic, as many frames as are measured, at least four per MAC',
  rounds: 9,
  columns: [
    { key: 'mpps', title: 'rate', unit: 'Mpps', digits: 1, better: 'more' },
    { key: 'nsPerFrame', title: 'time', unit: 'ns/frame', digits: 1, better: 'less' },
    { key: 'heapPerMillion', title: 'garbage', unit: 'bytes per million frames', digits: 0, better: 'less' },
    { key: 'keptPerMillion', title: 'heap kept', unit: 'bytes per million frames', digits: 0, better: 'less' },
    { key: 'collections', title: 'collections', unit: 'in all', digits: 0, better: 'less' }
  ],
  cases: [
    ...[0, HOSTILE].flatMap((workingSet) => [64, 4000, 40_000].map((macs) => unicast('64 bytes', [64], macs, workingSet))),
    ...LENGTHS.slice(1).flatMap(([name, lengths]) => [0, HOSTILE].map((workingSet) => unicast(name, lengths, 64, workingSet))),
    ...LENGTHS.map(([name, lengths]) => flood(name, lengths, 0)),
    flood('64 bytes', [64], HOSTILE),
    fabric('bridge', false),
    fabric('macvlan', false),
    fabric('bridge', true),
    fabric('ipvlan', true),
    pairs(0),
    pairs(HOSTILE)
  ],
  ratios: [
    { of: fabricName('macvlan', false), to: fabricName('bridge', false), figure: 'mpps', target: 0.95, direction: 'at least' },
    { of: fabricName('ipvlan', true), to: fabricName('bridge', true), figure: 'mpps', target: 0.95, direction: 'at least' }
  ]
})
