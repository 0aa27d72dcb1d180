/** `eth0` of an emulated host: what it is called and where it is plugged in. */
import { addressFamily, formatMac, macFromIpv4, parseIpv4, parseMac } from '../../wire/address.ts'
import type { PortReference } from '../driver.ts'
import { NetworkError } from '../network-error.ts'

export interface InterfaceOptions {
  readonly name: string
  /** CIDR: one IPv4 address, and at most one of IPv6. */
  readonly addresses: readonly string[]
  /** Default: 02:42 and the IPv4 address. */
  readonly mac?: string
  /** Longest packet, bytes. */
  readonly mtu: number
  /** The other end of the cable, by its name for the host's part of the engine: `/lan/office` 3. */
  readonly wire: PortReference
}

export class EmulatedInterface {
  readonly name: string
  readonly addresses: readonly string[]
  /** Without prefix length; undefined: none. */
  readonly address: string | undefined
  readonly address6: string | undefined
  readonly mac: string
  readonly mtu: number
  readonly wire: PortReference

  /** The element between the cable and all who stand on the interface: the host's own stack, parents of networks. */
  get trunk(): string {
    return `uplink/${this.name}`
  }

  /** Throws NetworkError `invalid`. */
  constructor({ name, addresses, mac, mtu, wire }: InterfaceOptions) {
    this.name = name
    this.addresses = addresses
    this.address = addressOf(addresses, 4)
    this.address6 = addressOf(addresses, 6)
    this.mac = macOf(addresses, mac)
    this.mtu = mtu
    this.wire = wire
  }
}

/** `mac`, or 02:42 and the first IPv4 address. Throws NetworkError `invalid`. */
export function macOf(addresses: readonly string[], mac?: string): string {
  if (mac !== undefined) return formatMac(parseMac(mac))
  const address = addressOf(addresses, 4)
  if (address === undefined) throw new NetworkError('invalid', 'a station without an IPv4 address needs a mac')
  return formatMac(macFromIpv4(parseIpv4(address)))
}

function addressOf(addresses: readonly string[], family: 4 | 6): string | undefined {
  return addresses.map((address) => address.split('/')[0]).find((address) => addressFamily(address) === family)
}
