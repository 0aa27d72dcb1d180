/**
 * A service that is no container but a virtual host: an IP stack inside of netloom, which answers ARP and echo and sends datagrams back.
 *
 *   x-netloom: { virtual: true, udp_echo: [7] }                                    on the networks of the service
 *   x-netloom: { virtual: true, replay: { file: web.pcapng } }                     a capture in its place: see virtual-replay
 *   x-netloom: { virtual: true, underlay: office, address: 172.16.0.100/24 }       beside the hosts, on an underlay
 */
import { readAddress, readMac, readStationAddress, type StationAddress } from './addresses.ts'
import type { Value } from './value.ts'
import { readReplay, type VirtualReplay } from './virtual-replay.ts'

export interface VirtualHost {
  /** UDP ports that send everything back. */
  readonly udpEcho: readonly number[]
  /** Set: it sends what a capture has, and answers nothing. */
  readonly replay: VirtualReplay | null
  /** Set: it stands on an underlay and on no network. */
  readonly station: {
    readonly underlay: Value
    readonly addresses: readonly StationAddress[]
    readonly gateway: string | undefined
    readonly mac: string | undefined
  } | null
}

type Ours = Partial<Record<'host' | 'virtual' | 'udp_echo' | 'replay' | 'underlay' | 'address' | 'address6' | 'gateway' | 'mac', Value>>

/** Members that a virtual host may have beside x-netloom. */
const ALLOWED = ['networks', 'container_name', 'depends_on', 'x-netloom']

/** null: a container. */
export function readVirtual(
  given: Readonly<Partial<Record<string, Value>>>,
  ours: Ours | undefined,
  directory: string
): VirtualHost | null {
  if (ours?.virtual?.boolean() !== true) {
    for (const name of ['udp_echo', 'replay', 'underlay', 'address', 'address6', 'gateway', 'mac'] as const) {
      ours?.[name]?.fail('this is for virtual hosts: add virtual: true')
    }
    return null
  }
  for (const [name, value] of Object.entries(given)) {
    if (!ALLOWED.includes(name)) value!.fail('a virtual host has none: it runs no program')
  }
  const udpEcho = (ours.udp_echo?.list() ?? []).map((item) => item.integer(1, 65_535))
  const { underlay } = ours
  if (ours.replay !== undefined) {
    ours.udp_echo?.fail('a replay answers nothing')
    underlay?.fail('a replay is on a network')
  }
  const replay = ours.replay === undefined ? null : readReplay(ours.replay, directory)
  if (underlay === undefined) {
    for (const name of ['address', 'address6', 'gateway', 'mac'] as const) {
      ours[name]?.fail('this goes with an underlay; on a network use networks: { NAME: { ipv4_address: ... } }')
    }
    return { udpEcho, replay, station: null }
  }
  if (given['networks'] !== undefined) given['networks'].fail('a virtual host on an underlay is on no network')
  if (ours.host !== undefined) ours.host.fail('a virtual host on an underlay stands beside the hosts')
  const address = ours.address ?? underlay.fail('an address is missing: address: 172.16.0.100/24')
  const addresses = [readStationAddress(address, 4), ...(ours.address6 === undefined ? [] : [readStationAddress(ours.address6, 6)])]
  const gateway = ours.gateway === undefined ? undefined : readAddress(ours.gateway, 4)
  return { udpEcho, replay, station: { underlay, addresses, gateway, mac: ours.mac === undefined ? undefined : readMac(ours.mac) } }
}
