/** All checks, in the order in which a fix helps the later ones. */
import { checkHostChanges } from './change-checks.ts'
import type { Check } from './check.ts'
import { checkTap, checkTunDevice } from './device-checks.ts'
import { checkLeftovers } from './leftover-checks.ts'
import type { Machine } from './machine.ts'
import { checkNamespaces } from './namespace-checks.ts'
import { checkAddon, checkShim, type NativeParts } from './native-checks.ts'
import { checkPlatform } from './platform-checks.ts'
import { checkTools } from './tool-checks.ts'
import { checkForwarding } from './uplink-checks.ts'
import { checkUserUplink } from './user-uplink-checks.ts'

export interface Diagnosis {
  /** TAP devices and sandboxes work: no check failed. */
  readonly healthy: boolean
  readonly user: string
  readonly root: boolean
  readonly checks: readonly Check[]
}

/** `stateDirectory`: of the daemon whose traces on the host are looked for. */
export function examine(machine: Machine, parts: NativeParts, stateDirectory: string): Diagnosis {
  const checks: Check[] = checkPlatform(machine)
  if (machine.platform === 'linux') {
    const needed = [checkAddon(machine, parts), checkTunDevice(machine), ...checkNamespaces(machine)]
    checks.push(...needed, checkShim(machine, parts))
    // Would only repeat what failed above.
    if (needed.every(({ status }) => status !== 'fail')) checks.push(checkTap(machine))
    checks.push(checkLeftovers(machine), ...checkHostChanges(machine, stateDirectory))
    if (machine.uid === 0 && needed.every(({ status }) => status !== 'fail')) checks.push(checkForwarding(machine))
    checks.push(checkUserUplink(machine, parts, needed), ...checkTools(machine))
  }
  return { healthy: checks.every(({ status }) => status !== 'fail'), user: machine.userName, root: machine.uid === 0, checks }
}
