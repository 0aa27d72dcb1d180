/** Entries of the kernel's connection tracking: NFNL_SUBSYS_CTNETLINK (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
import type { NativeBinding } from '../native-binding.ts'
import { addressBytes } from './address-bytes.ts'
import { NetlinkConnection, type NetlinkTransport } from './connection.ts'
import { AF_INET } from './rtnetlink.ts'

const NETLINK_NETFILTER = 12
/** CTNETLINK 1, IPCTNL_MSG_CT_DELETE 2. */
const DELETE = (1 << 8) | 2

const Attribute = { replyTuple: 2, filter: 25 } as const
const Tuple = { ip: 1, protocol: 2 } as const
const TupleIp = { ipv4Source: 1, ipv6Source: 3 } as const
const TupleProtocol = { number: 1, sourcePort: 2 } as const
/** CTA_FILTER_REPLY_FLAGS, and its bits for source address, protocol and source port: what of the tuple has to match. */
const REPLY_FLAGS = 2
const SOURCE_PROTOCOL_AND_PORT = 0x01 | 0x08 | 0x10

export interface Station {
  /** 6 TCP, 17 UDP. */
  readonly protocol: number
  readonly address: string
  readonly port: number
}

export class Conntrack {
  private readonly connection: NetlinkConnection

  constructor(transport: NetlinkTransport) {
    this.connection = new NetlinkConnection(transport)
  }

  /** Over the addon; `netns` is a namespace's fd, -1 for the caller's own. Needs CAP_NET_ADMIN there. */
  static inNamespace(native: NativeBinding, netns: number): Conntrack {
    return new Conntrack((request) => native.netlinkExchange(netns, NETLINK_NETFILTER, request))
  }

  /**
   * Forgets all flows that this station answers, whatever their destination was before translation. Throws NetlinkError; kernels
   * that cannot filter what they delete look for one entry that is so, and say ENOENT or EINVAL.
   */
  async forgetAnsweredBy({ protocol, address, port }: Station): Promise<void> {
    const { family, bytes } = addressBytes(address)
    await this.connection.change(`conntrack delete --reply-src ${address}:${port}/${protocol}`, DELETE, 0, (message) => {
      message.u8(family).u8(0).u8(0).u8(0)
      message.nested(Attribute.replyTuple, () => {
        message.nested(Tuple.ip, () => message.attribute(family === AF_INET ? TupleIp.ipv4Source : TupleIp.ipv6Source, bytes))
        message.nested(Tuple.protocol, () =>
          message
            .attribute(TupleProtocol.number, Uint8Array.of(protocol))
            .attribute(TupleProtocol.sourcePort, Uint8Array.of(port >> 8, port))
        )
      })
      message.nested(Attribute.filter, () => message.attributeU32(REPLY_FLAGS, SOURCE_PROTOCOL_AND_PORT))
    })
  }
}
