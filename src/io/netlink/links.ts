/** Interfaces: RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK. */
import { macBytes, macText } from './address-bytes.ts'
import type { NetlinkConnection } from './connection.ts'
import { type Message, readAttributes, textOf, u32Of } from './message-reader.ts'
import { LITTLE_ENDIAN, type MessageWriter, RequestFlag } from './message-writer.ts'
import { NetlinkError } from './netlink-error.ts'
import { LINK_HEADER, LinkAttribute, LinkFlag, LinkInfo, MessageType } from './rtnetlink.ts'

export interface Link {
  readonly index: number
  readonly name: string
  /** Empty where the link layer has no addresses. */
  readonly mac: string
  readonly mtu: number
  /** Switched on by the administrator. */
  readonly up: boolean
  /** A carrier is there. */
  readonly running: boolean
  /** 'tun', 'veth', 'bridge', ...; empty for hardware and lo. */
  readonly linkKind: string
  /** Index of the bridge or bond that it belongs to; 0: none. */
  readonly master: number
}

export interface LinkChange {
  readonly up?: boolean
  /** False: the kernel neither asks nor answers ARP on it (IFF_NOARP). */
  readonly arp?: boolean
  readonly mtu?: number
  readonly mac?: string
  /** New name; the link must be down. */
  readonly name?: string
  /** Packets in the transmit queue; of a TAP it is the ring, and 0 delivers nothing. */
  readonly txQueueLength?: number
  /** A number that firewalls know interfaces by; 0 is everybody's. */
  readonly group?: number
  /** Index of the master; 0 takes it out. */
  readonly master?: number
  /** The namespace to move to: a process, or a descriptor of the process that talks to the kernel. */
  readonly netns?: { readonly pid: number } | { readonly fd: number }
}

const ENODEV = 19

export class Links {
  private readonly connection: NetlinkConnection

  constructor(connection: NetlinkConnection) {
    this.connection = connection
  }

  async list(): Promise<Link[]> {
    const answers = await this.connection.dump('link show', MessageType.getLink, (message) => header(message, 0))
    return answers.filter(({ type }) => type === MessageType.newLink).map(readLink)
  }

  /** The link of a name, or null. */
  async find(name: string): Promise<Link | null> {
    try {
      const answers = await this.connection.get(`link show dev ${name}`, MessageType.getLink, (message) =>
        header(message, 0).attributeText(LinkAttribute.name, name)
      )
      return readLink(answers[0])
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENODEV') return null
      throw error
    }
  }

  /** Index of a link given by name or index. Throws NetlinkError ENODEV. */
  async index(link: string | number): Promise<number> {
    if (typeof link === 'number') return link
    const found = await this.find(link)
    if (found === null) throw new NetlinkError(ENODEV, `link show dev ${link}`, 'there is no such interface in this namespace')
    return found.index
  }

  async set(link: string | number, change: LinkChange): Promise<void> {
    const index = await this.index(link)
    const { up, arp, mtu, mac, name, txQueueLength, group, master, netns } = change
    const words = Object.entries(change).map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    const address = mac === undefined ? undefined : macBytes(mac)
    await this.connection.change(`link set ${link} ${words.join(' ')}`, MessageType.newLink, 0, (message) => {
      header(message, index, up, arp)
      if (address !== undefined) message.attribute(LinkAttribute.address, address)
      if (name !== undefined) message.attributeText(LinkAttribute.name, name)
      if (mtu !== undefined) message.attributeU32(LinkAttribute.mtu, mtu)
      if (txQueueLength !== undefined) message.attributeU32(LinkAttribute.txQueueLength, txQueueLength)
      if (group !== undefined) message.attributeU32(LinkAttribute.group, group)
      if (master !== undefined) message.attributeU32(LinkAttribute.master, master)
      if (netns === undefined) return
      if ('pid' in netns) message.attributeU32(LinkAttribute.netnsPid, netns.pid)
      else message.attributeU32(LinkAttribute.netnsFd, netns.fd)
    })
  }

  async delete(link: string | number): Promise<void> {
    const index = await this.index(link)
    await this.connection.change(`link delete ${link}`, MessageType.delLink, 0, (message) => header(message, index))
  }

  /** A pair of joined interfaces, the second in another namespace if one is given: for tests and comparisons. */
  async addVeth(name: string, peer: string, peerNetns?: { readonly fd: number }): Promise<void> {
    await this.add(name, 'veth', (message) =>
      message.nested(LinkInfo.data, () =>
        message.nested(LinkInfo.vethPeer, () => {
          header(message, 0).attributeText(LinkAttribute.name, peer)
          if (peerNetns !== undefined) message.attributeU32(LinkAttribute.netnsFd, peerNetns.fd)
        })
      )
    )
  }

  /** A bridge of the kernel: for tests and comparisons. */
  async addBridge(name: string): Promise<void> {
    await this.add(name, 'bridge', () => {})
  }

  private async add(name: string, linkKind: string, data: (message: MessageWriter) => void): Promise<void> {
    const flags = RequestFlag.create | RequestFlag.exclusive
    await this.connection.change(`link add ${name} type ${linkKind}`, MessageType.newLink, flags, (message) => {
      header(message, 0).attributeText(LinkAttribute.name, name)
      message.nested(LinkAttribute.info, () => {
        message.attributeText(LinkInfo.kind, linkKind)
        data(message)
      })
    })
  }
}

function header(message: MessageWriter, index: number, up?: boolean, arp?: boolean): MessageWriter {
  const flags = (up ? LinkFlag.up : 0) | (arp === false ? LinkFlag.noArp : 0)
  const change = (up === undefined ? 0 : LinkFlag.up) | (arp === undefined ? 0 : LinkFlag.noArp)
  return message.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(change)
}

function readLink({ payload }: Message): Link {
  const attributes = readAttributes(payload, LINK_HEADER)
  const flags = payload.getUint32(8, LITTLE_ENDIAN)
  const name = attributes.get(LinkAttribute.name)
  const address = attributes.get(LinkAttribute.address)
  const info = attributes.get(LinkAttribute.info)
  const linkKind = info === undefined ? undefined : readAttributes(info, 0).get(LinkInfo.kind)
  return {
    index: payload.getInt32(4, LITTLE_ENDIAN),
    name: name === undefined ? '' : textOf(name),
    mac: address?.byteLength === 6 ? macText(address) : '',
    mtu: u32Of(attributes.get(LinkAttribute.mtu)) ?? 0,
    up: (flags & LinkFlag.up) !== 0,
    running: (flags & LinkFlag.lowerUp) !== 0,
    linkKind: linkKind === undefined ? '' : textOf(linkKind),
    master: u32Of(attributes.get(LinkAttribute.master)) ?? 0
  }
}
