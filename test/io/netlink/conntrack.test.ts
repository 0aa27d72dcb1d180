// Forgetting the kernel's entries of many ports at once: what it is asked, against a table that stands in for its own, and the kernel itself
// in a namespace.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { tryLoadNative } from '../../../src/io/load-native.ts'
import { addressBytes, addressText } from '../../../src/io/netlink/address-bytes.ts'
import { NetlinkConnection, type NetlinkTransport } from '../../../src/io/netlink/connection.ts'
import { Conntrack } from '../../../src/io/netlink/conntrack.ts'
import { type Attributes, readAttributes, readMessages } from '../../../src/io/netlink/message-reader.ts'
import type { MessageWriter } from '../../../src/io/netlink/message-writer.ts'
import { NetlinkError } from '../../../src/io/netlink/netlink-error.ts'

const native = tryLoadNative()!
const AF_INET = 2
const NETFILTER = 12
/** CTNETLINK with IPCTNL_MSG_CT_NEW, _GET and _DELETE. */
const [NEW, GET, DELETE] = [0x100, 0x101, 0x102]
const DUMP = 0x300
const CREATE = 0x400
const UDP = 17
const TCP = 6

interface Entry {
  readonly protocol: number
  readonly client: string
  readonly clientPort: number
  /** Who answers. */
  readonly address: string
  readonly port: number
  /** What the client asked, where that was translated. */
  readonly asked?: string
}

/** Carries requests to the kernel of a new namespace; `sent` are types and flags of those that went out, one by one. */
function kernel(): { transport: NetlinkTransport; sent: { type: number; flags: number }[]; close: () => void } {
  const netns = native.createNetns()
  const sent: { type: number; flags: number }[] = []
  return {
    sent,
    transport: (request) => {
      sent.push(...readMessages(request).map(({ type, flags }) => ({ type, flags })))
      return native.netlinkExchangeAsync(netns, NETFILTER, request)
    },
    close: () => native.closeFd(netns)
  }
}

function writeTuple(
  message: MessageWriter,
  type: number,
  from: string,
  fromPort: number,
  to: string,
  toPort: number,
  protocol: number
): void {
  const isIpv4 = addressBytes(from).family === AF_INET
  message.nested(type, () => {
    message.nested(1, () => message.attribute(isIpv4 ? 1 : 3, addressBytes(from).bytes).attribute(isIpv4 ? 2 : 4, addressBytes(to).bytes))
    message.nested(2, () =>
      message
        .attribute(1, Uint8Array.of(protocol))
        .attribute(2, Uint8Array.of(fromPort >> 8, fromPort))
        .attribute(3, Uint8Array.of(toPort >> 8, toPort))
    )
  })
}

/** An entry that lasts ten minutes. */
function writeEntry(message: MessageWriter, { protocol, client, clientPort, address, port, asked = address }: Entry): void {
  message.u8(addressBytes(client).family).u8(0).u8(0).u8(0)
  writeTuple(message, 1, client, clientPort, asked, port, protocol)
  writeTuple(message, 2, address, port, client, clientPort, protocol)
  message.attributeU32Be(7, 600)
  // TCP wants a state: CTA_PROTOINFO, ESTABLISHED.
  if (protocol === TCP) message.nested(4, () => message.nested(1, () => message.attribute(1, Uint8Array.of(3))))
}

/** "PROTOCOL CLIENT-PORT > ANSWERER PORT" of what the kernel has, sorted. */
async function entries(connection: NetlinkConnection): Promise<string[]> {
  const list = await connection.dump('list', GET, (message) => message.u8(0).u8(0).u8(0).u8(0))
  const texts = list.map(({ payload }) => {
    const reply = part(readAttributes(payload, 4), 2)
    const [ip, transport] = [part(reply, 1), part(reply, 2)]
    const address = addressText((ip.get(1) ?? ip.get(3))!)
    return `${transport.get(1)!.getUint8(0)} ${transport.get(3)!.getUint16(0)} > ${address} ${transport.get(2)!.getUint16(0)}`
  })
  return texts.sort()
}

function part(attributes: Attributes, type: number): Attributes {
  return readAttributes(attributes.get(type)!, 0)
}

function textsOf(list: readonly Entry[]): string[] {
  return list.map(({ protocol, clientPort, address, port }) => `${protocol} ${clientPort} > ${address} ${port}`).sort()
}

describe('conntrack entries of the kernel', () => {
  test('few ports: the kernel filters what it deletes; many: one list for each IPv4 address, and one of IPv6', async () => {
    const requests: { type: number; flags: number }[] = []
    const conntrack = new Conntrack((request) => {
      const messages = readMessages(request)
      requests.push(...messages.map(({ type, flags }) => ({ type, flags: flags & DUMP })))
      // Done, or the end of an empty list.
      return Buffer.concat(
        messages.map(({ type, sequence }) => {
          const answer = Buffer.alloc(36)
          answer.writeUInt32LE(36, 0)
          answer.writeUInt16LE(type === GET ? 3 : 2, 4)
          answer.writeUInt32LE(sequence, 8)
          return answer
        })
      )
    })
    const stations = (count: number, address: string) =>
      Array.from({ length: count }, (_, i) => ({ protocol: UDP, address, port: 5000 + i }))
    await conntrack.forgetAnsweredBy(stations(1, '192.0.2.1'))
    assert.deepEqual(requests.splice(0), [{ type: DELETE, flags: 0 }])
    await conntrack.forgetAnsweredBy(stations(8, '192.0.2.1'))
    assert.deepEqual(requests.splice(0), new Array(8).fill({ type: DELETE, flags: 0 }))
    await conntrack.forgetAnsweredBy([...stations(200, '192.0.2.1'), ...stations(200, '2001:db8::1'), ...stations(9, '2001:db8::2')])
    assert.deepEqual(requests.splice(0), [
      { type: GET, flags: DUMP },
      { type: GET, flags: DUMP }
    ])
  })

  test('an address that is refused keeps none of the others', async () => {
    let count = 0
    const conntrack = new Conntrack(() => {
      count++
      throw new NetlinkError(22, 'x', '')
    })
    const stations = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => ({ protocol: UDP, address, port: 1 }))
    await assert.rejects(conntrack.forgetAnsweredBy(stations), { code: 'EINVAL' })
    assert.equal(count, 3)
  })

  test('200 ports: their UDP entries go after one walk for each address, and nothing else', async (context) => {
    if (native === null || process.getuid?.() !== 0) return context.skip('needs the addon and root')
    const { transport, sent, close } = kernel()
    try {
      const connection = new NetlinkConnection(transport)
      const client = { protocol: UDP, client: '198.51.100.7', clientPort: 40_000, address: '192.0.2.1' }
      const gone: Entry[] = []
      for (let port = 5000; port < 5200; port++)
        gone.push({ ...client, port }, { ...client, clientPort: 41_000, address: '192.0.2.2', port })
      gone.push({ ...client, port: 5007, clientPort: 42_000, asked: '203.0.113.1' })
      gone.push({ ...client, client: '2001:db8::7', address: '2001:db8::1', port: 5001 })
      gone.push({ ...client, client: '2001:db8::7', address: '2001:db8::1', port: 5002 })
      // Over IPv6 a filter for an address would let the others through.
      const kept: Entry[] = [
        { ...client, port: 5001, client: '2001:db8::7', address: '2001:db8::2' },
        { ...client, port: 4999 },
        { ...client, port: 5200 },
        { ...client, port: 5000, address: '192.0.2.3' },
        { ...client, port: 5000, protocol: TCP },
        { ...client, port: 5003, client: '2001:db8::7', address: '2001:db8::1' }
      ]
      const before = await entries(connection).catch((error) => error)
      if (before instanceof NetlinkError) return context.skip(`this kernel lists none: ${before.message}`)
      const all = [...gone, ...kept].map((entry) => (message: MessageWriter) => writeEntry(message, entry))
      assert.deepEqual(await connection.changeAll('create', NEW, all, CREATE), [])
      assert.deepEqual(await entries(connection), textsOf([...gone, ...kept]))
      sent.length = 0
      const conntrack = new Conntrack(transport)
      await conntrack.forgetAnsweredBy(gone.map(({ protocol, address, port }) => ({ protocol, address, port })))
      assert.equal(sent.filter(({ type }) => type === GET).length, 3, 'two IPv4 addresses, and IPv6')
      assert.equal(sent.filter(({ type }) => type === DELETE).length, gone.length)
      assert.deepEqual(await entries(connection), textsOf(kept))
      for (const [i, one] of kept.slice(0, 2).entries()) {
        await conntrack.forgetAnsweredBy([one])
        assert.deepEqual(await entries(connection), textsOf(kept.slice(i + 1)), 'a single port')
      }
    } finally {
      close()
    }
  })
})
