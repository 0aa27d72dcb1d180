import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { filterType } from '../../../src/elements/filter/filter.ts'
import { FilterDrop } from '../../../src/elements/filter/filter-drop.ts'
import type { FilterOptions } from '../../../src/elements/filter/filter-options.ts'
import { dropReasons } from '../../../src/engine/drop-reason.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { ArpOperation, emitArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { TestBench } from '../../engine/test-bench.ts'
import { type PacketFields, packet } from '../divert/divert-bench.ts'
import { fragmentOf, pattern } from '../fragment/fragment-frames.ts'

const GATEWAY = '02:cc:00:00:00:01'
const ME = '02:cc:00:00:00:02'
const OTHER = '02:cc:00:00:00:03'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const MINE = '192.0.2.2'
const MINE6 = '2001:db8::2'
const SOURCES: FilterOptions = { gateway: GATEWAY, mac: ME, sources: [MINE, MINE6, '198.51.100.64/26', '2001:db8:7::/48'] }

class FilterBench extends TestBench {
  constructor(options: FilterOptions) {
    super({ types: [filterType as ElementType<never>] })
    this.set(options)
  }

  set(options: FilterOptions): void {
    this.configure({ filter: { type: 'filter', options }, endpoint: { type: 'test-port' }, network: { type: 'test-port' } }, [
      { a: ['filter', 0], b: ['endpoint', 0] },
      { a: ['filter', 1], b: ['network', 0] }
    ])
  }

  /** 'passes', or the reason. The command `explain` must say the same. */
  judge(from: 'endpoint' | 'network', frame: Uint8Array): string {
    const before = this.counters('filter').drops
    const explained = this.command('filter', 'explain', { port: from === 'endpoint' ? 0 : 1, frame }) as { passes: boolean; reason: string }
    this.port(from).send(frame)
    this.run()
    const arrived = this.port(from === 'endpoint' ? 'network' : 'endpoint').take()
    const reason = Object.entries(this.counters('filter').drops).find(([name, count]) => count !== before[name])?.[0]
    assert.equal(explained.passes, arrived.length === 1)
    if (explained.passes) assert.deepEqual(arrived, [frame])
    else assert.equal(explained.reason, reason)
    return reason ?? 'passes'
  }
}

/** A packet from the endpoint; its MAC as source. */
function mine(fields: Partial<PacketFields>): Uint8Array {
  return packet({ source: MINE, destination: '203.0.113.5', mac: GATEWAY, ...fields })
}

/** A packet that comes in from a MAC. */
function from(mac: string, fields: Partial<PacketFields>): Uint8Array {
  const frame = packet({ source: '192.0.2.3', destination: MINE, mac: ME, ...fields })
  frame.set(
    mac.split(':').map((byte) => Number.parseInt(byte, 16)),
    6
  )
  return frame
}

function arp(senderIp: string, destination = BROADCAST): Uint8Array {
  const bytes = new Uint8Array(42)
  emitEthernet({ destination, source: ME, type: EtherType.arp }, bytes, 0)
  emitArp({ operation: ArpOperation.reply, senderMac: ME, senderIp, targetMac: '00:00:00:00:00:00', targetIp: '192.0.2.1' }, bytes, 14)
  return bytes
}

/** The frame with tags, the outer one first. */
function tagged(frame: Uint8Array, ...tags: (readonly [tpid: number, tci: number])[]): Uint8Array {
  const inserted = tags.flatMap(([tpid, tci]) => [tpid >> 8, tpid & 0xff, tci >> 8, tci & 0xff])
  return Uint8Array.of(...frame.subarray(0, 12), ...inserted, ...frame.subarray(12))
}

/** ICMPv6 of a type, with an address where neighbor discovery has its target. */
function icmpv6(type: number, source: string, target: string, mac = '33:33:00:00:00:01'): Uint8Array {
  const payload = new Uint8Array(24)
  payload[0] = type
  payload.set(packet({ source, destination: target }).subarray(38, 54), 8)
  return packet({ source, destination: 'ff02::1', mac, protocol: IpProtocol.icmpv6, payload })
}

test('without options everything passes but runts', () => {
  const bench = new FilterBench({})
  assert.equal(bench.judge('endpoint', mine({ source: '203.0.113.1' })), 'passes')
  assert.equal(bench.judge('network', from(OTHER, {})), 'passes')
  assert.equal(bench.judge('endpoint', new Uint8Array(13)), 'filter.runt')
  assert.equal(bench.judge('network', new Uint8Array(0)), 'filter.runt')
  assert.deepEqual(bench.counters('filter').counters, { fromEndpoint: 2, fromNetwork: 2, refused: 2 })
})

describe('sources of packets', () => {
  test('to the gateway: only the endpoint’s own', () => {
    const bench = new FilterBench(SOURCES)
    for (const source of [MINE, '198.51.100.64', '198.51.100.127'])
      assert.equal(bench.judge('endpoint', mine({ source })), 'passes', source)
    for (const source of ['192.0.2.3', '198.51.100.63', '198.51.100.128', '0.0.0.0', '127.0.0.1']) {
      assert.equal(bench.judge('endpoint', mine({ source })), 'filter.spoofedSource', source)
    }
    const to6 = { destination: '2001:db8:ffff::1' }
    for (const source of [MINE6, '2001:db8:7:1::9', 'fe80::2'])
      assert.equal(bench.judge('endpoint', mine({ source, ...to6 })), 'passes', source)
    for (const source of ['2001:db8::3', '2001:db8:8::1', '::', '::1']) {
      assert.equal(bench.judge('endpoint', mine({ source, ...to6 })), 'filter.spoofedSource', source)
    }
  })
  test('to others only with `strict`', () => {
    const bench = new FilterBench(SOURCES)
    const frames = [mine({ source: '192.0.2.3', mac: OTHER }), mine({ source: '2001:db8::3', destination: '2001:db8::4', mac: OTHER })]
    for (const frame of frames) assert.equal(bench.judge('endpoint', frame), 'passes')
    bench.set({ ...SOURCES, strict: true })
    for (const frame of frames) assert.equal(bench.judge('endpoint', frame), 'filter.spoofedSource')
    assert.equal(bench.judge('endpoint', mine({ source: '0.0.0.0', destination: '255.255.255.255', mac: BROADCAST })), 'passes', 'DHCP')
    assert.equal(bench.judge('endpoint', mine({ source: '::', destination: 'ff02::16', mac: '33:33:00:00:00:16' })), 'passes')
    assert.equal(bench.judge('endpoint', mine({ mac: OTHER })), 'passes')
  })
  test('what comes from the network is not judged', () => {
    const bench = new FilterBench({ ...SOURCES, strict: true })
    assert.equal(bench.judge('network', from(OTHER, { source: '203.0.113.77' })), 'passes')
  })
  test('no endpoint is the gateway', () => {
    const bench = new FilterBench({ gateway: GATEWAY })
    assert.equal(bench.judge('endpoint', from(GATEWAY, { mac: OTHER })), 'filter.gatewayMac')
    assert.equal(bench.judge('endpoint', from('02:cd:00:00:00:01', { mac: OTHER })), 'passes')
  })
  test('no truncation is read beyond the frame; what is judged is whole', () => {
    const bench = new FilterBench({ ...SOURCES, strict: true })
    for (const frame of [
      mine({}).subarray(0, 34),
      mine({ source: MINE6, destination: '2001:db8::9' }).subarray(0, 54),
      arp(MINE),
      icmpv6(136, MINE6, MINE6)
    ]) {
      for (let length = 14; length < frame.length; length++)
        assert.equal(bench.judge('endpoint', frame.subarray(0, length)), 'filter.malformed')
    }
  })
  test('other protocols pass', () => {
    const frame = mine({})
    frame[12] = 0x88
    assert.equal(new FilterBench({ ...SOURCES, strict: true }).judge('endpoint', frame), 'passes')
  })
})

describe('claims', () => {
  test('ARP: own addresses and probes', () => {
    const bench = new FilterBench(SOURCES)
    for (const sender of [MINE, '198.51.100.70', '0.0.0.0']) assert.equal(bench.judge('endpoint', arp(sender)), 'passes')
    for (const destination of [BROADCAST, OTHER, GATEWAY]) {
      assert.equal(bench.judge('endpoint', arp('192.0.2.1', destination)), 'filter.falseClaim')
      assert.equal(bench.judge('endpoint', arp('192.0.2.3', destination)), 'filter.falseClaim')
    }
  })
  test('priority tags hide no claim and no false source: receivers take them off', () => {
    const bench = new FilterBench(SOURCES)
    const advertisement = icmpv6(136, MINE6, '2001:db8::1')
    for (const tags of [[0x8100], [0x88a8], [0x8100, 0x8100], [0x88a8, 0x8100]]) {
      const judge = (frame: Uint8Array): string => bench.judge('endpoint', tagged(frame, ...tags.map((tpid) => [tpid, 0xe000] as const)))
      assert.equal(judge(arp('192.0.2.1')), 'filter.falseClaim')
      assert.equal(judge(advertisement), 'filter.falseClaim')
      assert.equal(judge(mine({ source: '192.0.2.3' })), 'filter.spoofedSource')
      assert.equal(judge(arp(MINE)), 'passes')
      assert.equal(judge(mine({})), 'passes')
      const whole = tagged(arp(MINE), ...tags.map((tpid) => [tpid, 0] as const))
      for (let length = 14; length < whole.length; length++)
        assert.equal(bench.judge('endpoint', whole.subarray(0, length)), 'filter.malformed', `${length}`)
    }
    // A VLAN of the endpoints' own is not this network.
    assert.equal(bench.judge('endpoint', tagged(arp('192.0.2.1'), [0x8100, 5])), 'passes')
    assert.equal(bench.judge('endpoint', tagged(arp('192.0.2.1'), [0x8100, 0], [0x8100, 5])), 'passes')
  })
  test('neighbor advertisements: own targets', () => {
    const bench = new FilterBench(SOURCES)
    for (const target of [MINE6, 'fe80::cc:ff:fe00:2', 'fe80::1234', '2001:db8:7::7']) {
      assert.equal(bench.judge('endpoint', icmpv6(136, 'fe80::2', target)), 'passes', target)
    }
    for (const target of ['2001:db8::1', '2001:db8::3', 'fe80::1', 'fe80::cc:ff:fe00:1']) {
      assert.equal(bench.judge('endpoint', icmpv6(136, MINE6, target)), 'filter.falseClaim', target)
      assert.equal(bench.judge('endpoint', icmpv6(136, MINE6, target, OTHER)), 'filter.falseClaim', target)
    }
  })
  test('solicitations: own source; from :: they claim nothing', () => {
    const bench = new FilterBench(SOURCES)
    assert.equal(bench.judge('endpoint', icmpv6(135, MINE6, '2001:db8::1')), 'passes')
    assert.equal(bench.judge('endpoint', icmpv6(135, '::', '2001:db8::1')), 'passes')
    assert.equal(bench.judge('endpoint', icmpv6(135, '2001:db8::1', '2001:db8::3')), 'filter.falseClaim')
    assert.equal(bench.judge('endpoint', icmpv6(133, 'fe80::1', '::')), 'filter.falseClaim')
  })
  test('an extension header hides no claim', () => {
    const hidden = packet({
      source: MINE6,
      destination: 'ff02::1',
      mac: '33:33:00:00:00:01',
      protocol: IpProtocol.destinationOptions,
      payload: Uint8Array.of(IpProtocol.icmpv6, 0, 1, 4, 0, 0, 0, 0, ...icmpv6(136, MINE6, '2001:db8::1').subarray(54))
    })
    assert.equal(new FilterBench(SOURCES).judge('endpoint', hidden), 'filter.falseClaim')
  })
  test('a later fragment claims nothing, whatever its bytes look like; a first one does', () => {
    // A ping of 3,000 bytes filled with 0x88, the type of a neighbor advertisement.
    const data = new Uint8Array(1400).fill(136)
    const piece = (offset: number): Uint8Array =>
      packet({
        source: MINE6,
        destination: '2001:db8::3',
        mac: OTHER,
        protocol: IpProtocol.fragment,
        payload: Uint8Array.of(IpProtocol.icmpv6, 0, offset >> 8, offset & 0xff, 0, 0, 0, 7, ...data)
      })
    for (const options of [SOURCES, { ...SOURCES, strict: true }]) {
      const bench = new FilterBench(options)
      assert.equal(bench.judge('endpoint', piece(1448)), 'passes')
      assert.equal(bench.judge('endpoint', piece(1)), 'filter.falseClaim')
    }
  })
  test('routers: no endpoint is one, whose sources are known', () => {
    for (const type of [134, 137]) {
      assert.equal(new FilterBench({ gateway: GATEWAY }).judge('endpoint', icmpv6(type, 'fe80::2', '::')), 'passes')
      const bench = new FilterBench(SOURCES)
      for (const mac of ['33:33:00:00:00:01', OTHER]) {
        assert.equal(bench.judge('endpoint', icmpv6(type, 'fe80::2', '::', mac)), 'filter.rogueRouter')
        assert.equal(bench.judge('endpoint', tagged(icmpv6(type, 'fe80::2', '::', mac), [0x8100, 0])), 'filter.rogueRouter')
      }
      assert.equal(bench.judge('network', icmpv6(type, 'fe80::1', '::')), 'passes', 'the gateway may be one')
    }
  })
})

describe('icc', () => {
  const TCP = { protocol: IpProtocol.tcp }
  const rule = { address: '192.0.2.3', protocol: 'tcp', port: 80 } as const
  const PEER = { mac: OTHER, destination: '192.0.2.3' }

  test('off: nothing between endpoints but ARP and neighbor discovery; the gateway as ever', () => {
    const bench = new FilterBench({ gateway: GATEWAY, icc: { allow: [] } })
    assert.equal(bench.judge('endpoint', mine(PEER)), 'filter.notLinked')
    assert.equal(bench.judge('network', from(OTHER, {})), 'filter.notLinked')
    assert.equal(bench.judge('network', from(OTHER, { mac: BROADCAST, destination: '255.255.255.255' })), 'filter.notLinked')
    assert.equal(bench.judge('endpoint', mine({ mac: BROADCAST, destination: '255.255.255.255' })), 'passes', 'the gateway may be meant')
    assert.equal(bench.judge('endpoint', mine({})), 'passes')
    assert.equal(bench.judge('network', from(GATEWAY, {})), 'passes')
    assert.equal(bench.judge('endpoint', arp(MINE, OTHER)), 'passes')
    assert.equal(bench.judge('network', arp('192.0.2.3', ME)), 'passes')
    assert.equal(bench.judge('endpoint', icmpv6(136, MINE6, MINE6, OTHER)), 'passes')
    assert.equal(bench.judge('endpoint', icmpv6(128, MINE6, MINE6, OTHER)), 'filter.notLinked')
    const other = mine(PEER)
    other[12] = 0x88
    assert.equal(bench.judge('endpoint', other), 'filter.notLinked')
  })
  test('a rule `out`: to that port of that address, and back', () => {
    const bench = new FilterBench({ gateway: GATEWAY, icc: { allow: [{ direction: 'out', ...rule }] } })
    assert.equal(bench.judge('endpoint', mine({ ...PEER, ...TCP, destinationPort: 80 })), 'passes')
    assert.equal(bench.judge('network', from(OTHER, { ...TCP, sourcePort: 80 })), 'passes')
    assert.equal(bench.judge('endpoint', mine({ ...PEER, ...TCP, destinationPort: 81 })), 'filter.notLinked')
    assert.equal(bench.judge('endpoint', mine({ ...PEER, ...TCP, sourcePort: 80 })), 'filter.notLinked')
    assert.equal(bench.judge('endpoint', mine({ ...PEER, destinationPort: 80 })), 'filter.notLinked', 'UDP')
    assert.equal(bench.judge('endpoint', mine({ mac: OTHER, destination: '192.0.2.4', ...TCP, destinationPort: 80 })), 'filter.notLinked')
    assert.equal(bench.judge('network', from(OTHER, { ...TCP, destinationPort: 80 })), 'filter.notLinked')
    assert.equal(
      bench.judge('endpoint', mine({ ...PEER, protocol: IpProtocol.icmp, payload: new Uint8Array(8) })),
      'filter.notLinked',
      'ping'
    )
  })
  test('a rule `in`: from that address to that port here, and back', () => {
    const bench = new FilterBench({ gateway: GATEWAY, icc: { allow: [{ direction: 'in', ...rule }] } })
    assert.equal(bench.judge('network', from(OTHER, { ...TCP, destinationPort: 80 })), 'passes')
    assert.equal(bench.judge('endpoint', mine({ ...PEER, ...TCP, sourcePort: 80 })), 'passes')
    assert.equal(bench.judge('network', from(OTHER, { source: '192.0.2.4', ...TCP, destinationPort: 80 })), 'filter.notLinked')
    assert.equal(bench.judge('endpoint', mine({ ...PEER, ...TCP, destinationPort: 80 })), 'filter.notLinked')
  })
  test('IPv6', () => {
    const bench = new FilterBench({
      gateway: GATEWAY,
      icc: { allow: [{ direction: 'out', address: '2001:db8::3', protocol: 'udp', port: 53 }] }
    })
    const to = (destination: string, destinationPort: number): Uint8Array =>
      mine({ source: MINE6, destination, destinationPort, mac: OTHER })
    assert.equal(bench.judge('endpoint', to('2001:db8::3', 53)), 'passes')
    assert.equal(bench.judge('endpoint', to('2001:db8::4', 53)), 'filter.notLinked')
    assert.equal(bench.judge('endpoint', to('2001:db8::3', 54)), 'filter.notLinked')
    assert.equal(bench.judge('network', from(OTHER, { source: '2001:db8::3', destination: MINE6, sourcePort: 53 })), 'passes')
  })
  test('later fragments show no port, truncated packets neither', () => {
    const bench = new FilterBench({ gateway: GATEWAY, icc: { allow: [{ direction: 'out', ...rule, protocol: 'udp', port: 80 }] } })
    const payload = pattern(2000)
    payload.set([4, 0, 0, 80], 1000)
    const fragment = fragmentOf(payload, 1000, 2000, { destination: '192.0.2.3' })
    fragment.set(mine(PEER).subarray(0, 12))
    assert.equal(bench.judge('endpoint', fragment), 'filter.notLinked')
    const whole = mine({ ...PEER, destinationPort: 80 })
    assert.equal(bench.judge('endpoint', whole), 'passes')
    for (let length = 14; length < whole.length; length++)
      assert.equal(bench.judge('endpoint', whole.subarray(0, length)), 'filter.notLinked')
  })
})

test('options change in place while frames flow', () => {
  const bench = new FilterBench(SOURCES)
  assert.equal(bench.judge('endpoint', mine({ source: '192.0.2.9' })), 'filter.spoofedSource')
  bench.set({ ...SOURCES, sources: ['192.0.2.9'] })
  assert.equal(bench.judge('endpoint', mine({ source: '192.0.2.9' })), 'passes')
  assert.equal(bench.judge('endpoint', mine({})), 'filter.spoofedSource')
  assert.equal(bench.counters('filter').counters.refused, 2, 'the same element')
  bench.engine.close()
  assert.equal(bench.engine.frames.inUse, 0)
})

test('bad options are refused by value', () => {
  const bad: [unknown, RegExp][] = [
    [{ gateway: 'x' }, /gateway.*"x"/],
    [{ mac: 'y' }, /mac.*"y"/],
    [{ sources: ['1.2.3'] }, /sources.*1\.2\.3/],
    [{ sources: ['192.0.2.0/33'] }, /33/],
    [{ sources: ['2001:db8::/129'] }, /129/],
    [{ icc: { allow: [{ direction: 'up', address: MINE, protocol: 'tcp', port: 1 }] } }, /up/],
    [{ icc: { allow: [{ direction: 'in', address: 'z', protocol: 'tcp', port: 1 }] } }, /"z"/],
    [{ icc: { allow: [{ direction: 'in', address: MINE, protocol: 'icmp', port: 1 }] } }, /icmp/],
    [{ icc: { allow: [{ direction: 'in', address: MINE, protocol: 'udp', port: 65536 }] } }, /65536/]
  ]
  for (const [options, message] of bad) assert.throws(() => new FilterBench(options as FilterOptions), message)
  const bench = new FilterBench({})
  assert.throws(() => bench.command('filter', 'explain', {}), /Uint8Array/)
  assert.throws(() => bench.command('filter', 'stop'), /explain/)
})

test('every reason has a sentence', () => {
  for (const number of Object.values(FilterDrop)) assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
})
