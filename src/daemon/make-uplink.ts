import { loadNative } from '../io/load-native.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import type { Uplink } from '../network/uplink.ts'
import { InterfaceUplink } from '../network/uplinks/interface-uplink.ts'
import { NoUplink } from '../network/uplinks/no-uplink.ts'
import { DaemonError } from './daemon-error.ts'
import { LEGACY_UPLINK, parseInterface } from './uplink-setting.ts'

/** What the setting means; undefined: no router. Throws DaemonError and NetworkError. */
export function makeUplink(setting: string): Uplink | undefined {
  switch (setting) {
    case LEGACY_UPLINK:
      return undefined
    case 'none':
      return new NoUplink()
    case 'host':
    case 'user':
      throw new DaemonError('ERR_DAEMON_CONFIG', `--uplink ${setting} is not in this version`, {
        fix: 'take interface=NAME,address=CIDR, or none'
      })
    default: {
      const native = loadNative()
      return new InterfaceUplink({ ...parseInterface(setting), native, netlink: Netlink.inNamespace(native, -1) })
    }
  }
}
