// Which of the oracle's scenarios are compared. Everything that is not listed here with its reason is.
import { readdirSync } from 'node:fs'
import path from 'node:path'

const WAY_OUT = 'needs a way out of the emulated network'
const PUBLISHED = 'needs published ports'
const MACVLAN = 'needs the macvlan or ipvlan driver'
const OVERLAY = 'needs the overlay driver'

/** Scenario -> why it is left out. A test checks that each exists. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  'dns-forward': `${WAY_OUT}: default bridge containers ask the outside server themselves`,
  'net-icc': `${PUBLISHED}: reached at the gateway's address`,
  'net-isolation': `${WAY_OUT}: the host answers at its own addresses`,
  'net-masquerade': WAY_OUT,
  'overlay-connect-kv': OVERLAY,
  'overlay-dns-kv': OVERLAY,
  'overlay-hosts-kv': OVERLAY,
  'overlay-ipam-kv': OVERLAY,
  'overlay-links-kv': OVERLAY,
  'overlay-options-kv': OVERLAY,
  'overlay-restart-kv': OVERLAY,
  'overlay-store-down-kv': OVERLAY,
  'port-publish-all': `${PUBLISHED}: reached from the host`,
  'port-reach': PUBLISHED,
  'port-udp': PUBLISHED,
  'seed002-overlay': OVERLAY,
  'seed002-overlay-two-hosts': OVERLAY,
  'seed003-ipvlan': MACVLAN,
  'seed003-macvlan': MACVLAN,
  'seed003-macvlan-lan': MACVLAN,
  'seed004-create': `${PUBLISHED}: -P with host_binding_ipv4`,
  'seed004-overlay-kv': OVERLAY,
  'seed004-stale-endpoint-kv': OVERLAY
}

/**
 * Scenarios whose steps on the daemon's host ($HOST) ask nothing but that the daemon sees its host: its routes, its ports. In the
 * others those steps look at docker0 or reach into bridges, which wait for the way out; `compare` skips and counts them.
 */
export const ON_HOST: ReadonlySet<string> = new Set(['net-host-routes', 'port-errors', 'seed001-nginx'])

/** Names of all scenarios under `folder` (a scenarios directory), without .scn, sorted. */
export function scenarioNames(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.scn'))
    .map((name) => name.slice(0, -'.scn'.length).split(path.sep).join('/'))
    .sort()
}
