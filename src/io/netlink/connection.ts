import { ControlType, FLAG_DUMP_INTERRUPTED, type Message, readError, readMessages } from './message-reader.ts'
import { LITTLE_ENDIAN, MessageWriter, RequestFlag } from './message-writer.ts'
import { NetlinkError } from './netlink-error.ts'

/**
 * Carries one request to a netlink socket and brings all raw answers back: the addon in this process
 * (NativeBinding.netlinkExchange), or a shim's socket.
 */
export type NetlinkTransport = (request: Uint8Array) => Uint8Array | Promise<Uint8Array>

/** How often a list is asked for again when the table changed meanwhile. */
const DUMP_ATTEMPTS = 5

/** Messages of one exchange. */
const GROUP = 64

const EINTR = 4

/** Requests and their answers over a transport. `text` arguments say in iproute2's words what is asked, for errors. */
export class NetlinkConnection {
  private readonly transport: NetlinkTransport
  private sequence = 0

  constructor(transport: NetlinkTransport) {
    this.transport = transport
  }

  /** Changes something. Throws NetlinkError when it is refused. */
  async change(text: string, type: number, flags: number, fill: (writer: MessageWriter) => void): Promise<void> {
    this.check(text, await this.exchange(type, flags | RequestFlag.ack, fill))
  }

  /**
   * Changes many things by messages of one type, each filled by one of `fills`; the refusals. In groups: acknowledgments that nobody has
   * taken yet must have room in the socket.
   */
  async changeAll(text: string, type: number, fills: readonly ((writer: MessageWriter) => void)[], flags = 0): Promise<NetlinkError[]> {
    const refusals: NetlinkError[] = []
    for (let from = 0; from < fills.length; from += GROUP) {
      const messages = fills.slice(from, from + GROUP).map((fill) => this.request(type, flags | RequestFlag.ack, fill))
      for (const message of readMessages(await this.transport(Buffer.concat(messages)))) {
        const { errno, text: reason } = outcome(message)
        if (errno > 0) refusals.push(new NetlinkError(errno, text, reason))
      }
    }
    return refusals
  }

  /** Asks for one object; its messages. Throws NetlinkError, ENODEV or ENOENT when it is not there. */
  async get(text: string, type: number, fill: (writer: MessageWriter) => void): Promise<Message[]> {
    return this.check(text, await this.exchange(type, RequestFlag.ack, fill))
  }

  /** Asks for a whole table. */
  async dump(text: string, type: number, fill: (writer: MessageWriter) => void): Promise<Message[]> {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const answers = this.check(text, await this.exchange(type, RequestFlag.dump, fill))
      if (!answers.some(({ flags }) => (flags & FLAG_DUMP_INTERRUPTED) !== 0)) return answers
    }
    throw new NetlinkError(EINTR, text, 'the table changes faster than it can be listed')
  }

  private async exchange(type: number, flags: number, fill: (writer: MessageWriter) => void): Promise<Message[]> {
    const request = this.request(type, flags, fill)
    const { sequence } = this
    const answers = readMessages(await this.transport(request))
    return answers.filter((message) => message.sequence === sequence)
  }

  private request(type: number, flags: number, fill: (writer: MessageWriter) => void): Uint8Array {
    this.sequence = (this.sequence + 1) >>> 0
    const writer = new MessageWriter(type, RequestFlag.request | flags, this.sequence)
    fill(writer)
    return writer.finish()
  }

  private check(text: string, answers: Message[]): Message[] {
    for (const message of answers) {
      const { errno, text: reason } = outcome(message)
      if (errno > 0) throw new NetlinkError(errno, text, reason)
    }
    return answers.filter(({ type }) => type !== ControlType.error && type !== ControlType.done && type !== ControlType.noop)
  }
}

/** What a message says about the success of its request; errno 0 for answers that say nothing of it. */
function outcome(message: Message): { errno: number; text: string } {
  if (message.type === ControlType.error) return readError(message)
  // The end of a list carries an error where the listing failed half-way.
  const ended = message.type === ControlType.done && message.payload.byteLength >= 4
  return { errno: ended ? 0 - message.payload.getInt32(0, LITTLE_ENDIAN) : 0, text: '' }
}
