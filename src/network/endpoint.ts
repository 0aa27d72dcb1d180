/**
 * An endpoint: one attachment of one sandbox (a process, a virtual host, a foreign namespace) to one network.
 */
import type { IccRule } from '../elements/filter/filter-options.ts'
import type { Plain } from '../engine/index.ts'
import type { LinkShape } from './link-shape.ts'

/** What stands at the endpoint's end of its chain: an element type and its options. */
export interface Attachment {
  readonly type: string
  readonly options: Plain
}

/** What a user asks for. */
export interface EndpointSpec {
  /** 64 hexadecimal digits; drawn by default. */
  readonly id?: string
  readonly name: string
  /** A particular IPv4 address; the lowest free one by default. */
  readonly address?: string
  readonly address6?: string
  /** 02:42 and the address by default, as Docker does. */
  readonly mac?: string
  /**
   * Default false. true: whoever stands at its end has a MAC of his own choice, and `mac` is what he was told. Only he can claim its
   * addresses all the same: the filters of the others refuse it.
   */
  readonly ownMac?: boolean
  /** More names in this network. */
  readonly aliases?: readonly string[]
  /** All names by which others find it, instead of name and aliases; the first is what a PTR question is answered. */
  readonly names?: readonly string[]
  /**
   * Names for this endpoint's sandbox alone: alias to the name of another endpoint of the network. Followed at each question:
   * the target may come, go and move.
   */
  readonly links?: Readonly<Record<string, string>>
  /** Endpoints with the same sandbox resolve names of all its networks; the endpoint's own id by default. */
  readonly sandbox?: string
  /** Default true. false: names are answered at 127.0.0.11 only, not at the gateway's address too. */
  readonly gatewayDns?: boolean
  /** The emulated link to its network; that of the network by default. */
  readonly link?: LinkShape
}

/** What may change while an endpoint is connected. */
export type EndpointUpdate = Partial<Pick<EndpointSpec, 'name' | 'names' | 'links'>> & {
  /** See `NetworkSpec.iccRules`; none when it is connected. */
  readonly allow?: readonly IccRule[]
}

/** `updateEndpoint` changes it in place: who holds it sees its present name. */
export interface Endpoint {
  /** 64 hexadecimal digits. */
  readonly id: string
  name: string
  /** The name of the element at its end; stays when the endpoint is renamed. */
  readonly element: string
  readonly address: string
  /** Bits of the subnet's prefix. */
  readonly prefixLength: number
  /** Empty without IPv6. */
  readonly address6: string
  readonly prefixLength6: number
  readonly mac: string
  /** Names by which other endpoints of the network find this one; the first is the PTR's. */
  names: readonly string[]
  links: Readonly<Record<string, string>>
  allow: readonly IccRule[]
  readonly sandbox: string
  readonly gatewayDns: boolean
  readonly ownMac: boolean
  /** null: never shaped, and no element stands there. One that was cleared stays: frames are under way in it. */
  link: LinkShape | null
  /** The probe stands between it and its network. */
  probed: boolean
  /** Lowest number that was free in the network: its port of the bridge follows from it. */
  readonly slot: number
  /** Its port of the DNS service. */
  readonly dnsPort: number
  readonly attachment: Attachment
}

/** The endpoint's addresses with their prefix lengths, as interfaces are configured. */
export function endpointAddresses({ address, prefixLength, address6, prefixLength6 }: Omit<Endpoint, 'attachment'>): string[] {
  return address6 === '' ? [`${address}/${prefixLength}`] : [`${address}/${prefixLength}`, `${address6}/${prefixLength6}`]
}
