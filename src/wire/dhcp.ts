/**
 * DHCP for IPv4, RFC 2131; options RFC 2132, long and repeated ones RFC 3396.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+---------------+---------------+
 *   |   operation   |  hw type = 1  | hw length = 6 |     hops      |
 *   +---------------+---------------+---------------+---------------+
 *   |                       transaction id (xid)                    |
 *   +-------------------------------+-------------------------------+
 *   |            seconds            |B|        flags                |
 *   +-------------------------------+-------------------------------+
 *   |         client's (ciaddr), then yours (yiaddr),               |
 *   |         next server's (siaddr), relay's (giaddr)              |
 *   +---------------------------------------------------------------+
 *   |         client's hardware address, 16 bytes                   |
 *   |         server's name, 64 bytes; boot file, 128 bytes         |
 *   +---------------------------------------------------------------+
 *   |         magic 63 82 53 63, then options: kind, length, data   |
 *   +---------------------------------------------------------------+
 *
 * A message of the control plane's pace: read and written as a whole, with allocations.
 */
import { formatIpv4, formatMac, macAt, parseIpv4, parseMac } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'
import { setMac } from './ethernet.ts'

/** UDP ports of servers (and relays) and of clients. */
export const DHCP_SERVER_PORT = 67
export const DHCP_CLIENT_PORT = 68

export const DhcpOperation = { request: 1, reply: 2 } as const

/** Option 53. */
export const DhcpMessage = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7 } as const

/** Kinds of options, RFC 2132 by section. */
export const DhcpOption = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  domainNameServers: 6,
  hostName: 12,
  requestedAddress: 50,
  /** Seconds, uint32; 0xffffffff is for ever. */
  leaseTime: 51,
  /** 1: the boot file's field holds options, 2: the server name's does, 3: both. */
  overload: 52,
  messageType: 53,
  /** The server's address. */
  serverIdentifier: 54,
  parameterRequestList: 55,
  maximumMessageSize: 57,
  /** T1 and T2, seconds. */
  renewalTime: 58,
  rebindingTime: 59,
  clientIdentifier: 61,
  end: 255
} as const

const XID = 4
const SECONDS = 8
const FLAGS = 10
const CLIENT = 12
const YOURS = 16
const NEXT_SERVER = 20
const RELAY = 24
const HARDWARE = 28
const SERVER_NAME = 44
const BOOT_FILE = 108
const MAGIC = 236
const OPTIONS = 240
const MAGIC_COOKIE = 0x63825363
/** Hardware type and length of Ethernet, bytes 1 and 2. */
const ETHERNET = 0x0106
const BROADCAST = 0x8000
/** BOOTP's length, below which relays and servers may ignore a message (RFC 1542 section 2.1). */
const LEAST_LENGTH = 300
const OPTION_MAX = 255

/** Addresses as text; `0.0.0.0` where there is none. */
export interface DhcpRepr {
  readonly operation: number
  /** uint32. */
  readonly transaction: number
  /** Since the client began, 0 to 65535. */
  readonly seconds: number
  /** The client cannot hear unicast before it has its address. */
  readonly broadcast: boolean
  readonly client: string
  readonly yours: string
  readonly nextServer: string
  readonly relay: string
  readonly mac: string
  /** Data by kind, without padding and end; 0 to 255 bytes each when emitted. */
  readonly options: ReadonlyMap<number, Uint8Array>
}

/** null for what is no DHCP message of an Ethernet client: truncated, plain BOOTP, or with options that run over the end. */
export function parseDhcp(bytes: Uint8Array, at: number, end: number): DhcpRepr | null {
  if (at + OPTIONS > end || get32(bytes, at + MAGIC) !== MAGIC_COOKIE) return null
  if (get16(bytes, at + 1) !== ETHERNET) return null
  const options = new Map<number, Uint8Array>()
  if (!readOptions(bytes, at + OPTIONS, end, options)) return null
  const overload = options.get(DhcpOption.overload)?.[0] ?? 0
  // In this order: RFC 3396 section 5.
  if ((overload & 1) !== 0 && !readOptions(bytes, at + BOOT_FILE, at + MAGIC, options)) return null
  if ((overload & 2) !== 0 && !readOptions(bytes, at + SERVER_NAME, at + BOOT_FILE, options)) return null
  return {
    operation: bytes[at],
    transaction: get32(bytes, at + XID) >>> 0,
    seconds: get16(bytes, at + SECONDS),
    broadcast: (get16(bytes, at + FLAGS) & BROADCAST) !== 0,
    client: formatIpv4(get32(bytes, at + CLIENT)),
    yours: formatIpv4(get32(bytes, at + YOURS)),
    nextServer: formatIpv4(get32(bytes, at + NEXT_SERVER)),
    relay: formatIpv4(get32(bytes, at + RELAY)),
    mac: formatMac(macAt(bytes, at + HARDWARE)),
    options
  }
}

/** Writes the message and returns its length, at least 300. Throws AddressError, and RangeError for an option above 255 bytes. */
export function emitDhcp(repr: DhcpRepr, bytes: Uint8Array, at: number): number {
  bytes.fill(0, at, at + LEAST_LENGTH)
  bytes[at] = repr.operation
  put16(bytes, at + 1, ETHERNET)
  put32(bytes, at + XID, repr.transaction)
  put16(bytes, at + SECONDS, repr.seconds)
  put16(bytes, at + FLAGS, repr.broadcast ? BROADCAST : 0)
  put32(bytes, at + CLIENT, parseIpv4(repr.client))
  put32(bytes, at + YOURS, parseIpv4(repr.yours))
  put32(bytes, at + NEXT_SERVER, parseIpv4(repr.nextServer))
  put32(bytes, at + RELAY, parseIpv4(repr.relay))
  const mac = parseMac(repr.mac)
  setMac(bytes, at + HARDWARE, mac.hi, mac.lo)
  put32(bytes, at + MAGIC, MAGIC_COOKIE)
  let next = at + OPTIONS
  for (const [kind, data] of repr.options) {
    if (data.length > OPTION_MAX) throw new RangeError(`DHCP option ${kind} of ${data.length} bytes: 255 at most`)
    bytes[next] = kind
    bytes[next + 1] = data.length
    bytes.set(data, next + 2)
    next += 2 + data.length
  }
  bytes[next++] = DhcpOption.end
  return Math.max(next - at, LEAST_LENGTH)
}

/** Adds those in [at, end); data of one kind in several pieces is joined. False when one runs over the end. */
function readOptions(bytes: Uint8Array, at: number, end: number, options: Map<number, Uint8Array>): boolean {
  while (at < end && bytes[at] !== DhcpOption.end) {
    const kind = bytes[at++]
    if (kind === DhcpOption.pad) continue
    if (at >= end || at + 1 + bytes[at] > end) return false
    const data = bytes.slice(at + 1, at + 1 + bytes[at])
    at += 1 + data.length
    const before = options.get(kind)
    options.set(kind, before === undefined ? data : Uint8Array.of(...before, ...data))
  }
  return true
}
