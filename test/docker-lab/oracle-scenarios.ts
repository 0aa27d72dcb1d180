// Which of the oracle's scenarios are compared. Everything that is not listed here with its reason is.
import { readdirSync } from 'node:fs'
import path from 'node:path'

const SWARM = 'reference for what is seen inside of a container: test/docker-lab/swarm-inside.test.ts'

/** Scenario -> why it is left out. A test checks that each exists. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  'seed002-overlay': SWARM,
  'seed002-overlay-two-hosts': SWARM
}

/** Of two hosts and the key-value store that they share: run by test/system/docker-oracle-kv.slow.test.ts. */
export function needsCluster(name: string): boolean {
  return name.endsWith('-kv')
}

/** Names of all scenarios under `folder` (a scenarios directory), without .scn, sorted. */
export function scenarioNames(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.scn'))
    .map((name) => name.slice(0, -'.scn'.length).split(path.sep).join('/'))
    .sort()
}
