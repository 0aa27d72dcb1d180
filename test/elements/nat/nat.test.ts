// What the NAT does to packets, one kind after the other.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NatDrop, PolicyDrop } from '../../../src/elements/nat/nat-drop.ts'
import type { NatChange, PublishedPort } from '../../../src/elements/nat/nat-options.ts'
import { dropReasons } from '../../../src/engine/drop-reason.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { INTERFACES, NAME, NatBench, WEB } from './nat-bench.ts'
import { echo, icmpError, macs, ROUTER_MAC, STATION_MAC, tcp, udp } from './packets.ts'

const WORLD = '203.0.113.200'

test('every reason has a sentence', () => {
  for (const number of [...Object.values(NatDrop), ...Object.values(PolicyDrop)])
    assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
})

describe('masquerade', () => {
  test('UDP leaves with the address of the uplink and its own port, and the answer comes back', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`, { payload: 20 })), ['2: udp 198.51.100.50:5000 > 203.0.113.200:53'])
    assert.deepEqual(bench.send(2, udp(`${WORLD}:53`, '198.51.100.50:5000', { payload: 33 })), ['0: udp 203.0.113.200:53 > 192.0.2.2:5000'])
    const [flow] = bench.flows()
    assert.deepEqual(
      { ...flow, number: 0 },
      {
        number: 0,
        protocol: 'udp',
        state: null,
        timeout: 30,
        original: { source: '192.0.2.2', destination: WORLD, sourcePort: 5000, destinationPort: 53, packets: 1 },
        reply: { source: WORLD, destination: '198.51.100.50', sourcePort: 53, destinationPort: 5000, packets: 1 },
        ingress: 'a',
        egress: 'up',
        snat: true,
        dnat: false,
        assured: false,
        unreplied: false
      }
    )
    bench.checkBooks()
  })

  test('TCP: the handshake and data in both directions', () => {
    const bench = new NatBench()
    const [here, there, outside] = ['192.0.2.2:40001', `${WORLD}:80`, '198.51.100.50:40001']
    assert.deepEqual(bench.send(0, tcp(here, there, { seq: 100 })), [`2: tcp ${outside} > ${there} S`])
    assert.deepEqual(bench.send(2, tcp(there, outside, { flags: 'SA', seq: 900, ack: 101 })), [`0: tcp ${there} > ${here} SA`])
    assert.deepEqual(bench.send(0, tcp(here, there, { flags: 'A', seq: 101, ack: 901 })), [`2: tcp ${outside} > ${there} A`])
    assert.equal(bench.flows()[0].state, 'ESTABLISHED')
    assert.equal(bench.flows()[0].assured, true)
    assert.deepEqual(bench.send(0, tcp(here, there, { flags: 'PA', seq: 101, ack: 901, payload: 99 })), [`2: tcp ${outside} > ${there} PA`])
    assert.deepEqual(bench.send(2, tcp(there, outside, { flags: 'A', seq: 901, ack: 200 })), [`0: tcp ${there} > ${here} A`])
    bench.checkBooks()
  })

  test('two stations with one source port and one destination: the second one gets another port', () => {
    const bench = new NatBench()
    bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    const [line] = bench.send(0, udp('192.0.2.3:5000', `${WORLD}:53`))
    const port = Number(/^2: udp 198\.51\.100\.50:(\d+) >/.exec(line)?.[1])
    assert.ok(port >= 1024 && port !== 5000, line)
    assert.deepEqual(bench.send(2, udp(`${WORLD}:53`, `198.51.100.50:${port}`)), ['0: udp 203.0.113.200:53 > 192.0.2.3:5000'])
    // To another destination its own port is free, but it stays with the one that it has (nf_nat's find_appropriate_src).
    assert.deepEqual(bench.send(0, udp('192.0.2.3:5000', '203.0.113.201:53')), [`2: udp 198.51.100.50:${port} > 203.0.113.201:53`])
    assert.deepEqual(bench.send(0, udp('192.0.2.4:5000', '203.0.113.202:53')), ['2: udp 198.51.100.50:5000 > 203.0.113.202:53'])
  })

  test('ports below 512 stay there, those below 1024 go to 600 and up', () => {
    const bench = new NatBench()
    for (const [own, least, most] of [
      [500, 1, 511],
      [700, 600, 1023]
    ]) {
      bench.send(0, udp(`192.0.2.2:${own}`, `${WORLD}:53`))
      const [line] = bench.send(0, udp(`192.0.2.3:${own}`, `${WORLD}:53`))
      const port = Number(/50:(\d+) >/.exec(line)?.[1])
      assert.ok(port >= least && port <= most && port !== own, line)
    }
  })

  test('a UDP packet without checksum keeps it so', () => {
    const bench = new NatBench()
    const [[, bytes]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`, { noChecksum: true, payload: 4 }))
    assert.deepEqual([bytes[40], bytes[41]], [0, 0])
  })

  test('a burst of first packets makes one flow', () => {
    const bench = new NatBench()
    const lines = bench.send(0, ...Array.from({ length: 20 }, () => udp('192.0.2.2:5000', `${WORLD}:53`)))
    assert.deepEqual(new Set(lines), new Set(['2: udp 198.51.100.50:5000 > 203.0.113.200:53']))
    assert.equal(lines.length, 20)
    assert.equal(bench.flows().length, 1)
    assert.equal(bench.flows()[0].original.packets, 20)
  })

  test('off: the source stays', () => {
    const bench = new NatBench()
    bench.change({
      interfaces: { 0: { role: 'network', name: 'a', subnets: ['192.0.2.0/25'], masquerade: false, internal: false, icc: true } }
    })
    assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`)), ['2: udp 192.0.2.2:5000 > 203.0.113.200:53'])
    assert.deepEqual(bench.send(2, udp(`${WORLD}:53`, '192.0.2.2:5000')), ['0: udp 203.0.113.200:53 > 192.0.2.2:5000'])
  })

  test('another address of the uplink ends the flows by the old one, of that family alone', () => {
    const bench = new NatBench()
    const six = ['[2001:db8:a::2]:5000', '[2001:db8:f::1]:53'] as const
    bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`), udp('192.0.2.3:5001', `${WORLD}:53`), udp(...six))
    bench.send(2, udp(`${WORLD}:6000`, '198.51.100.50:5353'))
    // Neither from nor to the uplink's address: a published port by a gateway's.
    bench.send(1, udp('192.0.2.130:7000', '192.0.2.129:5353'))
    assert.equal(bench.flows().length, 5)
    bench.change({ interfaces: { 2: { ...INTERFACES[2]!, name: 'again' } } })
    assert.equal(bench.flows().length, 5)
    bench.change({ interfaces: { 2: { ...INTERFACES[2]!, snat: '198.51.100.51' } } })
    assert.deepEqual(
      bench.flows().map(({ original }) => original.source),
      ['2001:db8:a::2', '192.0.2.130']
    )
    assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`)), ['2: udp 198.51.100.51:5000 > 203.0.113.200:53'])
    bench.checkBooks()
  })

  test('IPv6, with snat6', () => {
    const bench = new NatBench()
    const [here, there, outside] = ['[2001:db8:a::2]:5000', '[2001:db8:f::1]:53', '[2001:db8:c::50]:5000']
    assert.deepEqual(bench.send(0, udp(here, there, { payload: 9 })), [`2: udp ${outside} > ${there}`])
    assert.deepEqual(bench.send(2, udp(there, outside, { payload: 9 })), [`0: udp ${there} > ${here}`])
    assert.deepEqual(bench.send(0, tcp(here, there)), [`2: tcp ${outside} > ${there} S`])
    assert.equal(bench.command('nat', 'flush'), 2)
    assert.equal((bench.command('nat', 'stats') as { addresses: number }).addresses, 3, 'only those of interfaces and local stay')
  })
})

describe('published ports', () => {
  test('from outside: the destination is translated, the client keeps its address', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:40004`, '198.51.100.50:8080', { seq: 1 })), [
      '0: tcp 203.0.113.200:40004 > 192.0.2.2:80 S'
    ])
    assert.deepEqual(bench.send(0, tcp('192.0.2.2:80', `${WORLD}:40004`, { flags: 'SA', seq: 5, ack: 2 })), [
      '2: tcp 198.51.100.50:8080 > 203.0.113.200:40004 SA'
    ])
    assert.deepEqual(bench.flows()[0].dnat, true)
  })

  test('from another network: source is the gateway of the network', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(1, tcp('192.0.2.130:40005', '198.51.100.50:8080', { seq: 1 })), ['0: tcp 192.0.2.1:40005 > 192.0.2.2:80 S'])
    assert.deepEqual(bench.send(0, tcp('192.0.2.2:80', '192.0.2.1:40005', { flags: 'SA', seq: 5, ack: 2 })), [
      '1: tcp 198.51.100.50:8080 > 192.0.2.130:40005 SA'
    ])
  })

  test('hairpin: a station reaches its own published port by the gateway', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(0, tcp('192.0.2.2:40006', '192.0.2.1:8080', { seq: 1 })), ['0: tcp 192.0.2.1:40006 > 192.0.2.2:80 S'])
    assert.deepEqual(bench.send(0, tcp('192.0.2.2:80', '192.0.2.1:40006', { flags: 'SA', seq: 5, ack: 2 })), [
      '0: tcp 192.0.2.1:8080 > 192.0.2.2:40006 SA'
    ])
  })

  test("UDP from a station: the answer comes from the gateway of its network, as from Docker's proxy", () => {
    const bench = new NatBench()
    for (const [asked, answers] of [
      ['198.51.100.50', '192.0.2.129'],
      ['192.0.2.1', '192.0.2.1'],
      ['192.0.2.129', '192.0.2.129']
    ]) {
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(bench.send(1, udp('192.0.2.130:40', `${asked}:5353`)).length, 1)
        const [{ reply }] = bench.flows({ address: asked }).filter(({ original }) => original.destination === asked)
        assert.deepEqual(bench.send(0, udp('192.0.2.2:53', `192.0.2.1:${reply.destinationPort}`)), [
          `1: udp ${answers}:5353 > 192.0.2.130:40`
        ])
      }
    }
    // From outside it is the address that was asked.
    bench.send(2, udp(`${WORLD}:40`, '198.51.100.50:5353'))
    assert.deepEqual(bench.send(0, udp('192.0.2.2:53', `${WORLD}:40`)), ['2: udp 198.51.100.50:5353 > 203.0.113.200:40'])
  })

  test('an address of its own goes before any', () => {
    const bench = new NatBench()
    bench.change({ published: { special: { ...WEB, address: '192.0.2.129', target: '192.0.2.3' } } })
    assert.deepEqual(bench.send(1, tcp('192.0.2.130:1', '192.0.2.129:8080')), ['0: tcp 192.0.2.1:1 > 192.0.2.3:80 S'])
    assert.deepEqual(bench.send(1, tcp('192.0.2.130:2', '192.0.2.1:8080')), ['0: tcp 192.0.2.1:2 > 192.0.2.2:80 S'])
    bench.change({ published: { special: null } })
    assert.deepEqual(bench.send(1, tcp('192.0.2.130:3', '192.0.2.129:8080')), ['0: tcp 192.0.2.1:3 > 192.0.2.2:80 S'])
  })

  test('from outside to the target itself, as Docker lets it', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:4`, '192.0.2.2:80')), ['0: tcp 203.0.113.200:4 > 192.0.2.2:80 S'])
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:4`, '192.0.2.2:81')), [])
    assert.deepEqual(bench.drops(), { 'filter.notPublished': 1 })
    assert.equal(bench.flows().length, 1)
  })

  test('IPv6', () => {
    const bench = new NatBench()
    bench.change({ published: { six: { ...WEB, target: '2001:db8:a::2' } } })
    const [client, outside, inside] = ['[2001:db8:f::9]:40004', '[2001:db8:c::50]:8080', '[2001:db8:a::2]:80']
    assert.deepEqual(bench.send(2, tcp(client, outside, { seq: 1 })), [`0: tcp ${client} > ${inside} S`])
    assert.deepEqual(bench.send(0, tcp(inside, client, { flags: 'SA', seq: 5, ack: 2 })), [`2: tcp ${outside} > ${client} SA`])
  })

  test('no longer published: its flows are forgotten, others stay', () => {
    const bench = new NatBench()
    bench.send(2, udp(`${WORLD}:4`, '198.51.100.50:5353'))
    bench.send(2, tcp(`${WORLD}:4`, '198.51.100.50:8080'))
    bench.send(0, udp('192.0.2.2:53', `${WORLD}:999`))
    bench.change({ published: { name: null } })
    assert.deepEqual(
      bench.flows().map(({ protocol, dnat }) => `${protocol} ${dnat}`),
      ['tcp true', 'udp false']
    )
  })
})

describe('several ports that lead to one target', () => {
  const other: PublishedPort = { ...NAME, port: 5354 }
  const special: PublishedPort = { ...NAME, address: '192.0.2.129' }
  /** One flow by each of three ways; destinations and ports of those that are left after `change`. */
  const left = (change: NatChange): string[] => {
    const bench = new NatBench({ published: { name: NAME, other, special } })
    bench.send(2, udp(`${WORLD}:4`, '198.51.100.50:5353'), udp(`${WORLD}:4`, '198.51.100.50:5354'), udp(`${WORLD}:4`, '192.0.2.129:5353'))
    assert.equal(bench.flows().length, 3)
    bench.change(change)
    return bench.flows().map(({ original }) => `${original.destination}:${original.destinationPort}`)
  }

  test('only the flows of the one that goes are forgotten', () => {
    assert.deepEqual(left({ published: { name: null } }), ['198.51.100.50:5354', '192.0.2.129:5353'])
    assert.deepEqual(left({ published: { other: null } }), ['198.51.100.50:5353', '192.0.2.129:5353'])
    assert.deepEqual(left({ published: { name: null, special: null } }), ['198.51.100.50:5354'])
  })

  test('flows stay that still lead to the same target by another record, or by the same one written again', () => {
    assert.deepEqual(left({ published: { special: null } }).length, 3)
    assert.deepEqual(left({ published: { name: NAME } }).length, 3)
    assert.deepEqual(left({ published: { name: { ...NAME, targetPort: 54 } } }), ['198.51.100.50:5354', '192.0.2.129:5353'])
  })
})

describe('who may open a flow', () => {
  const cases: [name: string, from: number, frame: Uint8Array, reason: string | null][] = [
    ['network to another network', 0, udp('192.0.2.2:1', '192.0.2.130:2'), 'filter.isolated'],
    ['within a network by its gateway', 0, udp('192.0.2.2:1', '192.0.2.3:2'), null],
    ['an internal network to the outside', 3, udp('203.0.113.2:1', '198.51.100.9:2'), 'filter.internal'],
    ['an internal network to a published port', 3, tcp('203.0.113.2:1', '198.51.100.50:8080'), 'filter.internal'],
    ['a network to an internal one', 0, udp('192.0.2.2:1', '203.0.113.2:2'), 'filter.internal'],
    ['outside to a station', 2, udp(`${WORLD}:1`, '192.0.2.2:999'), 'filter.notPublished'],
    ['outside to outside', 2, udp(`${WORLD}:1`, '198.51.100.9:999'), 'filter.transit']
  ]
  for (const [name, from, frame, reason] of cases) {
    test(`${name}: ${reason ?? 'allowed'}`, () => {
      const bench = new NatBench()
      const out = bench.send(from, frame)
      assert.equal(out.length, reason === null ? 1 : 0)
      assert.deepEqual(bench.drops(), reason === null ? {} : { [reason]: 1 })
      assert.equal(bench.flows().length, reason === null ? 1 : 0, 'a refused flow leaves nothing')
      bench.checkBooks()
    })
  }

  test('icc off: only published ports', () => {
    const bench = new NatBench()
    bench.change({
      interfaces: {
        0: { role: 'network', name: 'a', subnets: ['192.0.2.0/25'], gateway: '192.0.2.1', masquerade: true, internal: false, icc: false }
      }
    })
    assert.deepEqual(bench.send(0, udp('192.0.2.2:1', '192.0.2.3:2')), [])
    assert.deepEqual(bench.drops(), { 'filter.icc': 1 })
    assert.equal(bench.send(0, tcp('192.0.2.3:1', '192.0.2.1:8080')).length, 1)
  })
})

describe('what is no packet of a flow', () => {
  const cases: [name: string, from: number, frame: Uint8Array, reason: string][] = [
    ['a source of another network', 0, udp('192.0.2.130:1', `${WORLD}:2`), 'nat.spoofed'],
    ['a source of ours from outside', 2, udp('192.0.2.2:1', '198.51.100.50:2'), 'nat.spoofed'],
    ['a loopback source', 0, udp('127.0.0.1:1', `${WORLD}:2`), 'nat.martian'],
    ['a group source', 0, udp('224.0.0.1:1', `${WORLD}:2`), 'nat.martian'],
    ['a group destination to a unicast MAC', 0, udp('192.0.2.2:1', '224.0.0.1:2'), 'nat.martian'],
    ['a land attack', 0, tcp('192.0.2.2:1', '192.0.2.2:1'), 'nat.land'],
    ['a TCP segment with SYN and FIN', 0, tcp('192.0.2.2:1', `${WORLD}:2`, { flags: 'SF' }), 'nat.invalidState'],
    ['a reset for no connection', 0, tcp('192.0.2.2:1', `${WORLD}:2`, { flags: 'R' }), 'nat.invalidState'],
    ['an echo reply for no request', 0, echo('192.0.2.2', WORLD, 7, { reply: true }), 'nat.invalidState'],
    ['a spoofed IPv6 source', 0, udp('[2001:db8:b::2]:1', '[2001:db8:f::1]:2'), 'nat.spoofed'],
    ['an ICMP error about nothing', 2, icmpError(WORLD, '198.51.100.50', udp('198.51.100.51:1', `${WORLD}:2`)), 'nat.unrelatedError'],
    [
      'one about our own packets, from inside',
      0,
      icmpError('192.0.2.2', '198.51.100.50', udp('198.51.100.50:1', '192.0.2.2:2')),
      'nat.unrelatedError'
    ]
  ]
  for (const [name, from, frame, reason] of cases) {
    test(`${name}: ${reason}`, () => {
      const bench = new NatBench()
      assert.deepEqual(bench.send(from, frame), [])
      assert.deepEqual(bench.drops(), { [reason]: 1 })
      bench.checkBooks()
    })
  }

  for (const [here, there] of [
    ['198.51.100.50', WORLD],
    ['2001:db8:c::50', '2001:db8:f::9']
  ] as const) {
    test(`an ICMP error from outside about a packet of no flow, sent from ${here} itself, is the router's`, () => {
      const bench = new NatBench()
      const at = (address: string, port: number): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)
      const error = icmpError(there, here, udp(at(here, 50_000), at(there, 4789)), { code: 4 })
      const before = bench.router.consumed
      assert.deepEqual(bench.send(2, error), [])
      assert.deepEqual([bench.router.consumed - before, bench.drops()], [1, {}])
      // Damaged, or sent to an address that has not sent the packet.
      const damaged = error.slice()
      damaged[damaged.length - 1]! ^= 1
      bench.send(2, damaged)
      assert.deepEqual([bench.router.consumed - before, bench.drops()], [1, { 'nat.badChecksum': 1 }])
      bench.checkBooks()
    })
  }

  test('a station on two networks may answer by the other gateway, and begin nothing there', () => {
    const bench = new NatBench()
    bench.send(2, udp(`${WORLD}:40`, '198.51.100.50:5353'))
    assert.deepEqual(bench.send(1, udp('192.0.2.2:53', `${WORLD}:40`)), ['2: udp 198.51.100.50:5353 > 203.0.113.200:40'])
    bench.send(0, udp('192.0.2.2:7', `${WORLD}:8`))
    assert.deepEqual(bench.send(1, udp('192.0.2.2:7', `${WORLD}:8`)), [], 'as another station in its own flow')
    assert.deepEqual(bench.send(3, udp('192.0.2.2:53', `${WORLD}:40`)), [], 'from an internal network')
    assert.deepEqual(bench.send(1, icmpError('192.0.2.2', WORLD, udp(`${WORLD}:40`, '192.0.2.2:53'))), [])
    assert.deepEqual(bench.drops(), { 'nat.spoofed': 3 })
  })

  test('what only the router may get does not go on', () => {
    const bench = new NatBench()
    // Neighbor discovery to an address that is routed elsewhere.
    const frame = echo('2001:db8:a::2', '2001:db8:f::1', 1, { payload: 16 })
    frame[54] = 136
    const sum = ((frame[56] << 8) | frame[57]) - 0x800
    frame[56] = sum >>> 8
    frame[57] = sum & 0xff
    assert.deepEqual(bench.send(0, frame), [])
    assert.deepEqual(bench.drops(), { 'nat.untracked': 1 })
  })

  test('damaged: headers cut short at every length, wrong checksums', () => {
    const bench = new NatBench()
    const whole = tcp('192.0.2.2:1', `${WORLD}:2`)
    for (let length = 0; length < whole.length; length++) assert.deepEqual(bench.send(0, whole.slice(0, length)), [])
    const { 'nat.runt': runt, 'nat.malformed': malformed } = bench.drops()
    assert.deepEqual([runt, malformed], [14, whole.length - 14])
    for (const at of [14 + 8, 14 + 20 + 4]) {
      const damaged = whole.slice()
      damaged[at] ^= 0x10
      assert.deepEqual(bench.send(0, damaged), [])
    }
    assert.deepEqual(bench.drops(), { 'nat.badChecksum': 2 })
    bench.checkBooks()
  })

  test('ARP, groups and what is for the router itself pass untouched', () => {
    const bench = new NatBench()
    const arp = Uint8Array.from([...new Array(6).fill(255), 2, 0xcc, 0, 0, 0, 2, 8, 6, ...new Array(28).fill(0)])
    bench.send(
      0,
      arp,
      udp('192.0.2.2:1', '192.0.2.1:999'),
      echo('192.0.2.2', '192.0.2.1', 1),
      udp('192.0.2.2:68', '255.255.255.255:67', { destinationMac: 'ff:ff:ff:ff:ff:ff' })
    )
    assert.equal(bench.router.consumed, 4)
    assert.equal(bench.flows().length, 0)
    assert.equal(bench.counters('nat').counters['untracked'], 4)
    assert.deepEqual(bench.drops(), {})
  })
})

describe('ICMP', () => {
  test('echo: the identifier is kept, and another one when it is taken', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(0, echo('192.0.2.2', WORLD, 77, { payload: 11 })), ['2: echo request 198.51.100.50 > 203.0.113.200 id 77'])
    const [line] = bench.send(0, echo('192.0.2.3', WORLD, 77))
    const id = Number(/id (\d+)/.exec(line)?.[1])
    assert.notEqual(id, 77)
    assert.deepEqual(bench.send(2, echo(WORLD, '198.51.100.50', id, { reply: true })), ['0: echo reply 203.0.113.200 > 192.0.2.3 id 77'])
    assert.deepEqual(bench.send(2, echo(WORLD, '198.51.100.50', 77, { reply: true })), ['0: echo reply 203.0.113.200 > 192.0.2.2 id 77'])
  })

  test('echo over IPv6', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(0, echo('2001:db8:a::2', '2001:db8:f::1', 77, { payload: 11 })), [
      '2: echo request [2001:db8:c::50] > [2001:db8:f::1] id 77'
    ])
    const [line] = bench.send(0, echo('2001:db8:a::3', '2001:db8:f::1', 77))
    const id = Number(/id (\d+)/.exec(line)?.[1])
    assert.deepEqual(bench.send(2, echo('2001:db8:f::1', '2001:db8:c::50', id, { reply: true })), [
      '0: echo reply [2001:db8:f::1] > [2001:db8:a::3] id 77'
    ])
  })

  test('port unreachable from outside: translated inside and out', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`, { payload: 60 }))
    const expected = 'error 3/3 203.0.113.200 > 192.0.2.2 about udp 192.0.2.2:5000 > 203.0.113.200:53'
    assert.deepEqual(bench.send(2, icmpError(WORLD, '198.51.100.50', sent)), [`0: ${expected}`])
    assert.deepEqual(bench.send(2, icmpError(WORLD, '198.51.100.50', sent, { quote: 88 })), [`0: ${expected}`], 'the whole packet quoted')
  })

  test('time exceeded from a router on the way keeps its source', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, tcp('192.0.2.2:5000', `${WORLD}:80`))
    const error = icmpError('198.51.100.1', '198.51.100.50', sent, { kind: 'time-exceeded', code: 0, quote: 40 })
    assert.deepEqual(bench.send(2, error), ['0: error 11/0 198.51.100.1 > 192.0.2.2 about tcp 192.0.2.2:5000 > 203.0.113.200:80 S'])
  })

  test('an error about an answer leaves with the address that stands for its sender', () => {
    const bench = new NatBench()
    bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    const [[, answer]] = bench.sendRaw(2, udp(`${WORLD}:53`, '198.51.100.50:5000'))
    assert.deepEqual(bench.send(0, icmpError('192.0.2.2', WORLD, answer)), [
      '2: error 3/3 198.51.100.50 > 203.0.113.200 about udp 203.0.113.200:53 > 198.51.100.50:5000'
    ])
  })

  test('an error of a published port comes from the published address', () => {
    const bench = new NatBench()
    const [[, request]] = bench.sendRaw(2, udp(`${WORLD}:53`, '198.51.100.50:5353'))
    assert.deepEqual(bench.send(0, icmpError('192.0.2.2', WORLD, request)), [
      '2: error 3/3 198.51.100.50 > 203.0.113.200 about udp 203.0.113.200:53 > 198.51.100.50:5353'
    ])
  })

  test('an error about an echo request', () => {
    const bench = new NatBench()
    bench.send(0, echo('192.0.2.2', WORLD, 77))
    const [[, sent]] = bench.sendRaw(0, echo('192.0.2.3', WORLD, 77))
    assert.deepEqual(bench.send(2, icmpError('198.51.100.1', '198.51.100.50', sent)), [
      '0: error 3/3 198.51.100.1 > 192.0.2.3 about echo request 192.0.2.3 > 203.0.113.200 id 77'
    ])
  })

  test('IPv6 errors', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('[2001:db8:a::2]:5000', '[2001:db8:f::1]:53', { payload: 30 }))
    assert.deepEqual(bench.send(2, icmpError('2001:db8:f::1', '2001:db8:c::50', sent, { code: 4 })), [
      '0: error 1/4 [2001:db8:f::1] > [2001:db8:a::2] about udp [2001:db8:a::2]:5000 > [2001:db8:f::1]:53'
    ])
  })

  test("the router's own errors quote what the sender sent", () => {
    const bench = new NatBench()
    const expired = { ttl: 1 }
    assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`, expired)), [
      '0: error 11/0 192.0.2.1 > 192.0.2.2 about udp 192.0.2.2:5000 > 203.0.113.200:53'
    ])
    const about = 'tcp 203.0.113.200:40004 > 198.51.100.50:8080 S'
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:40004`, '198.51.100.50:8080', expired)), [
      `2: error 11/0 198.51.100.50 > 203.0.113.200 about ${about}`
    ])
    // Of a flow with another source too: before it has left, and after.
    const hairpin = '192.0.2.130:6 > 192.0.2.129:8080'
    for (const ttl of [1, 9, 1]) {
      const [line] = bench.send(1, tcp('192.0.2.130:6', '192.0.2.129:8080', { ttl }))
      assert.equal(
        line,
        ttl === 1 ? `1: error 11/0 192.0.2.129 > 192.0.2.130 about tcp ${hairpin} S` : '0: tcp 192.0.2.1:6 > 192.0.2.2:80 S'
      )
    }
  })
})

describe('offloads', () => {
  test('a partial checksum is updated with the other sign, a super-frame keeps its payload', () => {
    for (const gso of [false, true]) {
      const bench = new NatBench()
      const frame = tcp('192.0.2.2:5000', `${WORLD}:80`, { payload: gso ? 30_000 : 100, flags: 'A' })
      // The pseudo-header's sum, not complemented.
      const sum = (bytes: Uint8Array): number => {
        let total = 6 + (bytes.length - 34)
        for (let i = 26; i < 34; i += 2) total += (bytes[i] << 8) | bytes[i + 1]
        while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
        return total
      }
      frame[50] = sum(frame) >>> 8
      frame[51] = sum(frame) & 0xff
      const fields = {
        flags: FrameFlag.csum | (gso ? FrameFlag.gso : 0),
        csumStart: 34,
        csumOffset: 16,
        gsoType: 1,
        gsoSize: 1400,
        hdrLen: 54
      }
      const [out] = bench.sendWith(0, frame, fields)
      assert.equal(out.port, 2)
      assert.equal((out.bytes[50] << 8) | out.bytes[51], sum(out.bytes))
      assert.deepEqual(out.bytes.slice(54), frame.slice(54))
      assert.deepEqual([out.flags, out.gsoSize], [fields.flags, 1400])
    }
  })
})

test('frames leave with the MACs of the router and one hop less', () => {
  const bench = new NatBench()
  for (let i = 0; i < 5; i++) {
    const [[, bytes]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`, { ttl: 40 }))
    assert.deepEqual([macs(bytes), bytes[22]], [[STATION_MAC, ROUTER_MAC], 39])
  }
})

test('a packet that the router refuses keeps no tuple from a client of a published port', () => {
  for (const make of [tcp, udp]) {
    const bench = new NatBench()
    const [port, inner] = make === tcp ? [8080, 80] : [5353, 53]
    const fields = make === tcp ? { flags: 'A', seq: 5, ack: 9 } : {}
    const answer = make === tcp ? { flags: 'SA', seq: 5, ack: 1 } : {}
    assert.match(bench.send(0, make(`192.0.2.2:${inner}`, '203.0.113.200:6000', { ...fields, ttl: 1 }))[0], /^0: error 11\/0 /)
    assert.equal(bench.flows().length, 1, 'tentative')
    const [out] = bench.send(2, make('203.0.113.200:6000', `198.51.100.50:${port}`))
    assert.ok(out.startsWith(`0: ${make === tcp ? 'tcp' : 'udp'} 203.0.113.200:6000 > 192.0.2.2:${inner}`), out)
    assert.equal(bench.flows().length, 1)
    assert.equal(bench.send(0, make(`192.0.2.2:${inner}`, '203.0.113.200:6000', answer)).length, 1, 'its answers')
    bench.checkBooks()
  }
})

test('a station that talks to itself by a published port, with that very port: the answers get another one', () => {
  const bench = new NatBench()
  bench.change({ published: { self: { protocol: 'udp', address: null, port: 99, target: '192.0.2.2', targetPort: 99, interface: 0 } } })
  for (const [from, payload] of [
    ['192.0.2.2:98', 100],
    ['192.0.2.2:99', 0]
  ] as const) {
    const [out] = bench.send(0, udp(from, '192.0.2.1:99', { payload }))
    assert.match(out, /^0: udp 192\.0\.2\.1:\d+ > 192\.0\.2\.2:99/)
    assert.doesNotMatch(out, /192\.0\.2\.1:99 >/)
  }
})
