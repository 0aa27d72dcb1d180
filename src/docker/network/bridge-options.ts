/**
 * Driver options of bridge networks, checked as libnetwork's bridge driver does.
 */
import { isIP } from 'node:net'
import { ApiError } from '../../api/api-error.ts'

export const BridgeOption = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  defaultBridge: 'com.docker.network.bridge.default_bridge',
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
  /** The label `com.docker.network.host_ipv4`: the source address of what leaves. */
  hostIpv4: 'com.docker.network.host_ipv4',
  hostBindingOld: 'com.docker.network.bridge.host_binding_ip',
  interfacePrefix: 'com.docker.network.container_iface_prefix',
  ipv6: 'com.docker.network.enable_ipv6',
  mtu: 'com.docker.network.driver.mtu'
} as const

type Options = Readonly<Record<string, string>>

/** strconv.ParseBool's words. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

const INTERFACE_NAME_MAX = 15

export function boolOption(options: Options, name: string, absent: boolean): boolean {
  const value = options[name]
  return value === undefined ? absent : TRUE.includes(value)
}

/** Throws ApiError with the driver's text; options that the driver does not know pass. */
export function checkBridgeOptions(options: Options): void {
  for (const [name, value] of Object.entries(options)) {
    const problem = problemOf(name, value)
    if (problem !== '') throw ApiError.internal(`failed to parse ${name} value: ${value} (${problem})`)
  }
  const mtu = options[BridgeOption.mtu]
  if (mtu !== undefined && Number(mtu) < 0) throw ApiError.internal(`invalid MTU number: ${Number(mtu)}`)
}

/** The name of the bridge on the host, given or made from the network's id. Throws ApiError for one that cannot be. */
export function bridgeName(options: Options, id: string): string {
  const name = options[BridgeOption.name] ?? `br-${id.slice(0, 12)}`
  if (Buffer.byteLength(name) > INTERFACE_NAME_MAX) {
    throw ApiError.internal('failed to check bridge interface existence: numerical result out of range')
  }
  return name
}

function problemOf(name: string, value: string): string {
  switch (name) {
    case BridgeOption.icc:
    case BridgeOption.masquerade:
    case BridgeOption.defaultBridge:
    case BridgeOption.ipv6:
      return TRUE.includes(value) || FALSE.includes(value) ? '' : `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`
    case BridgeOption.mtu:
      return integerProblem(value)
    case BridgeOption.hostBinding:
    case BridgeOption.hostIpv4:
      return isIP(value) === 0 ? 'nil ip' : ''
    default:
      return ''
  }
}

/** What Go says of a text that is no integer (strconv.Atoi); empty: it is one. */
export function integerProblem(value: string): string {
  if (!/^[+-]?\d+$/.test(value)) return `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`
  const number = BigInt(value.replace(/^\+/, ''))
  const limit = 1n << 63n
  return number >= limit || number < -limit ? `strconv.Atoi: parsing ${JSON.stringify(value)}: value out of range` : ''
}
