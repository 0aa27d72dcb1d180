// The same semantics under other names, subnets and orders: scenarios of our own, recorded from a real daemon.
import path from 'node:path'
import { compareScenarios } from '../docker-lab/compare-scenarios.ts'
import { ROOT } from '../docker-lab/docker-lab.ts'
import { scenarioNames } from '../docker-lab/oracle-scenarios.ts'

const BASE = path.join(ROOT, 'test/docker-scenarios')

compareScenarios({ title: 'scenarios of our own', base: BASE, names: scenarioNames(path.join(BASE, 'scenarios')) })
