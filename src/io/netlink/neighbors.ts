/** The neighbor table (ARP and ND): RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH. */
import { addressBytes, addressText, macBytes, macText } from './address-bytes.ts'
import type { NetlinkConnection } from './connection.ts'
import type { Links } from './links.ts'
import { readAttributes } from './message-reader.ts'
import { LITTLE_ENDIAN, RequestFlag } from './message-writer.ts'
import { AF_INET, AF_INET6, MessageType, NEIGHBOR_HEADER, NeighborAttribute, NeighborState } from './rtnetlink.ts'

export interface Neighbor {
  /** Index of the link. */
  readonly link: number
  readonly address: string
  /** Absent while it is being asked for. */
  readonly mac?: string
  /** NeighborState bits. */
  readonly state: number
}

export class Neighbors {
  private readonly connection: NetlinkConnection
  private readonly links: Links

  constructor(connection: NetlinkConnection, links: Links) {
    this.connection = connection
    this.links = links
  }

  /** All entries, or those of one link. */
  async list(link?: string | number): Promise<Neighbor[]> {
    const index = link === undefined ? 0 : await this.links.index(link)
    const answers = await this.connection.dump('neighbor show', MessageType.getNeighbor, (message) =>
      message.u8(0).u8(0).u16(0).u32(0).u16(0).u8(0).u8(0)
    )
    return answers
      .filter(({ type, payload }) => {
        const family = payload.getUint8(0) // a bridge's FDB comes under AF_BRIDGE
        return type === MessageType.newNeighbor && (family === AF_INET || family === AF_INET6)
      })
      .map(({ payload }) => {
        const attributes = readAttributes(payload, NEIGHBOR_HEADER)
        const address = attributes.get(NeighborAttribute.destination)
        const mac = attributes.get(NeighborAttribute.linkAddress)
        return {
          link: payload.getUint32(4, LITTLE_ENDIAN),
          address: address === undefined ? '' : addressText(address),
          ...(mac?.byteLength === 6 && { mac: macText(mac) }),
          state: payload.getUint16(8, LITTLE_ENDIAN)
        }
      })
      .filter((neighbor) => index === 0 || neighbor.link === index)
  }

  /** Adds an entry that never ages, or makes an existing one so. */
  async setPermanent(link: string | number, address: string, mac: string): Promise<void> {
    const linkAddress = macBytes(mac)
    const flags = RequestFlag.create | RequestFlag.replace
    await this.send(`neighbor replace ${address} lladdr ${mac} dev ${link}`, MessageType.newNeighbor, flags, link, address, linkAddress)
  }

  async delete(link: string | number, address: string): Promise<void> {
    await this.send(`neighbor delete ${address} dev ${link}`, MessageType.delNeighbor, 0, link, address, undefined)
  }

  private async send(
    text: string,
    type: number,
    flags: number,
    link: string | number,
    address: string,
    mac: Uint8Array | undefined
  ): Promise<void> {
    const { family, bytes } = addressBytes(address)
    const index = await this.links.index(link)
    await this.connection.change(text, type, flags, (message) => {
      message.u8(family).u8(0).u16(0).u32(index).u16(NeighborState.permanent).u8(0).u8(0)
      message.attribute(NeighborAttribute.destination, bytes)
      if (mac !== undefined) message.attribute(NeighborAttribute.linkAddress, mac)
    })
  }
}
