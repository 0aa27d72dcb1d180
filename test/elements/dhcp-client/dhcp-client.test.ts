// The client under a virtual clock, against a server that answers by hand.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { type DhcpClientOptions, type DhcpEvent, dhcpClientType } from '../../../src/elements/dhcp-client/dhcp-client.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { ArpOperation, emitArp, parseArp } from '../../../src/wire/arp.ts'
import { put32 } from '../../../src/wire/big-endian.ts'
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessage, DhcpOption, type DhcpRepr, emitDhcp, parseDhcp } from '../../../src/wire/dhcp.ts'
import { emitEthernet, parseEthernet } from '../../../src/wire/ethernet.ts'
import { emitIpv4, parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { emitUdp, parseUdp } from '../../../src/wire/udp.ts'
import { VirtualLab } from '../../stack/virtual-lab.ts'
import { hex } from '../../wire/hex.ts'

const MAC = '02:cc:00:00:00:09'
const SERVER_MAC = '02:cc:00:00:00:01'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const ADDRESS = '192.0.2.100'
const SERVER = '192.0.2.1'

interface Sent {
  readonly to: string
  readonly source: string
  readonly destination: string
  readonly message: DhcpRepr
  readonly type: number
}

let net: VirtualLab

function start(options: Partial<DhcpClientOptions> = {}): void {
  const names = ['lan', 'station']
  net = new VirtualLab(
    {
      elements: {
        client: { type: 'dhcp-client', options: { mac: MAC, ...options } },
        ...Object.fromEntries(names.map((name) => [name, { type: 'probe' }]))
      },
      links: names.map((name, port) => ({ a: ['client', port], b: [name, 0] }))
    },
    [dhcpClientType as ElementType<never>]
  )
  net.settle()
}
beforeEach(() => start())

/** Messages that left since the last look; ARP is left out. */
function sent(): Sent[] {
  return net
    .probe('lan')
    .take()
    .filter((bytes) => bytes[12] === 8 && bytes[13] === 0)
    .map((bytes) => {
      const ip = parseIpv4Header(bytes, 14, bytes.length)!
      const udp = parseUdp(bytes, 34, bytes.length, 14)!
      assert.deepEqual([udp.sourcePort, udp.destinationPort], [DHCP_CLIENT_PORT, DHCP_SERVER_PORT])
      const { destination, source } = parseEthernet(bytes, 0, bytes.length)!
      assert.equal(source, MAC)
      const message = parseDhcp(udp.payload, 0, udp.payload.length)!
      const type = message.options.get(DhcpOption.messageType)![0]!
      return { to: destination, source: ip.source, destination: ip.destination, message, type }
    })
}

/** The one message that left, of this type. */
function one(type: number): Sent {
  const all = sent()
  assert.deepEqual(
    all.map((each) => each.type),
    [type]
  )
  return all[0]!
}

const word = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, value)
  return bytes
}

interface Answer {
  readonly yours?: string
  readonly mac?: string
  readonly toMac?: string
  readonly transaction?: number
  /** Hex; '' leaves an option out. */
  readonly options?: Readonly<Record<number, string>>
  readonly operation?: number
}

/** What a server with a lease of `seconds` answers. */
function answer(to: Sent, type: number, seconds = 3600, more: Answer = {}): Uint8Array {
  const options = new Map<number, Uint8Array>([
    [DhcpOption.messageType, Uint8Array.of(type)],
    [DhcpOption.serverIdentifier, hex('c0000201')],
    [DhcpOption.leaseTime, word(seconds)],
    [DhcpOption.subnetMask, hex('ffffff00')],
    [DhcpOption.routers, hex('c00002fe')]
  ])
  for (const [kind, data] of Object.entries(more.options ?? {})) {
    if (data === '') options.delete(Number(kind))
    else options.set(Number(kind), hex(data))
  }
  const payload = new Uint8Array(600)
  const { operation = 2, yours = ADDRESS, mac = MAC, transaction = to.message.transaction } = more
  const length = emitDhcp({ ...to.message, operation, yours, mac, transaction, options }, payload, 0)
  const bytes = new Uint8Array(42 + length)
  emitEthernet({ destination: more.toMac ?? MAC, source: SERVER_MAC, type: 0x0800 }, bytes, 0)
  emitIpv4({ source: SERVER, destination: yours, protocol: 17, payloadLength: 8 + length }, bytes, 14)
  const udp = { sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT, payload: payload.subarray(0, length) }
  emitUdp(udp, bytes, 34, 14)
  return bytes
}

function say(bytes: Uint8Array): void {
  net.probe('lan').inject(bytes)
  net.settle()
}
const events = (): DhcpEvent[] => net.events.splice(0).map(({ event }) => event as DhcpEvent)
const state = (): string => net.command<{ state: string }>('client', 'state', null).state

/** From the discovery to the lease. */
function lease(seconds = 3600): void {
  say(answer(one(DhcpMessage.discover), DhcpMessage.offer, seconds))
  say(answer(one(DhcpMessage.request), DhcpMessage.ack, seconds))
  net.run(600)
  net.probe('lan').take()
}

describe('a lease', () => {
  test('discover, offer, request, acknowledgment, probes, bound', () => {
    const discover = one(DhcpMessage.discover)
    assert.deepEqual([discover.to, discover.source, discover.destination], [BROADCAST, '0.0.0.0', '255.255.255.255'])
    assert.equal(discover.message.mac, MAC)
    assert.deepEqual(discover.message.options.get(DhcpOption.clientIdentifier), hex('01 02cc00000009'))
    assert.equal(discover.message.options.get(DhcpOption.requestedAddress), undefined)
    say(answer(discover, DhcpMessage.offer))
    const request = one(DhcpMessage.request)
    assert.deepEqual([request.to, request.source, request.message.client], [BROADCAST, '0.0.0.0', '0.0.0.0'])
    assert.equal(request.message.transaction, discover.message.transaction)
    assert.deepEqual(request.message.options.get(DhcpOption.requestedAddress), hex('c0000264'))
    assert.deepEqual(request.message.options.get(DhcpOption.serverIdentifier), hex('c0000201'))
    say(answer(request, DhcpMessage.ack))
    net.run(600)
    const probes = net.probe('lan').take()
    assert.deepEqual(
      probes.map((bytes) => parseArp(bytes, 14, bytes.length)),
      Array.from({ length: 2 }, () => ({
        operation: ArpOperation.request,
        senderMac: MAC,
        senderIp: '0.0.0.0',
        targetMac: '00:00:00:00:00:00',
        targetIp: ADDRESS
      }))
    )
    assert.deepEqual(events(), [
      { kind: 'bound', address: `${ADDRESS}/24`, routers: ['192.0.2.254'], nameServers: [], server: SERVER, leaseSeconds: 3600 }
    ])
    assert.deepEqual(net.command('client', 'state', null), { state: 'bound', address: ADDRESS })
  })

  test('host name and wanted address go into the messages', () => {
    start({ hostName: 'loom', requested: '192.0.2.77' })
    const { message } = one(DhcpMessage.discover)
    assert.deepEqual(message.options.get(DhcpOption.hostName), hex('6c6f6f6d'))
    assert.deepEqual(message.options.get(DhcpOption.requestedAddress), hex('c000024d'))
  })

  test('nobody answers: again after 1, 2, 4, 8, 16, 16 s, and it is told once', () => {
    const times: number[] = []
    for (let ms = 0; ms < 60_000; ms += 100) {
      if (sent().length > 0) times.push(ms / 1000)
      net.run(100)
    }
    const waits = times.slice(1).map((time, i) => Math.round(time - times[i]!))
    for (const [i, expected] of [1, 2, 4, 8, 16].entries()) assert.ok(Math.abs(waits[i]! - expected) <= expected / 10 + 1, String(waits))
    assert.deepEqual(events(), [{ kind: 'silent' }])
  })

  test('an offer that is not followed by an acknowledgment: three requests, then a new discovery', () => {
    say(answer(one(DhcpMessage.discover), DhcpMessage.offer))
    net.run(9000)
    const types = sent().map(({ type }) => type)
    assert.deepEqual(types.slice(0, 4), [DhcpMessage.request, DhcpMessage.request, DhcpMessage.request, DhcpMessage.discover])
  })

  test('a refused request begins anew', () => {
    say(answer(one(DhcpMessage.discover), DhcpMessage.offer))
    say(answer(one(DhcpMessage.request), DhcpMessage.nak))
    assert.equal(one(DhcpMessage.discover).message.options.has(DhcpOption.requestedAddress), false)
    assert.deepEqual(events(), [])
  })

  test('an address that somebody has is declined, and not asked for before 10 s', () => {
    say(answer(one(DhcpMessage.discover), DhcpMessage.offer))
    say(answer(one(DhcpMessage.request), DhcpMessage.ack))
    const arp = new Uint8Array(42)
    emitEthernet({ destination: MAC, source: '02:cc:00:00:00:33', type: 0x0806 }, arp, 0)
    emitArp(
      { operation: ArpOperation.reply, senderMac: '02:cc:00:00:00:33', senderIp: ADDRESS, targetMac: MAC, targetIp: '0.0.0.0' },
      arp,
      14
    )
    say(arp)
    const { message } = one(DhcpMessage.decline)
    assert.deepEqual(message.options.get(DhcpOption.requestedAddress), hex('c0000264'))
    assert.deepEqual(events(), [{ kind: 'taken', address: ADDRESS, mac: '02:cc:00:00:00:33' }])
    assert.equal(net.probe('station').take().length, 1, 'the router hears it too')
    net.run(9900)
    assert.deepEqual(sent(), [])
    net.run(200)
    one(DhcpMessage.discover)
  })
})

describe('keeping it', () => {
  test('renewed by unicast at half of the time, with news only when something changed', () => {
    lease()
    events()
    net.run(1_799_000)
    assert.deepEqual(sent(), [])
    net.run(1000)
    const request = one(DhcpMessage.request)
    assert.deepEqual([request.to, request.source, request.destination, request.message.client], [SERVER_MAC, ADDRESS, SERVER, ADDRESS])
    assert.equal(request.message.options.has(DhcpOption.requestedAddress), false)
    assert.equal(request.message.options.has(DhcpOption.serverIdentifier), false)
    say(answer(request, DhcpMessage.ack))
    assert.deepEqual(events(), [])
    net.run(1_800_000)
    say(answer(one(DhcpMessage.request), DhcpMessage.ack, 3600, { options: { [DhcpOption.routers]: 'c00002fd' } }))
    assert.deepEqual(
      events().map((event) => event.kind === 'bound' && event.routers),
      [['192.0.2.253']]
    )
    assert.equal(state(), 'bound')
  })

  test('the server is silent: everybody is asked from 7/8 on, and at the end the address is given up and asked for again', () => {
    lease()
    events()
    net.run(3_149_000)
    assert.deepEqual(new Set(sent().map(({ to }) => to)), new Set([SERVER_MAC]))
    net.run(450_000)
    const late = sent()
    assert.deepEqual(new Set(late.map(({ to, destination }) => `${to} ${destination}`)), new Set([`${BROADCAST} 255.255.255.255`]))
    assert.ok(late.every(({ message, type }) => type === DhcpMessage.request && message.client === ADDRESS))
    assert.deepEqual(events(), [])
    net.run(600)
    assert.deepEqual(events(), [{ kind: 'lost', address: ADDRESS, reason: 'no server has renewed it' }])
    assert.deepEqual(one(DhcpMessage.discover).message.options.get(DhcpOption.requestedAddress), hex('c0000264'))
  })

  test('a refusal takes the address away at once', () => {
    lease()
    events()
    net.run(1_800_000)
    say(answer(one(DhcpMessage.request), DhcpMessage.nak))
    assert.deepEqual(events(), [{ kind: 'lost', address: ADDRESS, reason: `the server ${SERVER} refused it` }])
    one(DhcpMessage.discover)
  })

  test('times of the server, and a lease for ever', () => {
    say(answer(one(DhcpMessage.discover), DhcpMessage.offer))
    const times = { [DhcpOption.renewalTime]: '00000064', [DhcpOption.rebindingTime]: '000000c8' }
    say(answer(one(DhcpMessage.request), DhcpMessage.ack, 3600, { options: times }))
    net.run(101_000)
    say(answer(sent().at(-1)!, DhcpMessage.ack, -1))
    assert.equal(state(), 'bound')
    net.run(1e9)
    assert.deepEqual(sent(), [])
  })
})

describe('what is not for it', () => {
  test('everything else passes, both ways', () => {
    const discover = one(DhcpMessage.discover)
    const offer = answer(discover, DhcpMessage.offer)
    const otherPort = answer(discover, DhcpMessage.offer)
    otherPort[37] = 69
    const others = [
      answer(discover, DhcpMessage.offer, 3600, { toMac: '02:cc:00:00:00:44' }),
      answer(discover, DhcpMessage.offer, 3600, { mac: '02:cc:00:00:00:44', toMac: BROADCAST }),
      answer(discover, DhcpMessage.offer, 3600, { operation: 1 }),
      otherPort,
      offer.subarray(0, 100)
    ]
    for (let length = 14; length < offer.length; length += 7) others.push(offer.subarray(0, length))
    for (const bytes of others) {
      say(bytes)
      assert.deepEqual(net.probe('station').take(), [Uint8Array.from(bytes)])
      net.probe('station').inject(bytes)
      net.settle()
      assert.deepEqual(net.probe('lan').take(), [Uint8Array.from(bytes)])
    }
    assert.equal(state(), 'selecting')
  })

  test('answers that nobody waits for, or that no station can use, are counted and change nothing', () => {
    const discover = one(DhcpMessage.discover)
    const wrong = [
      answer(discover, DhcpMessage.ack),
      answer(discover, DhcpMessage.offer, 3600, { transaction: discover.message.transaction ^ 1 }),
      ...['0.0.0.0', '255.255.255.255', '127.0.0.1', '224.0.0.1', '192.0.2.0', '192.0.2.255'].map((yours) =>
        answer(discover, DhcpMessage.offer, 3600, { yours })
      ),
      ...[DhcpOption.subnetMask, DhcpOption.leaseTime, DhcpOption.serverIdentifier].map((kind) =>
        answer(discover, DhcpMessage.offer, 3600, { options: { [kind]: '' } })
      ),
      answer(discover, DhcpMessage.offer, 3600, { options: { [DhcpOption.subnetMask]: 'ff00ff00' } }),
      answer(discover, DhcpMessage.offer, 3600, { options: { [DhcpOption.messageType]: '' } })
    ]
    for (const bytes of wrong) say(bytes)
    assert.equal(state(), 'selecting')
    assert.deepEqual(net.counters('client'), { sent: 1, received: 0, ignored: wrong.length })
    assert.deepEqual(net.drops('client'), { 'dhcp-client.taken': wrong.length })
    assert.equal(net.engine.frames.inUse, 0)
  })

  test('a damaged answer passes: whoever it is for will see', () => {
    const offer = answer(one(DhcpMessage.discover), DhcpMessage.offer)
    offer[60]! ^= 1
    say(offer)
    assert.equal(net.probe('station').take().length, 1)
    assert.equal(state(), 'selecting')
  })
})
