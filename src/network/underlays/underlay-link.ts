/** The host's interface that has the VTEP's address: what leaves by it decides how long outer packets may be. */

import { normalAddress } from '../../elements/vxlan/vxlan-options.ts'
import type { Link } from '../../io/netlink/links.ts'
import { NetworkError } from '../network-error.ts'
import type { HostNamespace } from '../uplinks/host/host-namespace.ts'

/** Rejects with NetworkError `invalid` when no interface of the host has the address. */
export async function underlayLink({ netlink }: HostNamespace, address: string): Promise<Link> {
  const wanted = normalAddress(address)
  const found = (await netlink.addresses.list()).find((each) => normalAddress(each.address.split('/')[0]) === wanted)
  const link = found && (await netlink.links.list()).find(({ index }) => index === found.link)
  if (link === undefined) {
    throw new NetworkError('invalid', `no interface of this host has the address ${address}`, {
      fix: 'advertise an address of this host: --cluster-advertise ADDRESS or INTERFACE, with or without :PORT'
    })
  }
  return link
}
