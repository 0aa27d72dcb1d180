/** `nat` of a lab file: how the gateways of hosts translate, in the words of the daemon's setting. */
import { type NatSettings, readNatSettings } from '../elements/nat/nat-options.ts'
import type { Value } from './value.ts'

export type NatSetting = Pick<NatSettings, 'mapping' | 'capacity' | 'timeouts'>

/** Checked one by one, so that what is wrong is told where it stands. Throws LabFileError. */
export function readNat(at: Value): NatSetting {
  const { mapping, capacity, timeouts } = at.members(['mapping', 'capacity', 'timeouts'])
  return {
    ...(mapping && checked(mapping, { mapping: mapping.word() as NonNullable<NatSetting['mapping']> })),
    ...(capacity && checked(capacity, { capacity: numberOf(capacity) })),
    ...(timeouts && { timeouts: readTimeouts(timeouts) })
  }
}

/** A host's own words before those of the whole lab. */
export function joinNat(lab: NatSetting, host: NatSetting): NatSetting {
  const timeouts = { ...lab.timeouts, ...host.timeouts }
  return { ...lab, ...host, ...(Object.keys(timeouts).length > 0 && { timeouts }) }
}

function readTimeouts(at: Value): NonNullable<NatSetting['timeouts']> {
  return Object.assign({}, ...[...at.entries()].map(([name, value]) => checked(value, { timeouts: { [name]: numberOf(value) } }).timeouts))
}

function checked(at: Value, setting: NatSetting): NatSetting {
  at.check(() => readNatSettings(setting))
  return setting
}

/** What is none is refused by whoever reads it. */
function numberOf(value: Value): number {
  const text = value.word()
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : (text as unknown as number)
}
