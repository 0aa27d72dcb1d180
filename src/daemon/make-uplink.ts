import { hostname } from 'node:os'
import { loadNative } from '../io/load-native.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import type { Uplink } from '../network/uplink.ts'
import { FirstUplink } from '../network/uplinks/first-uplink.ts'
import { HostUplink } from '../network/uplinks/host-uplink.ts'
import { InterfaceUplink } from '../network/uplinks/interface-uplink.ts'
import { NoUplink } from '../network/uplinks/no-uplink.ts'
import { UserUplink } from '../network/uplinks/user-uplink.ts'
import { AUTO_UPLINK, LEGACY_UPLINK, parseInterface, uplinkChoices } from './uplink-setting.ts'

/**
 * What the setting means; undefined: no router. Throws NetworkError.
 * @param stateDirectory where an uplink writes down what it changes on the machine
 */
export function makeUplink(setting: string, stateDirectory: string, isRoot: boolean): Uplink | undefined {
  if (setting === LEGACY_UPLINK) return undefined
  const choices = uplinkChoices(setting, isRoot)
  if (choices.length === 1) return uplinkOf(setting, stateDirectory)
  return new FirstUplink(choices.map((choice) => [choice, () => uplinkOf(choice, stateDirectory)]))
}

/** Puts back what a killed daemon's host uplink left on the machine, where the one that starts now will not do so itself. */
export async function removeLeftUplink(setting: string, stateDirectory: string, log: (message: string) => void): Promise<void> {
  if (setting === 'host' || setting === AUTO_UPLINK) return
  await new HostUplink({ native: loadNative(), stateDirectory })
    .removeLeft()
    .catch((error: Error) => log(`what an earlier daemon changed on this host for its uplink is still there: ${error.message}`))
}

function uplinkOf(setting: string, stateDirectory: string): Uplink {
  switch (setting) {
    case 'none':
      return new NoUplink()
    case 'host':
      return new HostUplink({ native: loadNative(), stateDirectory })
    case 'user':
      return new UserUplink()
    default: {
      const native = loadNative()
      return new InterfaceUplink({ ...parseInterface(setting), hostName: hostname(), native, netlink: Netlink.inNamespace(native, -1) })
    }
  }
}
