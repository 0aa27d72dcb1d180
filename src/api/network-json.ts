/**
 * The network part of Docker's API as JSON (version 1.41): exactly Docker's member names, in Docker's order.
 */

export type Labels = Record<string, string>

export interface IpamPoolConfig {
  Subnet?: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

export interface Ipam {
  Driver: string
  Options: Record<string, string> | null
  Config: IpamPoolConfig[]
}

/** A running container in a network's `Containers`. Addresses with their prefix length, empty where there is none. */
export interface EndpointResource {
  Name: string
  EndpointID: string
  MacAddress: string
  IPv4Address: string
  IPv6Address: string
}

/** What `GET /networks/{id}` answers. */
export interface NetworkResource {
  Name: string
  Id: string
  Created: string
  Scope: string
  Driver: string
  EnableIPv6: boolean
  IPAM: Ipam
  Internal: boolean
  Attachable: boolean
  Ingress: boolean
  ConfigFrom: { Network: string }
  ConfigOnly: boolean
  Containers: Record<string, EndpointResource>
  Options: Record<string, string>
  Labels: Labels
}

/** The body of `POST /networks/create`. */
export interface NetworkCreateRequest {
  Name?: string
  CheckDuplicate?: boolean
  Driver?: string
  Scope?: string
  /** Of later versions of the API. */
  EnableIPv4?: boolean
  EnableIPv6?: boolean
  IPAM?: { Driver?: string; Options?: Record<string, string> | null; Config?: IpamPoolConfig[] | null } | null
  Internal?: boolean
  Attachable?: boolean
  Ingress?: boolean
  ConfigOnly?: boolean
  ConfigFrom?: { Network?: string } | null
  Options?: Record<string, string> | null
  Labels?: Labels | null
}

export interface EndpointIpamConfig {
  IPv4Address?: string
  IPv6Address?: string
  LinkLocalIPs?: string[]
}

/** What a user asks of one attachment: a member of `EndpointsConfig`, or `EndpointConfig` of connect. */
export interface EndpointConfig {
  IPAMConfig?: EndpointIpamConfig | null
  Links?: string[] | null
  Aliases?: string[] | null
  MacAddress?: string
  DriverOpts?: Record<string, string> | null
  /** Of later versions of the API: which endpoint's gateway is the default one. */
  GwPriority?: number
}

/** One member of `NetworkSettings.Networks`. */
export interface EndpointSettings {
  IPAMConfig: EndpointIpamConfig | null
  Links: string[] | null
  Aliases: string[] | null
  NetworkID: string
  EndpointID: string
  Gateway: string
  IPAddress: string
  IPPrefixLen: number
  IPv6Gateway: string
  GlobalIPv6Address: string
  GlobalIPv6PrefixLen: number
  MacAddress: string
  DriverOpts: Record<string, string> | null
}

export interface PortBinding {
  HostIp: string
  HostPort: string
}

/** By `80/tcp`. */
export type PortMap = Record<string, PortBinding[] | null>

/** `NetworkSettings` of `GET /containers/{id}/json`. */
export interface NetworkSettings {
  Bridge: string
  SandboxID: string
  HairpinMode: boolean
  LinkLocalIPv6Address: string
  LinkLocalIPv6PrefixLen: number
  Ports: PortMap
  SandboxKey: string
  SecondaryIPAddresses: null
  SecondaryIPv6Addresses: null
  EndpointID: string
  Gateway: string
  GlobalIPv6Address: string
  GlobalIPv6PrefixLen: number
  IPAddress: string
  IPPrefixLen: number
  IPv6Gateway: string
  MacAddress: string
  Networks: Record<string, EndpointSettings>
}

/** A member of `Ports` in `GET /containers/json`. */
export interface PortSummary {
  IP?: string
  PrivatePort: number
  PublicPort?: number
  Type: string
}

/** Interface counters as `stats` shows them. */
export interface InterfaceCounters {
  rx_bytes: number
  rx_packets: number
  rx_errors: number
  rx_dropped: number
  tx_bytes: number
  tx_packets: number
  tx_errors: number
  tx_dropped: number
}

/** The body of `POST /netloom/attach`: exactly one of pid, netns, tap and virtual. */
export interface AttachRequest {
  network: string
  /** The name that others find; made from the target by default. */
  name?: string
  /** A process in the network namespace. */
  pid?: number
  /** A network namespace's file. */
  netns?: string
  /** A TAP in the daemon's own namespace, for a virtual machine that `user` runs. */
  tap?: { name: string; user?: string }
  /**
   * A virtual host inside of netloom: answers ARP and echo, and sends datagrams to these UDP ports back. `silent`: answers nothing, and sends
   * what is played into its port.
   */
  virtual?: { udpEcho: number[]; silent?: boolean }
  ip?: string
  ip6?: string
  mac?: string
  aliases?: string[]
  /** As of `docker network connect --driver-opt`. */
  driverOpts?: Record<string, string>
  /** The interface in the namespace; default eth0. */
  ifname?: string
  mtu?: number
}

export interface AttachedResource {
  network: string
  id: string
  name: string
  ip: string
  ip6: string
  mac: string
  subnet: string
  gateway: string
  ifname: string
}
