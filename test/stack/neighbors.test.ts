/** ARP and neighbor discovery of a host, frame by frame: a probe is its neighbor. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ElementType } from '../../src/engine/element.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { formatMac, linkLocalFromMac, macForIpv6Multicast, parseIpv6, parseMac, solicitedNode } from '../../src/wire/address.ts'
import { emitArp, parseArp } from '../../src/wire/arp.ts'
import { EtherType, emitEthernet, parseEthernet } from '../../src/wire/ethernet.ts'
import { parseIcmp } from '../../src/wire/icmp.ts'
import { emitIpv6, parseIpv6Header } from '../../src/wire/ipv6.ts'
import { emitNeighborDiscovery, type NeighborRepr, parseNeighborDiscovery } from '../../src/wire/neighbor-discovery.ts'
import { VirtualLab } from './virtual-lab.ts'

const HOST = '02:cc:00:00:00:02'
const PEER = '02:cc:00:00:00:01'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const NOBODY = '00:00:00:00:00:00'

class Neighbor {
  readonly net = new VirtualLab(
    {
      elements: { host: { type: 'host', options: { mac: HOST, addresses: ['192.0.2.2/24', '2001:db8::2/64'] } }, peer: { type: 'probe' } },
      links: [{ a: ['host', 0], b: ['peer', 0] }]
    },
    [virtualHostType as ElementType<never>]
  )

  send(bytes: Uint8Array): void {
    this.net.probe('peer').inject(bytes)
    this.net.settle()
  }

  arp(operation: number, senderIp: string, targetIp: string, senderMac = PEER, destination = BROADCAST): void {
    const bytes = new Uint8Array(60) // padded to the shortest frame, as on a real wire
    const at = emitEthernet({ destination, source: senderMac, type: EtherType.arp }, bytes, 0)
    emitArp({ operation, senderMac, senderIp, targetMac: operation === 1 ? NOBODY : HOST, targetIp }, bytes, at)
    this.send(bytes)
  }

  discovery(
    kind: NeighborRepr['kind'],
    source: string,
    destination: string,
    target: string,
    change: Partial<NeighborRepr> = {},
    hopLimit = 255
  ): void {
    const repr: NeighborRepr = { kind, target, flags: 0, linkLayer: source === '::' ? null : PEER, ...change }
    const bytes = new Uint8Array(14 + 40 + 32)
    const multicast = formatMac(macForIpv6Multicast(parseIpv6(destination)))
    emitEthernet({ destination: destination.startsWith('ff') ? multicast : HOST, source: PEER, type: EtherType.ipv6 }, bytes, 0)
    const payloadLength = source === '::' ? 24 : 32
    emitIpv6({ source, destination, nextHeader: 58, payloadLength, hopLimit }, bytes, 14)
    emitNeighborDiscovery(repr, bytes, 54, 14)
    this.send(bytes.subarray(0, 54 + payloadLength))
  }

  /** Starts a ping that nobody answers. */
  ping(address: string): void {
    this.net.engine.command('host', 'ping', { address, timeoutMs: 1 }, () => {})
    this.net.settle()
  }

  /** What the host sent, in words. */
  take(): string[] {
    return this.net
      .probe('peer')
      .take()
      .map((frame) => {
        const { destination, type } = parseEthernet(frame, 0, frame.length)!
        const arp = type === EtherType.arp ? parseArp(frame, 14, frame.length) : null
        if (arp !== null) {
          const { operation, senderMac, senderIp, targetMac, targetIp } = arp
          return `arp ${operation} to ${destination}: ${senderIp} ${senderMac} asks or tells ${targetIp} ${targetMac}`
        }
        if (type === EtherType.ipv4) return `${parseIcmp(frame, 34, frame.length)!.kind} to ${destination}`
        const ip = parseIpv6Header(frame, 14, frame.length)!
        const nd = parseNeighborDiscovery(frame, 54, frame.length, 14)
        if (nd === null) return `icmpv6 ${frame[54]} to ${destination}`
        const { kind, target, flags, linkLayer } = nd as NeighborRepr
        return `${kind} ${ip.source} > ${ip.destination} (${destination}) ttl ${ip.hopLimit}: ${target} ${linkLayer} flags ${flags.toString(16)}`
      })
  }

  ends(): void {
    this.net.engine.close()
    assert.equal(this.net.engine.frames.inUse, 0)
  }
}

describe('ARP', () => {
  test('a request for us is answered, and its sender remembered', () => {
    const peer = new Neighbor()
    peer.arp(1, '192.0.2.1', '192.0.2.2')
    assert.deepEqual(peer.take(), [`arp 2 to ${PEER}: 192.0.2.2 ${HOST} asks or tells 192.0.2.1 ${PEER}`])
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [`echo-request to ${PEER}`])
    peer.ends()
  })

  test('a probe (RFC 5227) is answered, and nothing learned from it', () => {
    const peer = new Neighbor()
    peer.arp(1, '0.0.0.0', '192.0.2.2')
    assert.deepEqual(peer.take(), [`arp 2 to ${PEER}: 192.0.2.2 ${HOST} asks or tells 0.0.0.0 ${PEER}`])
    peer.ends()
  })

  test('requests for others and announcements of strangers leave no trace', () => {
    const peer = new Neighbor()
    peer.arp(1, '192.0.2.1', '192.0.2.9')
    peer.arp(1, '192.0.2.1', '192.0.2.1')
    peer.arp(2, '192.0.2.1', '192.0.2.1')
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [`arp 1 to ${BROADCAST}: 192.0.2.2 ${HOST} asks or tells 192.0.2.1 ${NOBODY}`])
    peer.ends()
  })

  test('asked once for packets that wait; all go when the answer comes', () => {
    const peer = new Neighbor()
    for (let i = 0; i < 3; i++) peer.ping('192.0.2.1')
    assert.equal(peer.take().length, 1)
    peer.arp(2, '192.0.2.1', '192.0.2.2', PEER, HOST)
    assert.deepEqual(
      peer.take(),
      Array.from({ length: 3 }, () => `echo-request to ${PEER}`)
    )
    peer.ends()
  })

  test('a gratuitous announcement moves a known neighbor', () => {
    const peer = new Neighbor()
    const moved = '02:cc:00:00:00:99'
    peer.arp(1, '192.0.2.1', '192.0.2.2')
    peer.arp(1, '192.0.2.1', '192.0.2.1', moved)
    peer.take()
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [`echo-request to ${moved}`])
    peer.ends()
  })

  test('after 60 s a used neighbor is asked directly, and forgotten when it is silent', () => {
    const peer = new Neighbor()
    const request = (to: string): string => `arp 1 to ${to}: 192.0.2.2 ${HOST} asks or tells 192.0.2.1 ${NOBODY}`
    peer.arp(1, '192.0.2.1', '192.0.2.2')
    peer.net.run(59_000)
    peer.take()
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [`echo-request to ${PEER}`])
    peer.net.run(2000)
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [request(PEER), `echo-request to ${PEER}`])
    peer.net.run(3000)
    assert.deepEqual(peer.take(), [request(PEER), request(PEER)])
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [request(BROADCAST)])
    peer.ends()
  })

  test('no more than 128 packets wait for one neighbor', () => {
    const peer = new Neighbor()
    for (let i = 0; i < 130; i++) peer.ping('192.0.2.1')
    assert.equal(peer.net.drops('host')['stack.neighborQueueFull'], 2)
    peer.ends()
  })

  test('1,100 neighbors: the oldest makes room', () => {
    const peer = new Neighbor()
    for (let i = 0; i < 1100; i++) {
      peer.arp(1, `192.0.2.1`, '192.0.2.2')
      peer.arp(1, `10.${i >> 8}.${i & 255}.1`, '192.0.2.2')
    }
    peer.take()
    peer.ping('192.0.2.1')
    assert.deepEqual(peer.take(), [`echo-request to ${PEER}`])
    peer.ends()
  })

  test('a group address as sender is refused', () => {
    const peer = new Neighbor()
    peer.arp(1, '192.0.2.1', '192.0.2.2', '03:cc:00:00:00:01')
    assert.deepEqual(peer.take(), [])
    assert.deepEqual(peer.net.drops('host'), { 'stack.malformed': 1 })
    peer.ends()
  })
})

describe('neighbor discovery', () => {
  const linkLocal = 'fe80::cc:ff:fe00:2'
  const group = 'ff02::1:ff00:2'

  test('a solicitation is answered, and its sender remembered', () => {
    const peer = new Neighbor()
    peer.discovery('neighbor-solicitation', '2001:db8::1', group, '2001:db8::2')
    assert.deepEqual(peer.take(), [`neighbor-advertisement 2001:db8::2 > 2001:db8::1 (${PEER}) ttl 255: 2001:db8::2 ${HOST} flags 60`])
    peer.discovery('neighbor-solicitation', '2001:db8::1', group, linkLocal)
    assert.deepEqual(peer.take(), [`neighbor-advertisement ${linkLocal} > 2001:db8::1 (${PEER}) ttl 255: ${linkLocal} ${HOST} flags 60`])
    peer.ping('2001:db8::1')
    assert.deepEqual(peer.take(), [`icmpv6 128 to ${PEER}`])
    peer.ends()
  })

  test('duplicate address detection of another is told to everyone', () => {
    const peer = new Neighbor()
    peer.discovery('neighbor-solicitation', '::', group, '2001:db8::2')
    assert.deepEqual(peer.take(), [
      `neighbor-advertisement 2001:db8::2 > ff02::1 (33:33:00:00:00:01) ttl 255: 2001:db8::2 ${HOST} flags 20`
    ])
    peer.ends()
  })

  test('asking goes to the solicited-node group', () => {
    const peer = new Neighbor()
    peer.ping('2001:db8::1')
    const mac = formatMac(macForIpv6Multicast(solicitedNode(parseIpv6('2001:db8::1'))))
    assert.deepEqual(peer.take(), [`neighbor-solicitation 2001:db8::2 > ff02::1:ff00:1 (${mac}) ttl 255: 2001:db8::1 ${HOST} flags 0`])
    peer.discovery('neighbor-advertisement', '2001:db8::1', '2001:db8::2', '2001:db8::1', { flags: 0x60 })
    assert.deepEqual(peer.take(), [`icmpv6 128 to ${PEER}`])
    peer.ends()
  })

  test('what a router forwarded is refused: the hop limit must be 255', () => {
    const peer = new Neighbor()
    peer.discovery('neighbor-solicitation', '2001:db8::1', group, '2001:db8::2', {}, 254)
    assert.deepEqual(peer.take(), [])
    assert.deepEqual(peer.net.drops('host'), { 'stack.malformed': 1 })
    peer.ends()
  })

  test('solicitations for others are not answered', () => {
    const peer = new Neighbor()
    peer.discovery('neighbor-solicitation', '2001:db8::1', group, '2001:db8::9')
    assert.deepEqual(peer.take(), [])
    peer.ends()
  })

  test('the link-local address is that of the MAC', () => {
    assert.deepEqual(linkLocalFromMac(parseMac(HOST)), parseIpv6(linkLocal))
  })
})
