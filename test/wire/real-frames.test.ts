import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emitArp, parseArp } from '../../src/wire/arp.ts'
import { get16, put16 } from '../../src/wire/big-endian.ts'
import { completeChecksum, completeChecksumView, pseudoHeaderSum } from '../../src/wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, emitEthernet, parseEthernet } from '../../src/wire/ethernet.ts'
import { emitIcmp, parseIcmp } from '../../src/wire/icmp.ts'
import { emitIcmpv6, icmpv6Type, parseIcmpv6, verifyIcmpv6Checksum } from '../../src/wire/icmpv6.ts'
import { checkIpv4Quoted, emitIpv4, IpProtocol, ipv4End, ipv4Payload, parseIpv4Header } from '../../src/wire/ipv4.ts'
import {
  emitIpv6,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6End,
  parseIpv6Header,
  walkIpv6Extensions
} from '../../src/wire/ipv6.ts'
import { emitNeighborDiscovery, parseNeighborDiscovery } from '../../src/wire/neighbor-discovery.ts'
import { emitTcp, parseTcp } from '../../src/wire/tcp.ts'
import { emitUdp, parseUdp } from '../../src/wire/udp.ts'
import { emitVxlan, parseVxlan } from '../../src/wire/vxlan.ts'
import { AT, placed } from './poisoned.ts'
import { realFrames } from './real-frames.ts'

const walk = new Int32Array(IPV6_WALK_LENGTH)

/** Parses the frame at [at, end) layer by layer, emits each layer again into `out`, and returns the layers' reprs. Fails on a null. */
function rebuild(bytes: Uint8Array, at: number, end: number, out: Uint8Array): unknown[] {
  const ethernet = present(parseEthernet(bytes, at, end))
  const ipAt = at + emitEthernet(ethernet, out, at)
  if (ethernet.type === EtherType.arp) {
    const arp = present(parseArp(bytes, ipAt, end))
    emitArp(arp, out, ipAt)
    return [ethernet, arp]
  }
  if (ethernet.type === EtherType.ipv6) {
    const ip = present(parseIpv6Header(bytes, ipAt, end))
    const next = ipAt + emitIpv6(ip, out, ipAt)
    const ipEnd = ipv6End(bytes, ipAt)
    const message = parseNeighborDiscovery(bytes, next, ipEnd, ipAt)
    if (message !== null) {
      emitNeighborDiscovery(message, out, next, ipAt)
      return [ethernet, ip, message]
    }
    const icmp = present(parseIcmpv6(bytes, next, ipEnd, ipAt))
    emitIcmpv6(icmp, out, next, ipAt)
    return [ethernet, ip, icmp]
  }
  const ip = present(parseIpv4Header(bytes, ipAt, end))
  const next = ipAt + emitIpv4(ip, out, ipAt)
  return [ethernet, ip, ...rebuildTransport(ip.protocol, bytes, next, ipv4End(bytes, ipAt), ipAt, out)]
}

function rebuildTransport(protocol: number, bytes: Uint8Array, at: number, end: number, ipAt: number, out: Uint8Array): unknown[] {
  if (protocol === IpProtocol.icmp) {
    const icmp = present(parseIcmp(bytes, at, end))
    emitIcmp(icmp, out, at)
    return [icmp]
  }
  if (protocol === IpProtocol.tcp) {
    const tcp = present(parseTcp(bytes, at, end, ipAt))
    emitTcp(tcp, out, at, ipAt)
    return [tcp]
  }
  const udp = present(parseUdp(bytes, at, end, ipAt))
  emitUdp(udp, out, at, ipAt)
  return [udp]
}

function present<T>(value: T | null): T {
  assert.notEqual(value, null)
  return value as T
}

function rebuilt(frame: Uint8Array): unknown[] {
  const bytes = placed(frame)
  const out = new Uint8Array(bytes.length).fill(0xa5)
  const layers = rebuild(bytes, AT, AT + frame.length, out)
  assert.deepEqual(out, bytes, 'what was emitted differs from what the kernel sent')
  return layers
}

test('what the kernel sent is emitted again byte for byte', async (context) => {
  const { multicastReport: _, neighborSolicitationDad: __, ...plain } = realFrames
  for (const [name, frame] of Object.entries(plain)) await context.test(name, () => void rebuilt(frame))
})

test('an ARP reply and a port unreachable say what tcpdump says', () => {
  assert.deepEqual(rebuilt(realFrames.arpReply)[1], {
    operation: 2,
    senderMac: '02:42:0a:2c:00:03',
    senderIp: '10.44.0.3',
    targetMac: '02:42:0a:2c:00:02',
    targetIp: '10.44.0.2'
  })
  const [, , icmp] = rebuilt(realFrames.portUnreachable) as [unknown, unknown, { kind: string; code: number; quoted: Uint8Array }]
  assert.deepEqual([icmp.kind, icmp.code], ['unreachable', 3])
  assert.ok(checkIpv4Quoted(icmp.quoted, 0, icmp.quoted.length))
  assert.equal(get16(icmp.quoted, ipv4Payload(icmp.quoted, 0) + 2), 9)
})

test('duplicate address detection: an unknown option (the nonce) is passed over', () => {
  const frame = realFrames.neighborSolicitationDad
  assert.deepEqual(parseNeighborDiscovery(frame, 54, frame.length, 14), {
    kind: 'neighbor-solicitation',
    target: 'fe80::42:aff:fe2c:3',
    flags: 0,
    linkLayer: null
  })
})

test('a multicast report is found behind its hop-by-hop header, with a right checksum', () => {
  const frame = realFrames.multicastReport
  assert.ok(walkIpv6Extensions(frame, ETHERNET_HEADER_LENGTH, frame.length, walk))
  assert.deepEqual([walk[IPV6_WALK_PROTOCOL], walk[IPV6_WALK_OFFSET]], [IpProtocol.icmpv6, 62])
  assert.equal(icmpv6Type(frame, 62), 143)
  assert.ok(verifyIcmpv6Checksum(frame, 62, frame.length, 14))
})

test('a VXLAN datagram: outer and inner frame both, byte for byte', () => {
  const [, , udp] = rebuilt(realFrames.vxlanEcho) as [unknown, unknown, { destinationPort: number; payload: Uint8Array }]
  assert.equal(udp.destinationPort, 4789)
  const vxlan = present(parseVxlan(udp.payload, 0, udp.payload.length))
  assert.deepEqual(vxlan, { vni: 256 })
  const header = new Uint8Array(8)
  emitVxlan(vxlan, header, 0)
  assert.deepEqual(header, udp.payload.slice(0, 8))
  assert.equal((rebuilt(udp.payload.slice(8))[2] as { kind: string }).kind, 'echo-request')
})

test('a partial checksum, as a TAP delivers it, is completed to what the kernel computed', () => {
  for (const [frame, protocol, csumOffset] of [
    [realFrames.tcpSyn, IpProtocol.tcp, 16],
    [realFrames.tcpData, IpProtocol.tcp, 16],
    [realFrames.udp, IpProtocol.udp, 6]
  ] as const) {
    const partial = placed(frame)
    put16(partial, AT + 34 + csumOffset, pseudoHeaderSum(partial, AT + 14, protocol, frame.length - 34))
    const other = partial.slice()
    assert.ok(completeChecksum(partial, AT, 34, csumOffset, AT + frame.length))
    assert.deepEqual(partial, placed(frame))
    assert.ok(completeChecksumView(new DataView(other.buffer), AT, 34, csumOffset, AT + frame.length))
    assert.deepEqual(other, placed(frame))
  }
})
