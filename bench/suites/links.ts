/**
 * The links suite: emulated links in memory, one core.
 */
import type { LinkSettings } from '../../src/elements/netem/link-settings.ts'
import { runLinks } from '../link-datapath.ts'
import { clockDelays, memoryDelays, type TapDelayTrial, tapDelays } from '../link-delays.ts'
import { linkRate, memoryRate } from '../link-rates.ts'
import { type TrialCase, trialSuite } from '../trial-suite.ts'

const MS = 1e6
const FRAMES = 12e6
/** Of the clock: with a delay of 200 ms a million frames are under way. */
const RATE = 5e6
/** Payload of the datagrams. */
const RATES = [
  ['56 kbit/s', 56e3, 22],
  ['1 Mbit/s', 1e6, 200],
  ['10 Mbit/s', 10e6, 1000],
  ['100 Mbit/s', 100e6, 1400]
] as const
/** Bytes of the frame in memory. */
const MEMORY_RATES = [
  ['56 kbit/s', 56e3, 64],
  ['1 Mbit/s', 1e6, 242],
  ['100 Mbit/s', 100e6, 1514],
  ['1 Gbit/s', 1e9, 1514],
  ['10 Gbit/s', 10e9, 1514]
] as const
const STATIONS = 'the stations alone'
const UNSHAPED = 'a link that is not shaped'
const DELAYED = 'delay 200 ms'
const VARYING = 'delay 200 ms 20 ms, normal'
const MANY = '10,000 links, delay 20 ms'
const IN_MEMORY = 'in memory, 1 Mpps'
const REALTIME_IN_MEMORY = `${IN_MEMORY}, real-time`
const THROUGH_TAPS = 'through TAPs, 20 kpps'
const REALTIME = `${THROUGH_TAPS}, real-time`
/** 2.2 GiB. */
const MEMORY_MIB = 2252.8
const DELAYS = 'a delay of 10 ms under the real clock'

function link(name: string, forward: LinkSettings | null, links = 1): TrialCase {
  return {
    name,
    group: 'frames of 64 bytes over emulated links',
    run: async () => ({ ...runLinks({ links, options: forward === null ? null : { forward }, frames: FRAMES, rate: RATE }) })
  }
}

function throughTaps(name: string, trial: TapDelayTrial): TrialCase {
  return { name, group: DELAYS, run: async () => ({ ...(await tapDelays(3, trial)) }) }
}

export const suite = trialSuite({
  name: 'links',
  title: 'Emulated links in memory, one core',
  warmUp: 'a quarter of the frames that are measured, at least two million',
  rounds: 9,
  columns: [
    { key: 'mpps', title: 'rate', unit: 'Mpps', digits: 1, better: 'more' },
    { key: 'nsPerFrame', title: 'time', unit: 'ns/frame', digits: 1, better: 'less' },
    { key: 'cpuPerFrame', title: 'CPU', unit: 'ns/frame', digits: 1, better: 'less' },
    { key: 'inFlight', title: 'under way', unit: 'frames', digits: 0, better: 'more' },
    { key: 'rssMiB', title: 'memory', unit: 'MiB', digits: 0, better: 'less' },
    { key: 'p50', title: 'beyond the delay, median', unit: 'us', digits: 1, better: 'less' },
    { key: 'p99', title: 'in 99 of 100', unit: 'us', digits: 1, better: 'less' },
    { key: 'worst', title: 'the worst', unit: 'us', digits: 0, better: 'less' },
    { key: 'rateError', title: 'off the rate', unit: '%', digits: 3, better: 'less' },
    { key: 'dropped', title: 'dropped', unit: '%', digits: 1, better: 'less' }
  ],
  cases: [
    link(STATIONS, null),
    link(UNSHAPED, {}),
    link(DELAYED, { delay: { meanNs: 200 * MS } }),
    link(VARYING, { delay: { meanNs: 200 * MS, jitterNs: 20 * MS, distribution: 'normal' } }),
    link('rate 5 Gbit/s', { rate: { bitsPerSecond: 5e9 } }),
    link('delay 200 ms, loss 1 %, rate 5 Gbit/s', {
      delay: { meanNs: 200 * MS },
      loss: { model: 'random', probability: 0.01 },
      rate: { bitsPerSecond: 5e9 }
    }),
    link(MANY, { delay: { meanNs: 20 * MS } }, 10_000),
    { name: 'no frames, a loop that reads the clock', group: DELAYS, run: () => ({ ...clockDelays(2) }) },
    { name: IN_MEMORY, group: DELAYS, run: () => ({ ...memoryDelays(2, false) }) },
    { name: REALTIME_IN_MEMORY, group: DELAYS, run: () => ({ ...memoryDelays(2, true) }) },
    throughTaps(`${THROUGH_TAPS}, no link`, { isShaped: false, realtime: false }),
    throughTaps(THROUGH_TAPS, { isShaped: true, realtime: false }),
    throughTaps(`${REALTIME}, no link`, { isShaped: false, realtime: true }),
    throughTaps(REALTIME, { isShaped: true, realtime: true }),
    ...MEMORY_RATES.map(([title, bitsPerSecond, length]) => ({
      name: `${title}, in memory`,
      group: 'offered 1.3 times the rate, in memory under the real clock',
      run: async () => ({ ...memoryRate(bitsPerSecond, length) })
    })),
    ...RATES.flatMap(([title, bitsPerSecond, datagram]) =>
      (['netloom', 'tbf'] as const).map((shaper) => ({
        name: `${title}, ${shaper}`,
        group: 'offered 1.3 times the rate, through TAPs',
        run: async () => ({ ...(await linkRate(shaper, bitsPerSecond, datagram)) })
      }))
    )
  ],
  ratios: [
    { of: UNSHAPED, to: STATIONS, figure: 'mpps', target: 1, direction: 'as good as' },
    ...[DELAYED, VARYING].flatMap((of) => [
      { of, figure: 'mpps', target: 5, direction: 'at least' } as const,
      { of, figure: 'rssMiB', target: MEMORY_MIB, direction: 'at most' } as const
    ]),
    { of: MANY, figure: 'mpps', target: 5, direction: 'at least' },
    ...[IN_MEMORY, REALTIME_IN_MEMORY, THROUGH_TAPS, REALTIME].map(
      (of) => ({ of, figure: 'p99', target: 100, direction: 'at most' }) as const
    ),
    ...[...MEMORY_RATES.map(([rate]) => `${rate}, in memory`), ...RATES.map(([rate]) => `${rate}, netloom`)].map(
      (of) => ({ of, figure: 'rateError', target: 1, direction: 'at most' }) as const
    )
  ]
})
