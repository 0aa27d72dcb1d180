/**
 * A VLAN of a LAN as a LAN of its own: whoever is plugged in there sends without a tag, and with the tag by the other one.
 *
 *   lan/office -- 0 | lan/guests/trunk | 31 -- lan/guests        VLAN 30
 */
import { TrunkPort, vlanPort } from '../../elements/vlan/vlan-trunk.ts'
import type { EngineHost } from '../engine-host.ts'
import type { EmulatedLan } from './emulated-lan.ts'

/** Joins them. @param id of the VLAN, 1 to 4094 */
export async function joinVlan(engine: EngineHost, lan: EmulatedLan, trunk: EmulatedLan, id: number): Promise<void> {
  const element = `${lan.element}/trunk`
  const linked = [
    { a: trunk.plug(), b: [element, TrunkPort.cable] },
    { a: lan.plug(), b: [element, vlanPort(id)] }
  ] as const
  await engine.patch({ elements: { [element]: { type: 'vlan-trunk' } }, linked })
  lan.vlan = { trunk: trunk.name, id }
}
