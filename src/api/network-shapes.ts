/** Shapes of the bodies about networks, with Go's names of their types. */
import { boolean, type Decoded, integer, list, map, nullable, string, struct } from './decode.ts'

const ipamPool = struct('network.IPAMConfig', {
  Subnet: string,
  IPRange: string,
  Gateway: string,
  AuxiliaryAddresses: map(string)
})

export const networkCreateShape = struct('types.NetworkCreateRequest', {
  Name: string,
  CheckDuplicate: boolean,
  Driver: string,
  Scope: string,
  EnableIPv6: boolean,
  IPAM: nullable(struct('network.IPAM', { Driver: string, Options: nullable(map(string)), Config: list(ipamPool) })),
  Internal: boolean,
  Attachable: boolean,
  Ingress: boolean,
  ConfigOnly: boolean,
  ConfigFrom: nullable(struct('network.ConfigReference', { Network: string })),
  Options: map(string),
  Labels: map(string)
})

/** A member of `EndpointsConfig`, and `EndpointConfig` of connect. What inspect shows of a running endpoint may come along. */
export const endpointConfigShape = struct('network.EndpointSettings', {
  IPAMConfig: nullable(struct('network.EndpointIPAMConfig', { IPv4Address: string, IPv6Address: string, LinkLocalIPs: list(string) })),
  Links: nullable(list(string)),
  Aliases: nullable(list(string)),
  MacAddress: string,
  DriverOpts: nullable(map(string))
})

export const networkConnectShape = struct('types.NetworkConnect', {
  Container: string,
  EndpointConfig: nullable(endpointConfigShape)
})

export const networkDisconnectShape = struct('types.NetworkDisconnect', { Container: string, Force: boolean })

const attachShape = struct('netloom.AttachRequest', {
  network: string,
  name: string,
  pid: nullable(integer('int')),
  netns: string,
  tap: nullable(struct('netloom.Tap', { name: string, user: string })),
  virtual: nullable(struct('netloom.VirtualHost', { udpEcho: list(integer('int')), silent: boolean })),
  ip: string,
  ip6: string,
  mac: string,
  aliases: list(string),
  driverOpts: nullable(map(string)),
  ifname: string,
  mtu: nullable(integer('int'))
})

export const netloomAttachShape = attachShape
export type AttachBody = Decoded<typeof attachShape>
export const netloomDetachShape = struct('netloom.DetachRequest', { network: string, name: string })
