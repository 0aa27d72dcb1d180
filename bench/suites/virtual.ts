/**
 * The virtual suite: whole labs under the virtual clock, one core.
 */
import { runLabOfHosts } from '../lab-of-hosts.ts'
import { trialSuite } from '../trial-suite.ts'

/** Of the lab; an hour would be as fast and takes as long as it takes. */
const SECONDS = 60

export const suite = trialSuite({
  name: 'virtual',
  title: 'Labs under the virtual clock, one core',
  warmUp: 'three seconds of the lab',
  rounds: 5,
  columns: [
    { key: 'speed', title: 'speed', unit: 'lab seconds/s', digits: 1, better: 'more' },
    { key: 'hourSeconds', title: 'an hour of the lab', unit: 's', digits: 0, better: 'less' },
    { key: 'setUpSeconds', title: 'set-up', unit: 's', digits: 2, better: 'less' },
    { key: 'cpuPerExchange', title: 'CPU', unit: 'us/exchange', digits: 2, better: 'less' },
    { key: 'rssMiB', title: 'memory', unit: 'MiB', digits: 0, better: 'less' }
  ],
  cases: [true, false].map((spread) => ({
    name: `1,000 hosts, ${spread ? 'each at its own time' : 'all at once'}`,
    group: 'one DNS query and one UDP echo a second and host',
    run: async () => ({ ...(await runLabOfHosts({ hosts: 1000, seconds: SECONDS, spread })) })
  })),
  ratios: [{ of: '1,000 hosts, each at its own time', figure: 'hourSeconds', target: 120, direction: 'at most' }]
})
