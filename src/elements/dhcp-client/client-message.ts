import { formatMac, type Mac, parseIpv4 } from '../../wire/address.ts'
import { put16, put32 } from '../../wire/big-endian.ts'
import { DhcpMessage, DhcpOperation, DhcpOption, type DhcpRepr } from '../../wire/dhcp.ts'
import { setMac } from '../../wire/ethernet.ts'
import { NO_ADDRESS } from './client-frames.ts'

const PARAMETERS = [
  DhcpOption.subnetMask,
  DhcpOption.routers,
  DhcpOption.domainNameServers,
  DhcpOption.renewalTime,
  DhcpOption.rebindingTime
]
/** The longest that arrives in one frame. Clients must take 576 (RFC 2131 section 2). */
const MESSAGE_SIZE = 1472
const HARDWARE_ETHERNET = 1

/** What differs between a client's messages. */
export interface ClientMessage {
  /** See DhcpMessage. */
  readonly type: number
  readonly transaction: number
  readonly seconds: number
  readonly mac: Mac
  /** '': none. */
  readonly hostName: string
  /** The address that the client has and may use, else 0.0.0.0. */
  readonly client: string
  /** Options 50 and 54. */
  readonly requested?: string
  readonly server?: string
}

/** With the fields and options that RFC 2131 table 5 asks for. */
export function clientMessage({ type, transaction, seconds, mac, hostName, client, requested, server }: ClientMessage): DhcpRepr {
  const identifier = new Uint8Array(7)
  identifier[0] = HARDWARE_ETHERNET
  setMac(identifier, 1, mac.hi, mac.lo)
  const options = new Map<number, Uint8Array>([
    [DhcpOption.messageType, Uint8Array.of(type)],
    [DhcpOption.clientIdentifier, identifier]
  ])
  if (requested !== undefined) options.set(DhcpOption.requestedAddress, octets(requested))
  if (server !== undefined) options.set(DhcpOption.serverIdentifier, octets(server))
  if (type !== DhcpMessage.decline) {
    options.set(DhcpOption.parameterRequestList, Uint8Array.from(PARAMETERS))
    const size = new Uint8Array(2)
    put16(size, 0, MESSAGE_SIZE)
    options.set(DhcpOption.maximumMessageSize, size)
    if (hostName !== '') options.set(DhcpOption.hostName, new TextEncoder().encode(hostName).subarray(0, 255))
  }
  return {
    operation: DhcpOperation.request,
    transaction,
    seconds,
    broadcast: false,
    client,
    yours: NO_ADDRESS,
    nextServer: NO_ADDRESS,
    relay: NO_ADDRESS,
    mac: formatMac(mac),
    options
  }
}

function octets(address: string): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, parseIpv4(address))
  return bytes
}
