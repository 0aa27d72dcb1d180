/** Entries of the kernel's connection tracking: NFNL_SUBSYS_CTNETLINK (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
import type { NativeBinding } from '../native-binding.ts'
import { addressBytes } from './address-bytes.ts'
import { NetlinkConnection, type NetlinkTransport } from './connection.ts'
import { type Attributes, bytesOf, type Message, readAttributes } from './message-reader.ts'
import type { MessageWriter } from './message-writer.ts'
import { AF_INET } from './rtnetlink.ts'

const NETLINK_NETFILTER = 12
/** CTNETLINK 1, IPCTNL_MSG_CT_GET 1 and IPCTNL_MSG_CT_DELETE 2. */
const GET = (1 << 8) | 1
const DELETE = (1 << 8) | 2
/** struct nfgenmsg before the attributes. */
const FIXED_LENGTH = 4

const Attribute = { originalTuple: 1, replyTuple: 2, id: 12, zone: 18, filter: 25 } as const
const Tuple = { ip: 1, protocol: 2 } as const
const TupleIp = { ipv4Source: 1, ipv6Source: 3 } as const
const TupleProtocol = { number: 1, sourcePort: 2 } as const
/** CTA_FILTER_REPLY_FLAGS, and its bits for source address, protocol and source port: what of the tuple has to match. */
const REPLY_FLAGS = 2
const BY_ADDRESS = 0x01
const BY_PROTOCOL = 0x08
const BY_PORT = 0x10
/**
 * Ports of an address up to which the kernel deletes those of one after the other. To list it looks at all buckets, 30 ms for 262,144; to
 * delete only at those in use: 0.3 ms where there is little, as much as a list with 50,000 entries.
 */
const FEW = 8

export interface Station {
  /** 6 TCP, 17 UDP. */
  readonly protocol: number
  readonly address: string
  readonly port: number
}

/** Stations that one request can be about. */
interface Answerers {
  readonly family: number
  readonly protocol: number
  /** Of IPv4 the only one, network byte order. */
  readonly address: Uint8Array
  /** `key` of each. */
  readonly keys: Set<string>
  readonly ports: Set<number>
}

export class Conntrack {
  private readonly connection: NetlinkConnection

  constructor(transport: NetlinkTransport) {
    this.connection = new NetlinkConnection(transport)
  }

  /**
   * Over the addon; `netns` is a namespace's fd, -1 for the caller's own. Needs CAP_NET_ADMIN there. The kernel goes through the whole
   * table, which all namespaces share, at each request, so that happens on a thread of libuv's pool.
   */
  static inNamespace(native: NativeBinding, netns: number): Conntrack {
    return new Conntrack((request) => native.netlinkExchangeAsync(netns, NETLINK_NETFILTER, request))
  }

  /**
   * Forgets all flows that these stations answer, whatever their destination was before translation. The kernel goes through its table
   * once for each protocol and IPv4 address (for each of up to FEW ports), and once for each protocol over IPv6. Rejects with the first
   * error when all were tried: NetlinkError (of few ports kernels that cannot filter what they delete look for one entry that is so, and
   * say ENOENT or EINVAL), or that of a system call.
   */
  async forgetAnsweredBy(stations: readonly Station[]): Promise<void> {
    const failures: unknown[] = []
    for (const answerers of grouped(stations)) {
      // Of IPv6 addresses in filters the kernel takes those that are not asked for (ctnetlink_filter_match_tuple, Linux 5.8 to 6.18).
      const isFiltered = answerers.ports.size <= FEW && answerers.family === AF_INET
      for (const each of isFiltered ? ofOnePort(answerers) : [answerers]) {
        await (isFiltered ? this.forgetPort(each) : this.forgetListed(each)).catch((error) => failures.push(error))
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** The kernel itself deletes what matches. */
  private async forgetPort(answerers: Answerers): Promise<void> {
    await this.connection.change(`delete ${textOf(answerers)}`, DELETE, 0, (message) => writeFilter(message, answerers))
  }

  /** A filter has one port or none: what it lets through is listed, and what is meant deleted by name, for which nothing is gone through. */
  private async forgetListed(answerers: Answerers): Promise<void> {
    const text = textOf(answerers)
    const entries = await this.connection.dump(`list ${text}`, GET, (message) => writeFilter(message, answerers))
    const gone = entries.flatMap((entry) => {
      const attributes = readAttributes(entry.payload, FIXED_LENGTH)
      const tuple = attributes.get(Attribute.originalTuple)
      // A request that names nothing deletes everything.
      if (tuple === undefined || !isAnsweredBy(attributes, answerers)) return []
      return [(message: MessageWriter) => writeName(message, entry, tuple, attributes)]
    })
    const refusals = await this.connection.changeAll(`delete ${text}`, DELETE, gone)
    // One that has ended meanwhile is as gone.
    for (const refusal of refusals) if (refusal.code !== 'ENOENT') throw refusal
  }
}

function grouped(stations: readonly Station[]): Answerers[] {
  const groups = new Map<string, Answerers>()
  for (const { protocol, address, port } of stations) {
    const { family, bytes } = addressBytes(address)
    const name = family === AF_INET ? `${protocol} ${address}` : `${protocol}`
    let group = groups.get(name)
    if (group === undefined) groups.set(name, (group = { family, protocol, address: bytes, keys: new Set(), ports: new Set() }))
    group.keys.add(keyOf(bytes, port))
    group.ports.add(port)
  }
  return [...groups.values()]
}

/** The same with each of the ports for itself. */
function ofOnePort(answerers: Answerers): Answerers[] {
  return [...answerers.ports].map((port) => ({ ...answerers, ports: new Set([port]) }))
}

function keyOf(address: Uint8Array, port: number): string {
  return `${address.join('.')} ${port}`
}

/** In the words of conntrack(8). */
function textOf({ family, protocol, address, ports }: Answerers): string {
  const [port] = ports
  const source = family === AF_INET ? ` --reply-src ${address.join('.')}` : ' --family ipv6'
  return `conntrack --protonum ${protocol}${source}${ports.size === 1 ? ` --reply-port-src ${port}` : ''}`
}

/** Entries whose answers come from this IPv4 address, or over IPv6 from any, by this protocol, and from the port if it is the only one. */
function writeFilter(message: MessageWriter, { family, protocol, address, ports }: Answerers): void {
  const [port] = ports
  const isOne = ports.size === 1
  message.u8(family).u8(0).u8(0).u8(0)
  message.nested(Attribute.replyTuple, () => {
    message.nested(Tuple.ip, () => message.attribute(family === AF_INET ? TupleIp.ipv4Source : TupleIp.ipv6Source, address))
    message.nested(Tuple.protocol, () => {
      message.attribute(TupleProtocol.number, Uint8Array.of(protocol))
      if (isOne) message.attribute(TupleProtocol.sourcePort, Uint8Array.of(port >> 8, port))
    })
  })
  const flags = BY_PROTOCOL | (isOne ? BY_PORT : 0) | (family === AF_INET ? BY_ADDRESS : 0)
  message.nested(Attribute.filter, () => message.attributeU32(REPLY_FLAGS, flags))
}

/** What names an entry: its original tuple, its zone where it has one, and its id, which another entry with that tuple would not have. */
function writeName(message: MessageWriter, entry: Message, tuple: DataView, attributes: Attributes): void {
  message.u8(entry.payload.getUint8(0)).u8(0).u8(0).u8(0)
  message.nested(Attribute.originalTuple, () => message.copied(tuple))
  for (const type of [Attribute.id, Attribute.zone]) {
    const value = attributes.get(type)
    if (value !== undefined) message.attribute(type, bytesOf(value))
  }
}

/** Older kernels list everything, whatever they are asked for. */
function isAnsweredBy(entry: Attributes, { family, protocol, keys }: Answerers): boolean {
  const tuple = part(entry, Attribute.replyTuple)
  const source = part(tuple, Tuple.ip).get(family === AF_INET ? TupleIp.ipv4Source : TupleIp.ipv6Source)
  const transport = part(tuple, Tuple.protocol)
  const port = transport.get(TupleProtocol.sourcePort)
  if (source === undefined || port === undefined || transport.get(TupleProtocol.number)?.getUint8(0) !== protocol) return false
  return keys.has(keyOf(bytesOf(source), port.getUint16(0)))
}

/** The attributes in an attribute; none where it is missing. */
function part(attributes: Attributes, type: number): Attributes {
  const view = attributes.get(type)
  return view === undefined ? new Map() : readAttributes(view, 0)
}
