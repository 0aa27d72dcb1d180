// Docker's recorded behaviour, scenario by scenario, against our daemon in dockerd's place.
import path from 'node:path'
import { compareScenarios } from '../docker-lab/compare-scenarios.ts'
import { ORACLE } from '../docker-lab/docker-lab.ts'
import { LEFT_OUT, needsCluster, scenarioNames } from '../docker-lab/oracle-scenarios.ts'

compareScenarios({
  title: "the oracle's scenarios",
  base: ORACLE,
  names: scenarioNames(path.join(ORACLE, 'scenarios')).filter((name) => !needsCluster(name)),
  leftOut: LEFT_OUT
})
