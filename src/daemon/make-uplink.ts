import { loadNative } from '../io/load-native.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import type { Uplink } from '../network/uplink.ts'
import { HostUplink } from '../network/uplinks/host-uplink.ts'
import { InterfaceUplink } from '../network/uplinks/interface-uplink.ts'
import { NoUplink } from '../network/uplinks/no-uplink.ts'
import { DaemonError } from './daemon-error.ts'
import { LEGACY_UPLINK, parseInterface } from './uplink-setting.ts'

/**
 * What the setting means; undefined: no router. Throws DaemonError and NetworkError.
 * @param stateDirectory where an uplink writes down what it changes on the machine
 */
export function makeUplink(setting: string, stateDirectory: string): Uplink | undefined {
  switch (setting) {
    case LEGACY_UPLINK:
      return undefined
    case 'none':
      return new NoUplink()
    case 'host':
      return new HostUplink({ native: loadNative(), stateDirectory })
    case 'user':
      throw new DaemonError('ERR_DAEMON_CONFIG', `--uplink ${setting} is not in this version`, {
        fix: 'take host, interface=NAME,address=CIDR, or none'
      })
    default: {
      const native = loadNative()
      return new InterfaceUplink({ ...parseInterface(setting), native, netlink: Netlink.inNamespace(native, -1) })
    }
  }
}
