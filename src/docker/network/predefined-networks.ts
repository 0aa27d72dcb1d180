import { BridgeOption } from './bridge-options.ts'
import type { RequestedNetwork } from './network-request.ts'

/** A network of the daemon's own, before it has a name. */
export const BLANK_NETWORK: Omit<RequestedNetwork, 'id' | 'name' | 'driver'> = {
  internal: false,
  attachable: false,
  enableIpv6: false,
  configOnly: false,
  configFrom: '',
  ipamDriver: 'default',
  ipamOptions: null,
  ipamConfig: [],
  ipamConfig6: [],
  options: {},
  labels: {}
}

/** What a daemon's settings say of the default bridge, whatever an earlier daemon's said. */
export function defaultBridgeOptions({ icc }: { readonly icc: boolean }): Record<string, string> {
  return { [BridgeOption.icc]: String(icc) }
}

/** The networks that every daemon has, in the order in which Docker makes them. */
export function predefinedNetworks(newId: () => string, settings: { readonly icc: boolean }): RequestedNetwork[] {
  const options = {
    [BridgeOption.defaultBridge]: 'true',
    ...defaultBridgeOptions(settings),
    [BridgeOption.masquerade]: 'true',
    [BridgeOption.hostBinding]: '0.0.0.0',
    [BridgeOption.name]: 'docker0',
    [BridgeOption.mtu]: '1500'
  }
  return [
    { ...BLANK_NETWORK, id: newId(), name: 'none', driver: 'null' },
    { ...BLANK_NETWORK, id: newId(), name: 'host', driver: 'host' },
    { ...BLANK_NETWORK, id: newId(), name: 'bridge', driver: 'bridge', options }
  ]
}
