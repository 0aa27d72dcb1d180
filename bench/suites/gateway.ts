/**
 * The gateway suite: frames from a network through NAT and router to an uplink and back, in memory, production classes throughout.
 */
import { runGateway, runNewFlows } from '../gateway-datapath.ts'
import { NEW_FLOW_KINDS, type NewFlowName } from '../gateway-new-flows.ts'
import { type TrialCase, trialSuite } from '../trial-suite.ts'

/** Slots of 64 MiB gone through before one is used again: beyond the second-level cache. */
const HOSTILE = 64 * 2 ** 20
const FRAMES = 12e6
/** Of 64 frames from inside: one in 16 of all frames, a million a second where 16 million established ones pass. */
const NEW_PER_BATCH = 8
const FULL = 4000
/** A million flows in 256 MiB. */
const BYTES_A_FLOW = 268
const NOBODY_NEW = 'full table, nobody new'
const REFUSED = 'full table, one new flow in 16 frames, refused'

function establishedName(flows: number, workingSet: number): string {
  return `established, ${flows.toLocaleString('en')} flows, ${workingSet === 0 ? 'natural' : 'hostile'}`
}

function established(flows: number, workingSet: number): TrialCase {
  return {
    name: establishedName(flows, workingSet),
    group: 'established NAT, UDP, 64 bytes',
    run: async () => ({ ...(await runGateway({ flows, gateway: true, workingSet, frames: FRAMES, capacity: 262_144 })) })
  }
}

function fullTable(newPerBatch: number): TrialCase {
  return {
    name: newPerBatch === 0 ? NOBODY_NEW : REFUSED,
    group: `established frames delivered, ${FULL.toLocaleString('en')} flows in a table of as many`,
    run: async () => ({ ...(await runGateway({ flows: FULL, gateway: true, workingSet: 0, frames: FRAMES, capacity: FULL, newPerBatch })) })
  }
}

function opened(name: NewFlowName): TrialCase {
  return {
    name,
    group: 'new flows, a million of them, 64 bytes each',
    run: async () => ({ ...(await runNewFlows(1_000_000, NEW_FLOW_KINDS[name])) })
  }
}

export const suite = trialSuite({
  name: 'gateway',
  title: 'NAT and router in memory, one core',
  warmUp: 'the flows are opened, answered until they are streams, and then as many frames as are measured; new flows: a tenth of them',
  rounds: 9,
  columns: [
    { key: 'mpps', title: 'rate', unit: 'million/s', digits: 1, better: 'more' },
    { key: 'nsPerFrame', title: 'time', unit: 'ns', digits: 1, better: 'less' },
    { key: 'cpuPerFrame', title: 'CPU', unit: 'ns', digits: 1, better: 'less' },
    { key: 'heapPerMillion', title: 'garbage', unit: 'bytes per million', digits: 0, better: 'less' },
    { key: 'bytesPerFlow', title: 'memory', unit: 'bytes a flow', digits: 0, better: 'less' }
  ],
  cases: [
    ...[64, 4000, 40_000].map((flows) => established(flows, 0)),
    ...[64, 4000].map((flows) => established(flows, HOSTILE)),
    fullTable(0),
    fullTable(NEW_PER_BATCH),
    ...(Object.keys(NEW_FLOW_KINDS) as NewFlowName[]).map(opened),
    {
      name: 'the stations alone, no gateway, natural',
      group: 'the stations alone',
      run: async () => ({ ...(await runGateway({ flows: 64, gateway: false, workingSet: 0, frames: FRAMES, capacity: 0 })) })
    }
  ],
  ratios: [
    { of: establishedName(64, 0), figure: 'mpps', target: 15, direction: 'at least' },
    ...(Object.keys(NEW_FLOW_KINDS) as NewFlowName[]).flatMap((of) => [
      { of, figure: 'mpps', target: 1, direction: 'at least' } as const,
      { of, figure: 'bytesPerFlow', target: BYTES_A_FLOW, direction: 'at most' } as const
    ]),
    { of: REFUSED, to: NOBODY_NEW, figure: 'mpps', target: 0.8, direction: 'at least' }
  ]
})
