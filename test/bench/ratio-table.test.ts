/** What suites of trials are to reach. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import type { Metric } from '../../bench/bench-suite.ts'
import { NEW_FLOW_KINDS } from '../../bench/gateway-new-flows.ts'
import { loadSuite, suiteNames } from '../../bench/load-suite.ts'
import { checkTargets, type RatioTarget, ratioTable } from '../../bench/ratio-table.ts'
import { projectRoot } from '../../bench/system/project-root.ts'
import type { TrialSuiteParts } from '../../bench/trial-suite.ts'

const COLUMNS = [
  { key: 'gbit', title: 'TCP', unit: 'Gbit/s', digits: 1, better: 'more' },
  { key: 'cpu', title: 'CPU', unit: 's', digits: 1, better: 'less' }
] as const
const TARGET: RatioTarget = { of: 'ours', to: 'theirs', figure: 'gbit', target: 0.7, direction: 'at least' }

/** Figures of both cases, round by round. */
function table(target: Partial<RatioTarget>, ours: (number | null)[], theirs: (number | null)[]): string | undefined {
  const figure = target.figure ?? 'gbit'
  const metric = (name: string, values: (number | null)[]): Metric => {
    const rounds = [...values.keys()].filter((round) => values[round] !== null)
    const samples = values.filter((value) => value !== null)
    const { better } = COLUMNS.find(({ key }) => key === figure)!
    return { name: `${name}: ${figure}`, unit: '', better, samples, ...(rounds.length < values.length && { rounds }) }
  }
  const text = ratioTable([{ ...TARGET, ...target }], COLUMNS, [metric('ours', ours), metric('theirs', theirs)])
  return text?.slice(text.lastIndexOf('\n') + 1).replaceAll(/ *\| */g, '|')
}

describe('ratios', () => {
  test('are taken round by round, with what failed left out', () => {
    // By medians it would be 30 / 40; the second and third rounds have no pair.
    assert.equal(table({}, [8, null, 30, 90], [10, 40, null, 100]), '|ours to theirs|TCP|0.85 [0.80, 0.90]|at least 0.7|yes|')
    assert.equal(table({}, [null, 5], [5, null]), undefined)
  })

  test('are reached by the median, on the side that is asked for', () => {
    assert.match(table({}, [6, 7, 8], [10, 10, 10])!, /0\.70 \[0\.60, 0\.80\]\|at least 0\.7\|yes/)
    assert.match(table({}, [6, 6.9, 8], [10, 10, 10])!, /\|NO\|$/)
    assert.match(table({ figure: 'cpu', direction: 'at most', target: 1.25 }, [12, 13], [10, 10])!, /\|CPU\|1\.25.*\|at most 1\.25\|yes/)
    assert.match(table({ figure: 'cpu', direction: 'at most', target: 1.2 }, [12, 13], [10, 10])!, /\|NO\|$/)
  })

  test('are as good as the target when the interval reaches it from the worse side', () => {
    const same = { target: 1, direction: 'as good as' } as const
    assert.match(table(same, [9.5, 9.9, 10.1], [10, 10, 10])!, /\|as good as 1\|yes\|$/)
    assert.match(table(same, [9.5, 9.8, 9.9], [10, 10, 10])!, /\|NO\|$/)
    assert.match(table({ ...same, figure: 'cpu' }, [9.5, 9.8, 9.9], [10, 10, 10])!, /\|yes\|$/)
    assert.match(table({ ...same, figure: 'cpu' }, [10.1, 10.2, 10.3], [10, 10, 10])!, /\|NO\|$/)
  })

  test('or figures themselves, with what failed left out', () => {
    const figure = { ...TARGET, to: undefined, target: 8.5 } as unknown as RatioTarget
    const metric: Metric = { name: 'ours: gbit', unit: '', better: 'more', samples: [8, 9, 10], rounds: [0, 2, 3] }
    assert.match(
      ratioTable([figure], COLUMNS, [metric])!.replaceAll(/ *\| */g, '|'),
      /\|ours\|TCP, Gbit\/s\|9\.0 \[8\.0, 10\.0\]\|at least 8\.5\|yes\|$/
    )
    assert.equal(ratioTable([figure], COLUMNS, []), null)
  })

  test('are of what the suite has', () => {
    checkTargets([TARGET], ['ours', 'theirs'], COLUMNS)
    assert.throws(() => checkTargets([TARGET], ['ours'], COLUMNS), /'theirs', which is no case/)
    assert.throws(() => checkTargets([{ ...TARGET, figure: 'mpps' }], ['ours', 'theirs'], COLUMNS), /'mpps', which is no column/)
  })
})

test('suites have the targets of the issues', async () => {
  const targets: Record<string, readonly string[]> = {}
  for (const name of suiteNames()) {
    const { ratios = [] } = (await loadSuite(name)) as unknown as TrialSuiteParts
    const rows = ratios.map(
      ({ of, to, figure, direction, target }) => `${of}${to === undefined ? `: ${figure}` : ` / ${to}`} ${direction} ${target}`
    )
    // Its row is there with Open vSwitch only.
    if (rows.length > 0) targets[name] = rows.filter((row) => !row.includes('Open vSwitch'))
  }
  assert.deepEqual(targets, {
    datapath: [
      'macvlan, one MAC a port, 64 bytes / bridge, one MAC a port, 64 bytes at least 0.95',
      'ipvlan, one MAC a port, IPv4 / bridge, one MAC a port, IPv4 at least 0.95'
    ],
    gateway: [
      'established, 64 flows, natural: mpps at least 15',
      ...Object.keys(NEW_FLOW_KINDS).flatMap((name) => [`${name}: mpps at least 1`, `${name}: bytesPerFlow at most 268`]),
      'full table, one new flow in 16 frames, refused / full table, nobody new at least 0.8'
    ],
    links: [
      'a link that is not shaped / the stations alone as good as 1',
      'delay 200 ms: mpps at least 5',
      'delay 200 ms: rssMiB at most 2252.8',
      'delay 200 ms 20 ms, normal: mpps at least 5',
      'delay 200 ms 20 ms, normal: rssMiB at most 2252.8',
      '10,000 links, delay 20 ms: mpps at least 5',
      'in memory, 1 Mpps: p99 at most 100',
      'in memory, 1 Mpps, real-time: p99 at most 100',
      'through TAPs, 20 kpps: p99 at most 100',
      'through TAPs, 20 kpps, real-time: p99 at most 100',
      ...['56 kbit/s', '1 Mbit/s', '100 Mbit/s', '1 Gbit/s', '10 Gbit/s'].map((rate) => `${rate}, in memory: rateError at most 1`),
      ...['56 kbit/s', '1 Mbit/s', '10 Mbit/s', '100 Mbit/s'].map((rate) => `${rate}, netloom: rateError at most 1`)
    ],
    virtual: ['1,000 hosts, each at its own time: hourSeconds at most 120'],
    overlay: [
      '64 flows, 64 MACs, IPv4, natural: mpps at least 15',
      'netloom, TAP underlay / kernel vxlan over veth at least 0.7',
      'netloom, UDP sockets / kernel vxlan over veth at least 0.4',
      'netloom, overlay of two emulated hosts / netloom, one bridge at least 0.8'
    ]
  })
})

test('the README names all suites', () => {
  const usage = /--suite (\S+)/.exec(readFileSync(path.join(projectRoot, 'bench/README.md'), 'utf8'))![1]
  assert.deepEqual(usage.split('|').sort(), suiteNames())
})
