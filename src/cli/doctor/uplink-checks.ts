/** The uplink `host`: who else decides about what this machine forwards. */
import path from 'node:path'
import { LINK_NAME } from '../../network/uplinks/host/host-settings.ts'
import { type Check, ok, warn } from './check.ts'
import type { Machine } from './machine.ts'
import type { UplinkProbeResult } from './uplink-probe.ts'

const PROBE = path.join(import.meta.dirname, 'uplink-probe.js')

/** For root only: nobody else has this uplink, or sees others' filters. */
export function checkForwarding(machine: Machine): Check {
  const id = 'forwarding'
  const { forwardDrops = [], error } = probe(machine)
  if (error !== undefined) {
    return warn(id, `the uplink 'host' needs nf_tables: ${error.message}`, 'modprobe nf_tables\nor run the daemon with --uplink user')
  }
  const drops = [...forwardDrops, ...legacyDrops(machine)]
  if (drops.length === 0) return ok(id, 'nobody else drops what containers send out')
  return warn(id, drops.map(({ text }) => text).join('\n'), drops.map(({ fix }) => fix).join('\n'))
}

function probe(machine: Machine): UplinkProbeResult {
  const ran = machine.run(process.execPath, [PROBE])
  try {
    return JSON.parse(ran.stdout) as UplinkProbeResult
  } catch {
    return { error: { code: 'ERR_PROBE', message: ran.stderr.split('\n', 1)[0] || `the probe ended with ${ran.status}` } }
  }
}

/** The old tables of iptables, of which nf_tables knows nothing. Only asked where they are in use: asking would make them. */
function legacyDrops(machine: Machine): { text: string; fix: string }[] {
  const program = machine.which('iptables-legacy')
  const tables = machine.read('/proc/net/ip_tables_names')?.split('\n') ?? []
  if (program === null || !tables.includes('filter')) return []
  if (!/^-P FORWARD DROP$/m.test(machine.run(program, ['-S', 'FORWARD']).stdout)) return []
  const command = (direction: string): string => `iptables-legacy -I FORWARD ${direction} ${LINK_NAME} -j ACCEPT`
  return [
    {
      text: 'the chain FORWARD of iptables-legacy drops what it does not accept: containers may not reach the outside',
      fix: [command('-i'), command('-o')].join('\n')
    }
  ]
}
