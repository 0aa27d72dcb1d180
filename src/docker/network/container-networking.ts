/**
 * The network part of a container's record: plain JSON, saved and restored with the container.
 */
import type { EndpointConfig, PortMap } from '../../api/network-json.ts'

/** What an endpoint got while its container runs. */
export interface EndpointRecord {
  readonly networkId: string
  readonly endpointId: string
  /** eth0; empty for host, none and while nothing is plugged in. */
  readonly ifname: string
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  readonly address6: string
  readonly prefixLength6: number
  readonly gateway6: string
  readonly mac: string
}

/** One network that a container is to be on. */
export interface Attachment {
  /** As the user asked; null members as Docker shows them. */
  config: EndpointConfig
  /** Empty until the first start or connect resolved the name. */
  networkId: string
  /** Made by `connect` and not by `create`: shown differently. */
  connected: boolean
  /** null while the container does not run. */
  endpoint: EndpointRecord | null
}

export interface ContainerNetworking {
  /** By the network's name, as Docker keeps it. */
  attachments: Record<string, Attachment>
  /** 64 hexadecimal digits, of the last start; empty before. */
  sandboxId: string
  /** Published while it runs. */
  ports: PortMap
  /** Numbers of eth interfaces never come back while the container runs. */
  nextInterface: number
}

export function emptyNetworking(): ContainerNetworking {
  return { attachments: {}, sandboxId: '', ports: {}, nextInterface: 0 }
}
