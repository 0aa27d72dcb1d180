// Docker's recorded behaviour on two hosts with a key-value store, against two daemons of ours on a real etcd.
import path from 'node:path'
import { compareScenarios } from '../docker-lab/compare-scenarios.ts'
import { ORACLE } from '../docker-lab/docker-lab.ts'
import { LEFT_OUT, needsCluster, scenarioNames } from '../docker-lab/oracle-scenarios.ts'

compareScenarios({
  title: "the oracle's scenarios of two hosts",
  base: ORACLE,
  names: scenarioNames(path.join(ORACLE, 'scenarios')).filter(needsCluster),
  leftOut: LEFT_OUT,
  cluster: true
})
