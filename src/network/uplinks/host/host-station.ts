/** The host as a station of a network: docker0, br-..., with the gateway's addresses and MAC. */
import type { Timers } from '../../../engine/clock.ts'
import type { OpenedTap } from '../../../io/native-binding.ts'
import { formatIpv4 } from '../../../wire/address.ts'
import { parseCidr, prefixBroadcast } from '../../../wire/cidr.ts'
import { NetworkError } from '../../network-error.ts'
import type { UplinkNetwork } from '../../uplink.ts'
import type { HostNamespace } from './host-namespace.ts'
import { STATION_GROUP } from './host-settings.ts'
import { openHostTap } from './open-host-tap.ts'

/** Docker's, on every bridge with IPv6. */
const LINK_LOCAL = 'fe80::1/64'
const SCOPE_LINK = 253

/** The interface, up and with its addresses, which go with it. Nothing is left when it rejects. */
export async function openStation(host: HostNamespace, network: UplinkNetwork, timers: Timers): Promise<OpenedTap> {
  if (network.gateway6 !== null && !host.hasIpv6) {
    throw new NetworkError('unsupported', `network ${network.name} has IPv6, which is switched off on the host`, {
      fix: 'sysctl -w net.ipv6.conf.all.disable_ipv6=0'
    })
  }
  const tap = await openHostTap(host, network.bridgeName, timers)
  try {
    await setUp(host, network)
    return tap
  } catch (error) {
    host.native.closeFd(tap.fd)
    throw error
  }
}

async function setUp(host: HostNamespace, { bridgeName, mac, mtu, gateway, gateway6 }: UplinkNetwork): Promise<void> {
  const { links, addresses } = host.netlink
  // The host hears no advertisements of containers, and says nothing of its own where the network has no IPv6.
  host.trySysctl(`net/ipv6/conf/${bridgeName}/accept_ra`, '0')
  host.trySysctl(`net/ipv6/conf/${bridgeName}/addr_gen_mode`, '1')
  if (gateway6 === null) host.trySysctl(`net/ipv6/conf/${bridgeName}/disable_ipv6`, '1')
  await links.set(bridgeName, { mac, mtu, group: STATION_GROUP, up: true })
  if (gateway !== null) await addresses.add(bridgeName, gateway, broadcastOf(gateway))
  if (gateway6 !== null) {
    await addresses.add(bridgeName, gateway6, { noDad: true })
    if (gateway6 !== LINK_LOCAL) await addresses.add(bridgeName, LINK_LOCAL, { scope: SCOPE_LINK, noDad: true })
  }
}

/** None on networks of one or two addresses. */
function broadcastOf(gateway: string): { broadcast?: string } {
  const broadcast = prefixBroadcast(parseCidr(gateway))
  return broadcast === null ? {} : { broadcast: formatIpv4(broadcast) }
}
