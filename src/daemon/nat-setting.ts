/** How the gateway translates: the member `nat` of the daemon's configuration file. */
import { type NatSettings, readNatSettings } from '../elements/nat/nat-options.ts'

/** What an operator may choose; the rest of NatSettings is for tests and comparisons. */
export type NatSetting = Pick<NatSettings, 'mapping' | 'capacity' | 'timeouts'>

const MEMBERS = ['mapping', 'capacity', 'timeouts'] as const

/** Checks `{ "mapping": "endpoint-independent", "capacity": 65536, "timeouts": { "udp": 60 } }`, all of it optional. Throws RangeError. */
export function readNatSetting(value: unknown): NatSetting {
  const setting = objectOf(value)
  const unknown = Object.keys(setting).find((name) => !(MEMBERS as readonly string[]).includes(name))
  if (unknown !== undefined) throw new RangeError(`${JSON.stringify(unknown)} is none of ${MEMBERS.join(', ')}`)
  if (setting['timeouts'] !== undefined) objectOf(setting['timeouts'])
  try {
    readNatSettings(setting)
  } catch (cause) {
    throw new RangeError((cause as Error).message, { cause })
  }
  return setting
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError(`${JSON.stringify(value)} is not an object`)
  return value as Record<string, unknown>
}
