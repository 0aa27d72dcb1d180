/**
 * What hosts, sandboxes, attachments and machines have in common when they are plugged in.
 */
import type { EndpointSpec } from '../network/endpoint.ts'
import { changedLink } from '../network/link-shape.ts'
import { NetworkError } from '../network/network-error.ts'

import { type LinkOption, linkChange } from './link-option.ts'

/** What every endpoint may be given. */
export interface EndpointOptions {
  /** IPv4 address; the lowest free one by default. */
  readonly ip?: string
  /** IPv6 address, in a network with a subnet6. */
  readonly ip6?: string
  /** 02:42 and the IPv4 address by default. */
  readonly mac?: string
  /** More names. */
  readonly aliases?: readonly string[]
  /** How the link to its network behaves. */
  readonly link?: LinkOption
}

/** The options in the control plane's words. */
export function endpointSpec(name: string, { ip, ip6, mac, aliases, link }: EndpointOptions): EndpointSpec {
  const shape = link === undefined ? {} : { link: changedLink(null, linkChange(link)) }
  return { name, address: ip, address6: ip6, mac, aliases, ...shape }
}

/** Throws NetworkError `unsupported` where time is virtual: `what` runs in the machine's own time. */
export function requireRealTime(lab: { readonly virtual: boolean }, what: string): void {
  if (lab.virtual) throw new NetworkError('unsupported', `${what} do not run in virtual time`, { fix: "make the lab with clock: 'real'" })
}
