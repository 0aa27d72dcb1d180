// Docker's recorded behaviour on two hosts with a key-value store, against two daemons of ours on a real etcd.
import path from 'node:path'
import { compareScenarios } from '../docker-lab/compare-scenarios.ts'
import { ORACLE } from '../docker-lab/docker-lab.ts'
import { LEFT_OUT, needsCluster, scenarioNames } from '../docker-lab/oracle-scenarios.ts'

/** Left to `npm run test:oracle-kv`, so that the usual run is short: others of two hosts, and tests in one process, show the same code. */
const LONG = ['overlay-ipam-kv', 'overlay-links-kv', 'overlay-options-kv', 'overlay-restart-kv', 'overlay-store-down-kv']
const leftOut = Object.fromEntries(LONG.map((name) => [name, 'npm run test:oracle-kv runs it']))

compareScenarios({
  title: "the oracle's scenarios of two hosts",
  base: ORACLE,
  names: scenarioNames(path.join(ORACLE, 'scenarios')).filter(needsCluster),
  leftOut: process.env['NETLOOM_ORACLE_KV'] === 'all' ? LEFT_OUT : { ...LEFT_OUT, ...leftOut },
  cluster: true
})
