// A rewritten frame is the frame that would have been built with the other addresses, in every byte: checksums are mended from what
// changed and built from scratch.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { AddressMap } from '../../src/replay/address-map.ts'
import { rewriteFrame } from '../../src/replay/rewrite-frame.ts'
import { completeUndoneChecksum } from '../../src/replay/undone-checksum.ts'
import { formatIpv6, parseIpv6, parseMac, solicitedNode } from '../../src/wire/address.ts'
import { emitArp } from '../../src/wire/arp.ts'
import { get16, put16 } from '../../src/wire/big-endian.ts'
import { pseudoHeaderSum } from '../../src/wire/checksum.ts'
import { emitEthernet, setMac } from '../../src/wire/ethernet.ts'
import { emitIcmp } from '../../src/wire/icmp.ts'
import { emitIcmpv6 } from '../../src/wire/icmpv6.ts'
import { emitIpv4, IpProtocol } from '../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../src/wire/ipv6.ts'
import { emitNeighborDiscovery } from '../../src/wire/neighbor-discovery.ts'
import { emitTcp } from '../../src/wire/tcp.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { missing, run, temporaryFolder } from '../capture/judge.ts'
import { pcapOf } from '../io/super-frame.ts'

/** The addresses of two stations. */
interface World {
  macA: string
  macB: string
  a: string
  b: string
  a6: string
  b6: string
}

const OLD: World = {
  macA: '02:cc:00:00:00:01',
  macB: '02:cc:00:00:00:02',
  a: '192.0.2.1',
  b: '192.0.2.2',
  a6: '2001:db8::1',
  b6: '2001:db8::2'
}
const NEW: World = {
  macA: '02:42:ac:14:00:07',
  macB: '02:42:ff:ff:ff:fe',
  a: '198.51.100.77',
  b: '203.0.113.255',
  a6: '2001:db8:ffff:ffff:abcd::77',
  b6: 'fd00::ff:fffe'
}
const MAP = Object.keys(OLD).map((key) => `${OLD[key as keyof World]}=${NEW[key as keyof World]}`)

type Builder = (world: World, payload: Uint8Array) => Uint8Array

const room = (): Uint8Array => new Uint8Array(2048)
const ethernet = ({ macA, macB }: World, type: number, bytes: Uint8Array): number =>
  emitEthernet({ destination: macB, source: macA, type }, bytes, 0)

function ipv4(world: World, protocol: number, body: (bytes: Uint8Array, at: number, ipAt: number) => number, tag = false): Uint8Array {
  const bytes = room()
  let at = ethernet(world, tag ? 0x8100 : 0x0800, bytes)
  if (tag) {
    bytes.set([0, 42, 8, 0], at)
    at += 4
  }
  const header = { source: world.a, destination: world.b, protocol, ttl: 9, id: 77 }
  // The pseudo-header needs the length: once to learn it, once in earnest.
  emitIpv4({ ...header, payloadLength: 0 }, bytes, at)
  const length = body(bytes, at + 20, at)
  emitIpv4({ ...header, payloadLength: length }, bytes, at)
  body(bytes, at + 20, at)
  return bytes.slice(0, at + 20 + length)
}

function ipv6(
  world: World,
  protocol: number,
  body: (bytes: Uint8Array, at: number, ipAt: number) => number,
  destination = world.b6
): Uint8Array {
  const bytes = room()
  const at = ethernet(world, 0x86dd, bytes)
  const header = { source: world.a6, destination, nextHeader: protocol, hopLimit: 255 }
  emitIpv6({ ...header, payloadLength: 0 }, bytes, at)
  const length = body(bytes, at + 40, at)
  emitIpv6({ ...header, payloadLength: length }, bytes, at)
  body(bytes, at + 40, at)
  return bytes.slice(0, at + 40 + length)
}

const tcp = (payload: Uint8Array) => (bytes: Uint8Array, at: number, ipAt: number) =>
  emitTcp(
    { sourcePort: 1, destinationPort: 2, sequence: 3, acknowledgment: 4, flags: 0x18, window: 5, urgent: 0, options: {}, payload },
    bytes,
    at,
    ipAt
  )
const udp = (payload: Uint8Array) => (bytes: Uint8Array, at: number, ipAt: number) =>
  emitUdp({ sourcePort: 1, destinationPort: 2, payload }, bytes, at, ipAt)

const BUILDERS: Readonly<Record<string, Builder>> = {
  arp: (world) => {
    const bytes = room()
    const at = ethernet(world, 0x0806, bytes)
    emitArp({ operation: 2, senderMac: world.macA, senderIp: world.a, targetMac: world.macB, targetIp: world.b }, bytes, at)
    return bytes.slice(0, 60)
  },
  'tcp over IPv4': (world, payload) => ipv4(world, 6, tcp(payload)),
  'tcp over IPv4 in a VLAN': (world, payload) => ipv4(world, 6, tcp(payload), true),
  'udp over IPv4': (world, payload) => ipv4(world, 17, udp(payload)),
  'udp without a checksum': (world, payload) =>
    ipv4(world, 17, (bytes, at) => emitUdp({ sourcePort: 1, destinationPort: 2, payload }, bytes, at, -1)),
  echo: (world, data) => ipv4(world, 1, (bytes, at) => emitIcmp({ kind: 'echo-request', id: 1, sequence: 2, data }, bytes, at)),
  'an ICMP error': (world, payload) => {
    const quoted = ipv4({ ...world, a: world.b, b: world.a }, 17, udp(payload)).slice(14)
    return ipv4(world, 1, (bytes, at) => emitIcmp({ kind: 'unreachable', code: 3, word: 0, quoted }, bytes, at))
  },
  'an ICMP error that quotes eight bytes of TCP': (world, payload) => {
    const quoted = ipv4({ ...world, a: world.b, b: world.a }, 6, tcp(payload)).slice(14, 14 + 28)
    return ipv4(world, 1, (bytes, at) => emitIcmp({ kind: 'time-exceeded', code: 0, word: 0, quoted }, bytes, at))
  },
  'tcp over IPv6': (world, payload) => ipv6(world, 6, tcp(payload)),
  'udp over IPv6': (world, payload) => ipv6(world, 17, udp(payload)),
  echo6: (world, data) => ipv6(world, 58, (bytes, at, ip) => emitIcmpv6({ kind: 'echo-reply', id: 1, sequence: 2, data }, bytes, at, ip)),
  'an ICMPv6 error': (world, payload) => {
    const quoted = ipv6({ ...world, a6: world.b6, b6: world.a6 }, 17, udp(payload)).slice(14)
    return ipv6(world, 58, (bytes, at, ip) => emitIcmpv6({ kind: 'packet-too-big', code: 0, word: 1280, quoted }, bytes, at, ip))
  },
  'a neighbor advertisement': (world) =>
    ipv6(world, 58, (bytes, at, ip) =>
      emitNeighborDiscovery({ kind: 'neighbor-advertisement', target: world.a6, flags: 0x60, linkLayer: world.macA }, bytes, at, ip)
    ),
  'a neighbor solicitation': (world) => {
    const group = formatIpv6(solicitedNode(parseIpv6(world.b6)))
    const frame = ipv6(
      world,
      58,
      (bytes, at, ip) =>
        emitNeighborDiscovery({ kind: 'neighbor-solicitation', target: world.b6, flags: 0, linkLayer: world.macA }, bytes, at, ip),
      group
    )
    frame.set([0x33, 0x33, 0xff, ...parseIpv6(group).slice(13)], 0)
    return frame
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

for (const [name, build] of Object.entries(BUILDERS)) {
  test(`rewritten is as built anew: ${name}`, () => {
    const random = new Random(name)
    for (let round = 0; round < 50; round++) {
      const payload = Uint8Array.from({ length: random.below(80) }, () => random.below(256))
      const frame = build(OLD, payload)
      rewriteFrame(frame, new AddressMap(MAP))
      assert.equal(text(frame), text(build(NEW, payload)))
    }
  })
}

test('tshark finds no wrong checksum in what was rewritten', { skip: missing('tshark') }, (t) => {
  const random = new Random(9)
  const frames = Object.values(BUILDERS).map((build) =>
    build(
      OLD,
      Uint8Array.from({ length: 33 }, () => random.below(256))
    )
  )
  for (const frame of frames) rewriteFrame(frame, new AddressMap(MAP))
  const file = path.join(temporaryFolder(t), 'rewritten.pcap')
  writeFileSync(file, pcapOf(frames))
  const fields = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status', 'icmp.checksum.status', 'icmpv6.checksum.status']
  const checked = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`])
  const columns = [...fields, '_ws.malformed'].flatMap((field) => ['-e', field])
  const output = run('tshark', ['-n', ...checked, '-r', file, '-T', 'fields', '-E', 'separator=|', ...columns])
  const rows = output
    .trimEnd()
    .split('\n')
    .map((line) => line.split('|'))
  assert.equal(rows.length, frames.length)
  // 0: bad.
  assert.ok(rows.flat().filter((field) => field === '1').length > 8, 'checksums were verified')
  for (const row of rows) assert.ok(!row.some((field) => field.split(',').includes('0')), row.join('|'))
})

test('whole prefixes, host bits kept; a single address before its prefix', () => {
  const map = new AddressMap([
    '10.0.0.0/8=172.16.0.0/8',
    '10.1.2.0/23=192.168.4.0/23',
    '10.1.2.3=1.1.1.1',
    '2001:db8::/33=fd00:1:8000::/33'
  ])
  const mapped = (...bytes: number[]): number[] | null => {
    const found = map.find(Uint8Array.from([9, ...bytes]), 1, bytes.length)
    return found && [...found]
  }
  assert.deepEqual(mapped(10, 9, 8, 7), [172, 9, 8, 7])
  assert.deepEqual(mapped(10, 1, 3, 7), [192, 168, 5, 7])
  assert.deepEqual(mapped(10, 1, 2, 3), [1, 1, 1, 1])
  assert.equal(mapped(11, 1, 2, 3), null)
  const six = parseIpv6('2001:db8:1234::5')
  assert.equal(formatIpv6(map.find(six, 0, 16)!), 'fd00:1:9234::5')
  assert.equal(map.find(parseIpv6('2001:db8:8000::'), 0, 16), null)
})

test('rules that cannot be are refused with the rule', () => {
  const cases: [string[], RegExp][] = [
    [['10.0.0.1'], /map '10.0.0.1': write OLD=NEW/],
    [['10.0.0.1=10.0.0.2=10.0.0.3'], /write OLD=NEW/],
    [['10.0.0.1=2001:db8::1'], /both sides must be of one kind/],
    [['10.0.0.0/8=10.0.0.0/9'], /both prefixes must have one length/],
    [['10.0.0.0/33=10.0.0.0/33'], /'10.0.0.0\/33' is no MAC/],
    [['10.0.0.0/x=10.0.0.0/8'], /is no MAC/],
    [['02:00:00:00:00:01/8=02:00:00:00:00:02/8'], /is no MAC/],
    [['host=10.0.0.1'], /'host' is no MAC/],
    [['10.0.0.1=10.0.0.2', '10.0.0.1=10.0.0.3'], /another rule/]
  ]
  for (const [rules, message] of cases) assert.throws(() => new AddressMap(rules), { code: 'invalid', message })
})

test('whatever the bytes: nothing is thrown, and nothing behind the end is read or written', () => {
  const random = new Random(3)
  const map = new AddressMap([...MAP, '0.0.0.0/1=128.0.0.0/1', '::/1=8000::/1'])
  const frames = Object.values(BUILDERS).map((build) => build(OLD, new Uint8Array(20)))
  for (let round = 0; round < 20_000; round++) {
    const whole = Uint8Array.from(frames[random.below(frames.length)])
    for (let change = random.below(4); change > 0; change--) whole[random.below(whole.length)] = random.below(256)
    const length = random.below(whole.length + 1)
    const copy = Uint8Array.from(whole)
    const frame = copy.subarray(0, length)
    completeUndoneChecksum(frame)
    rewriteFrame(frame, map)
    assert.deepEqual(copy.subarray(length), whole.subarray(length))
  }
})

test('a checksum that is only begun is completed, a wrong one stays wrong', () => {
  for (const build of [
    BUILDERS['tcp over IPv4']!,
    BUILDERS['udp over IPv4']!,
    BUILDERS['tcp over IPv4 in a VLAN']!,
    BUILDERS['udp over IPv6']!
  ]) {
    const right = build(OLD, Uint8Array.of(1, 2, 3, 4, 5))
    const isTagged = get16(right, 12) === 0x8100
    const ip = isTagged ? 18 : 14
    const isIpv4 = right[ip] >> 4 === 4
    const protocol = isIpv4 ? right[ip + 9] : right[ip + 6]
    const transport = ip + (isIpv4 ? 20 : 40)
    const field = transport + (protocol === IpProtocol.tcp ? 16 : 6)
    const begun = Uint8Array.from(right)
    put16(begun, field, pseudoHeaderSum(begun, ip, protocol, begun.length - transport))
    assert.equal(completeUndoneChecksum(begun), true)
    assert.equal(text(begun), text(right))
    const wrong = Uint8Array.from(right)
    put16(wrong, field, get16(right, field) ^ 0x0101)
    const before = text(wrong)
    assert.equal(completeUndoneChecksum(wrong), false)
    assert.equal(text(wrong), before)
  }
  const mac = new Uint8Array(6)
  const { hi, lo } = parseMac(OLD.macA)
  setMac(mac, 0, hi, lo)
  assert.equal(completeUndoneChecksum(mac), false)
})
