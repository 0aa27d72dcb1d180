/** Addresses of interfaces: RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR. */
import { addressBytes, addressText, prefixBytes } from './address-bytes.ts'
import type { NetlinkConnection } from './connection.ts'
import type { Links } from './links.ts'
import { readAttributes, u32Of } from './message-reader.ts'
import { LITTLE_ENDIAN, RequestFlag } from './message-writer.ts'
import { ADDRESS_HEADER, AddressAttribute, AddressFlag, MessageType, RouteScope } from './rtnetlink.ts'

export interface InterfaceAddress {
  /** Index of the link. */
  readonly link: number
  /** `ADDRESS/LENGTH`, host bits kept. */
  readonly address: string
  /** IPv4 only, and only where one is set. */
  readonly broadcast?: string
  /** 0 global, 253 link, 254 host. */
  readonly scope: number
  /** IPv6 duplicate address detection has not ended. */
  readonly tentative: boolean
}

export interface AddressOptions {
  /** IPv4 broadcast address. None is set unless one is given, as with iproute2. */
  readonly broadcast?: string
  /** Default: global. */
  readonly scope?: number
  /** IPv6: usable at once, without duplicate address detection. */
  readonly noDad?: boolean
}

export class Addresses {
  private readonly connection: NetlinkConnection
  private readonly links: Links

  constructor(connection: NetlinkConnection, links: Links) {
    this.connection = connection
    this.links = links
  }

  /** All addresses, or those of one link. */
  async list(link?: string | number): Promise<InterfaceAddress[]> {
    const index = link === undefined ? 0 : await this.links.index(link)
    const answers = await this.connection.dump('address show', MessageType.getAddress, (message) => message.u8(0).u8(0).u8(0).u8(0).u32(0))
    return answers
      .filter(({ type, payload }) => type === MessageType.newAddress && (index === 0 || payload.getUint32(4, LITTLE_ENDIAN) === index))
      .map(({ payload }) => {
        const attributes = readAttributes(payload, ADDRESS_HEADER)
        // On a point-to-point link `address` is the peer's and `local` ours; elsewhere IPv6 has only `address`.
        const own = attributes.get(AddressAttribute.local) ?? attributes.get(AddressAttribute.address)
        const broadcast = attributes.get(AddressAttribute.broadcast)
        const flags = u32Of(attributes.get(AddressAttribute.flags)) ?? payload.getUint8(2)
        return {
          link: payload.getUint32(4, LITTLE_ENDIAN),
          address: `${own === undefined ? '' : addressText(own)}/${payload.getUint8(1)}`,
          ...(broadcast && { broadcast: addressText(broadcast) }),
          scope: payload.getUint8(3),
          tentative: (flags & AddressFlag.tentative) !== 0
        }
      })
  }

  /** `address`: `192.0.2.1/24`. */
  async add(link: string | number, address: string, options: AddressOptions = {}): Promise<void> {
    const { broadcast } = options
    const text = `address add ${address} dev ${link}${broadcast === undefined ? '' : ` broadcast ${broadcast}`}`
    await this.send(text, MessageType.newAddress, RequestFlag.create | RequestFlag.exclusive, link, address, options)
  }

  async delete(link: string | number, address: string): Promise<void> {
    await this.send(`address delete ${address} dev ${link}`, MessageType.delAddress, 0, link, address, {})
  }

  private async send(
    text: string,
    type: number,
    flags: number,
    link: string | number,
    address: string,
    options: AddressOptions
  ): Promise<void> {
    const { family, bytes, length } = prefixBytes(address)
    const broadcast = options.broadcast === undefined ? undefined : addressBytes(options.broadcast)
    const index = await this.links.index(link)
    await this.connection.change(text, type, flags, (message) => {
      message
        .u8(family)
        .u8(length)
        .u8(options.noDad ? AddressFlag.noDad : 0)
        .u8(options.scope ?? RouteScope.global)
        .u32(index)
        .attribute(AddressAttribute.local, bytes)
        .attribute(AddressAttribute.address, bytes)
      if (broadcast !== undefined) message.attribute(AddressAttribute.broadcast, broadcast.bytes)
    })
  }
}
