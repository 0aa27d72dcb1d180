/**
 * The network part of a container's record: plain JSON, saved and restored with the container.
 */
import type { EndpointIpamConfig, PortMap } from '../../api/network-json.ts'

/** What an endpoint got while its container runs. Texts are empty where it has no such thing. */
export interface EndpointRecord {
  readonly endpointId: string
  /** eth0; empty on host and none. */
  readonly ifname: string
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  /** The default routes leave by the interface itself, without a gateway; absent: false. */
  readonly byDevice?: boolean
  readonly address6: string
  readonly prefixLength6: number
  readonly gateway6: string
  readonly mac: string
}

/** What a user asked of one attachment, with null where Docker shows null. */
export interface AttachmentConfig {
  IPAMConfig: EndpointIpamConfig | null
  Links: string[] | null
  /** Docker adds the short id and the host name when a user-defined network is connected. */
  Aliases: string[] | null
  DriverOpts: Record<string, string> | null
}

/** One network that a container is to be on. */
export interface Attachment {
  /** The network's name; as the user wrote it until there is such a network. */
  network: string
  /** Empty until the first start or connect found the network. */
  networkId: string
  config: AttachmentConfig
  /** null while the container does not run. */
  endpoint: EndpointRecord | null
}

/** A container's endpoint on docker_gwbridge. */
export interface GatewayAttachment {
  readonly networkId: string
  /** The endpoint's, made of the sandbox's id when it was plugged in; absent in records of earlier versions. */
  readonly name?: string
  readonly endpoint: EndpointRecord
}

/** A `--link` on the default bridge. */
export interface LegacyLink {
  readonly alias: string
  readonly containerId: string
  /** The target's, as far as it was known last: the link outlives its target. */
  name: string
}

export interface ContainerNetworking {
  /** In the order in which they were asked for. */
  attachments: Attachment[]
  links: LegacyLink[]
  /** 64 hexadecimal digits, of the last start; empty before. */
  sandboxId: string
  /** The network namespace's file while it runs; afterwards still shown, as Docker does. */
  sandboxKey: string
  /** Shown while it runs: exposed ports, with what they are published as. */
  ports: PortMap
  /** Whose endpoint publishes the ports; empty: nobody's. */
  portsNetworkId: string
  /** By prefix (`eth`): the number of the next interface. Numbers do not come back while the container runs. */
  nextInterface: Record<string, number>
  /** On docker_gwbridge, while that is the way out; null (in records of earlier versions absent) otherwise. */
  gateway?: GatewayAttachment | null
  /** resolv.conf names 127.0.0.11: from the first user-defined network until the container stops. */
  embeddedDns: boolean
}

export function emptyNetworking(): ContainerNetworking {
  return { attachments: [], links: [], sandboxId: '', sandboxKey: '', ports: {}, portsNetworkId: '', nextInterface: {}, embeddedDns: false }
}
