/**
 * An endpoint: one attachment of one sandbox (a process, a virtual host, a foreign namespace) to one network.
 */
import type { Plain } from '../engine/index.ts'

/** What stands at the endpoint's end of its chain: an element type and its options. */
export interface Attachment {
  readonly type: string
  readonly options: Plain
}

/** What a user asks for. */
export interface EndpointSpec {
  readonly name: string
  /** A particular IPv4 address; the lowest free one by default. */
  readonly address?: string
  readonly address6?: string
  /** 02:42 and the address by default, as Docker does. */
  readonly mac?: string
  /** More names in this network. */
  readonly aliases?: readonly string[]
  /** Endpoints with the same sandbox resolve names of all its networks; the endpoint's own id by default. */
  readonly sandbox?: string
}

export interface Endpoint {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  readonly address: string
  /** Bits of the subnet's prefix. */
  readonly prefixLength: number
  /** Empty without IPv6. */
  readonly address6: string
  readonly prefixLength6: number
  readonly mac: string
  readonly aliases: readonly string[]
  readonly sandbox: string
  /** Smallest number free in the network: its port of the bridge and of the DNS service follow from it. */
  readonly slot: number
  readonly attachment: Attachment
}

/** The names by which other endpoints of the network find this one. */
export function endpointNames(endpoint: Endpoint): string[] {
  return [endpoint.name, ...endpoint.aliases]
}

/** The endpoint's addresses with their prefix lengths, as interfaces are configured. */
export function endpointAddresses({ address, prefixLength, address6, prefixLength6 }: Omit<Endpoint, 'attachment'>): string[] {
  return address6 === '' ? [`${address}/${prefixLength}`] : [`${address}/${prefixLength}`, `${address6}/${prefixLength6}`]
}
