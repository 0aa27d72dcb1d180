/** Ethernet addresses for packets that were captured without them, as the endpoint that sends them would find them. */
import type { LinkAddresses } from '../capture/to-ethernet.ts'
import type { Endpoint } from '../network/endpoint.ts'
import type { Network } from '../network/network.ts'
import { formatIpv4, formatIpv6, formatMac, MAC_LENGTH, macFromIpv4, parseIpv4, parseMac } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import { setMac } from '../wire/ethernet.ts'
import type { AddressMap } from './address-map.ts'

/** `map`: what becomes of the packets' addresses afterwards. */
export function linkAddresses(network: Network, endpoint: Pick<Endpoint, 'mac'>, map: AddressMap): LinkAddresses {
  const gateway = gatewayMac(network)
  return {
    source: macBytes(endpoint.mac),
    destination(bytes, at, family) {
      const mapped = map.find(bytes, at, family === 4 ? 4 : 16)
      const [from, where] = mapped === null ? [bytes, at] : [mapped, 0]
      const text = family === 4 ? formatIpv4(get32(from, where)) : formatIpv6(from, where)
      for (const other of network.endpoints.values()) {
        if (other.address === text || other.address6 === text) return macBytes(other.mac)
      }
      return gateway
    }
  }
}

/** Everybody's address where nobody is known to pass packets on. */
function gatewayMac({ gateway, pool, driver }: Network): Uint8Array {
  if (gateway !== null) return macBytes(gateway.mac)
  if (driver.isRouted && pool.gateway !== null) return macBytes(formatMac(macFromIpv4(parseIpv4(pool.gateway))))
  return new Uint8Array(MAC_LENGTH).fill(0xff)
}

function macBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(MAC_LENGTH)
  const { hi, lo } = parseMac(text)
  setMac(bytes, 0, hi, lo)
  return bytes
}
