// Which of the oracle's scenarios are compared. Everything that is not listed here with its reason is.
import { readdirSync } from 'node:fs'
import path from 'node:path'

const MACVLAN = 'needs the macvlan or ipvlan driver'
const OVERLAY = 'needs the overlay driver'

/** Scenario -> why it is left out. A test checks that each exists. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  'overlay-connect-kv': OVERLAY,
  'overlay-dns-kv': OVERLAY,
  'overlay-hosts-kv': OVERLAY,
  'overlay-ipam-kv': OVERLAY,
  'overlay-links-kv': OVERLAY,
  'overlay-options-kv': OVERLAY,
  'overlay-restart-kv': OVERLAY,
  'overlay-store-down-kv': OVERLAY,
  'seed002-overlay': OVERLAY,
  'seed002-overlay-two-hosts': OVERLAY,
  'seed003-ipvlan': MACVLAN,
  'seed003-macvlan': MACVLAN,
  'seed003-macvlan-lan': MACVLAN,
  'seed004-overlay-kv': OVERLAY,
  'seed004-stale-endpoint-kv': OVERLAY
}

/** Names of all scenarios under `folder` (a scenarios directory), without .scn, sorted. */
export function scenarioNames(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.scn'))
    .map((name) => name.slice(0, -'.scn'.length).split(path.sep).join('/'))
    .sort()
}
