/**
 * `NetworkSettings` of a container, as inspect and the list of containers show it.
 */
import type { EndpointSettings, NetworkSettings } from '../../api/network-json.ts'
import type { Attachment } from './container-networking.ts'
import type { NetworkedContainer } from './networked-container.ts'

const NOTHING = {
  endpointId: '',
  address: '',
  prefixLength: 0,
  gateway: '',
  address6: '',
  prefixLength6: 0,
  gateway6: '',
  mac: ''
}

export function networkSettings({ networking, hostConfig }: NetworkedContainer): NetworkSettings {
  const Networks: Record<string, EndpointSettings> = {}
  for (const attachment of networking.attachments) Networks[attachment.network] = endpointSettings(attachment)
  // Older members, which know the default bridge only.
  const onBridge = Networks['bridge'] ?? endpointSettings(null)
  const isShared = hostConfig.NetworkMode.startsWith('container:')
  return {
    Bridge: '',
    SandboxID: isShared ? '' : networking.sandboxId,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: networking.ports,
    SandboxKey: isShared ? '' : networking.sandboxKey,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: onBridge.EndpointID,
    Gateway: onBridge.Gateway,
    GlobalIPv6Address: onBridge.GlobalIPv6Address,
    GlobalIPv6PrefixLen: onBridge.GlobalIPv6PrefixLen,
    IPAddress: onBridge.IPAddress,
    IPPrefixLen: onBridge.IPPrefixLen,
    IPv6Gateway: onBridge.IPv6Gateway,
    MacAddress: onBridge.MacAddress,
    Networks
  }
}

/** The list leaves out what was asked for, but addresses. */
export function listedNetworks({ networking }: NetworkedContainer): Record<string, EndpointSettings> {
  const result: Record<string, EndpointSettings> = {}
  for (const attachment of networking.attachments) {
    result[attachment.network] = { ...endpointSettings(attachment), Links: null, Aliases: null, DriverOpts: null }
  }
  return result
}

function endpointSettings(attachment: Attachment | null): EndpointSettings {
  const { config, networkId = '', endpoint } = attachment ?? { config: undefined, endpoint: null }
  const got = endpoint ?? NOTHING
  return {
    IPAMConfig: config?.IPAMConfig ?? null,
    Links: config?.Links ?? null,
    Aliases: config?.Aliases ?? null,
    NetworkID: networkId,
    EndpointID: got.endpointId,
    Gateway: got.gateway,
    IPAddress: got.address,
    IPPrefixLen: got.prefixLength,
    IPv6Gateway: got.gateway6,
    GlobalIPv6Address: got.address6,
    GlobalIPv6PrefixLen: got.prefixLength6,
    MacAddress: got.mac,
    DriverOpts: config?.DriverOpts ?? null
  }
}
