/** Answers as recorded from a Docker daemon: dns-basic, dns-alias, dns-ipv6, dns-networks, dns-forward. Judge: dns-packet. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import dnsPacket, { type Packet } from 'dns-packet'
import { DnsDirectory } from '../../src/dns/dns-directory.ts'
import { type DnsServiceOptions, readDnsSettings } from '../../src/dns/dns-options.ts'
import { CLIENT_MAC, DnsLab, data, queryBytes, readUdp, SERVICE_MAC, udpFrame } from './dns-lab.ts'
import { zones } from './zones.ts'

const RECORDS = zones({
  net: {
    web: ['10.21.0.3', 'fd00:28::3'],
    www: ['10.21.0.3'],
    UPPER: ['10.22.0.9'],
    six: ['fd00:28::6'],
    many: Array.from({ length: 100 }, (_, i) => `10.99.0.${i}`),
    many6: Array.from({ length: 100 }, (_, i) => `fd00:99::${i}`)
  },
  n2: { web: ['10.24.0.2', 'fd00:24::2'], www: ['10.24.0.9', 'fd00:24::9'], other: ['10.24.0.3'] },
  n3: { far: ['10.25.0.2'], near: ['10.25.0.3'] }
})

const OPTIONS: DnsServiceOptions = {
  zones: RECORDS.zones,
  stations: {
    ...RECORDS.stations,
    aa: { zone: 'net', names: ['aa', 'app'], addresses: ['10.22.0.3'] },
    bb: { zone: 'net', names: ['bb', 'app'], addresses: ['10.22.0.4'] },
    cc: { zone: 'net', names: ['cc', 'app', 'db.prod.example', 'a..b', 'x'.repeat(64)], addresses: ['10.22.0.5'] }
  },
  askers: {
    0: { zones: ['net'], forward: true },
    1: { zones: ['net', 'n2'], forward: true },
    2: { zones: ['n2', 'net'], forward: true },
    3: { zones: ['n3'], links: { n3: { f: 'far', far: 'NEAR', gone: 'nobody', near: 'nobody' } }, forward: false },
    7: { zones: [], forward: true }
  }
}

function lab(options: Partial<DnsServiceOptions> = {}): DnsLab {
  return new DnsLab({ ...OPTIONS, ...options })
}

function ends(net: DnsLab): void {
  net.engine.close()
  assert.equal(net.engine.frames.inUse, 0)
}

describe('names', () => {
  const net = lab()
  for (const [asker, name, type, expected] of [
    [0, 'web', 'A', ['10.21.0.3']],
    [0, 'wEb', 'A', ['10.21.0.3']],
    [0, 'web.net', 'A', ['10.21.0.3']],
    [0, 'www', 'A', ['10.21.0.3']],
    [0, 'db.prod.example', 'A', ['10.22.0.5']],
    [0, 'db.prod.example.net', 'A', ['10.22.0.5']],
    [0, 'upper', 'A', ['10.22.0.9']],
    [0, 'web', 'AAAA', ['fd00:28::3']],
    [0, 'www', 'AAAA', []], // known, IPv4 only: no data, not asked elsewhere
    [0, 'six', 'A', []],
    [0, 'web', 'MX', []],
    [1, 'web', 'A', ['10.21.0.3']], // the first network wins
    [2, 'web', 'A', ['10.24.0.2']],
    [1, 'web.n2', 'A', ['10.24.0.2']],
    [1, 'www', 'AAAA', ['fd00:24::9']], // the first network that has the family
    [1, 'other', 'A', ['10.24.0.3']],
    [3, 'f', 'A', ['10.25.0.2']],
    [3, 'f.n3', 'A', ['10.25.0.2']],
    [3, 'far', 'A', ['10.25.0.3']], // links come first
    [3, 'far.n3', 'A', ['10.25.0.3']],
    [3, 'F', 'AAAA', []],
    [3, '2.0.25.10.in-addr.arpa', 'PTR', ['far.n3']],
    [0, '3.0.21.10.in-addr.arpa', 'PTR', ['web.net']],
    [0, '5.0.22.10.in-addr.arpa', 'PTR', ['cc.net']], // its own first name
    [0, '3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.2.0.0.0.0.D.f.ip6.ARPA', 'PTR', ['web.net']],
    [1, '2.0.24.10.in-addr.arpa', 'PTR', ['web.n2']]
  ] as const) {
    test(`asker ${asker}: ${name} ${type}`, () => {
      const answer = net.ask(asker, name, { type })
      assert.ok(answer)
      assert.deepEqual(data(answer), expected)
      assert.equal(answer.rcode, 'NOERROR')
      assert.deepEqual(answer.questions, [{ name, type, class: 'IN' }])
      for (const record of answer.answers ?? []) {
        assert.deepEqual({ ...record, data: null }, { name, type, ttl: 600, class: 'IN', flush: false, data: null })
      }
      assert.deepEqual(net.forwarded(), [])
    })
  }

  for (const [asker, name, type] of [
    [0, 'nosuchname', 'A'],
    [0, 'web.n2', 'A'], // a network the asker is not on
    [0, 'other', 'A'],
    [0, 'web', 'TXT'],
    [0, 'web', 'SRV'],
    [0, 'web', 'ANY'],
    [0, '77.0.21.10.in-addr.arpa', 'PTR'],
    [0, '2.0.24.10.in-addr.arpa', 'PTR'],
    [0, '3.0.21.10.in-addr.arpa', 'MX'],
    [0, 'google.com', 'A'],
    [7, 'web', 'A']
  ] as const) {
    test(`asker ${asker}: ${name} ${type} goes to the upstream servers`, () => {
      assert.equal(net.ask(asker, name, { type, id: 77 }), null)
      const [event, ...rest] = net.forwarded()
      assert.deepEqual(rest, [])
      assert.equal(event.asker, asker)
      assert.equal(event.tcp, false)
      assert.deepEqual(Buffer.from(event.query), queryBytes(name, { type, id: 77 }))
    })
  }

  test('the rest of the asker ports', () => {
    assert.equal(net.ask(3, 'nosuch.example'), null)
    for (const name of ['gone', 'near', 'near.n3']) assert.equal(net.ask(3, name), null) // the last two: hidden by a link to nobody
    assert.deepEqual(net.forwarded(), [])
    assert.equal(net.drops('dns')['dns.notForwarded'], 4)
    ends(net)
  })
})

describe('the frame', () => {
  for (const family of [4, 6] as const) {
    test(`IPv${family}: turned around, every checksum right`, () => {
      const net = lab()
      net.probe('c0').inject(udpFrame(queryBytes('web', { edns: 4096 }), family))
      net.settle()
      const [frame] = net.probe('c0').take()
      const { source, destination, udp, macs } = readUdp(frame)
      assert.deepEqual(macs, [CLIENT_MAC, SERVICE_MAC])
      assert.deepEqual([source, destination], family === 4 ? ['127.0.0.11', '192.0.2.1'] : ['2001:db8::53', '2001:db8::1'])
      assert.deepEqual([udp.sourcePort, udp.destinationPort], [53, 40000])
      ends(net)
    })
  }

  test('partial checksums and batches of datagrams, as a TAP delivers them', () => {
    const net = lab()
    const one = queryBytes('web', { id: 1 })
    const two = queryBytes('www', { id: 2 })
    assert.equal(one.length, two.length)
    net.probe('c0').inject(udpFrame(Buffer.concat([one, two, one.subarray(0, 5)])), 0, (frame) => {
      const { frames } = net.engine
      frames.flags[frame] = 2 | 8
      frames.gsoType[frame] = 5
      frames.gsoSize[frame] = one.length
      frames.bytes(frame)[frames.start[frame] + 40] ^= 0x55 // the checksum field holds no checksum
    })
    net.settle()
    assert.deepEqual(
      net.answers(0).map(({ message }) => [message.id, data(message)[0]]),
      [
        [1, '10.21.0.3'],
        [2, '10.21.0.3']
      ]
    )
    ends(net)
  })

  test('IPv4 options are left out of the answer', () => {
    const net = lab()
    const plain = udpFrame(queryBytes('web'))
    const bytes = new Uint8Array(plain.length + 4)
    bytes.set(plain.subarray(0, 34))
    bytes.set([1, 1, 1, 0], 34)
    bytes.set(plain.subarray(34), 38)
    bytes[14] = 0x46
    bytes[17] += 4
    bytes[24] = bytes[25] = 0
    let sum = 0
    for (let i = 14; i < 38; i += 2) sum += (bytes[i] << 8) | bytes[i + 1]
    sum = (sum & 0xffff) + (sum >>> 16)
    bytes.set([~sum >> 8, ~sum & 255], 24)
    net.probe('c0').inject(bytes)
    net.settle()
    assert.deepEqual(data(net.answers(0)[0].message), ['10.21.0.3'])
    ends(net)
  })

  test('what is not DNS is dropped with its reason', () => {
    const net = lab()
    const good = udpFrame(queryBytes('web'))
    const change = (edit: (bytes: Uint8Array) => void): Uint8Array => {
      const bytes = good.slice()
      edit(bytes)
      return bytes
    }
    for (const [bytes, reason] of [
      [good.subarray(0, 10), 'stack.runt'],
      [good.subarray(0, 40), 'stack.malformed'],
      [change((b) => b.set([0x12, 0x34], 12)), 'stack.unknownType'],
      [change((b) => (b[24] ^= 1)), 'stack.badChecksum'],
      [change((b) => (b[50] ^= 1)), 'stack.badChecksum'],
      [udpFrame(queryBytes('web'), 4, 54), 'dns.notDns'],
      [udpFrame(new Uint8Array(11)), 'dns.notQuery'],
      [udpFrame(dnsPacket.encode({ type: 'response', id: 1, questions: [{ type: 'A', name: 'web' }] })), 'dns.notQuery']
    ] as const) {
      const before = net.drops('dns')[reason] ?? 0
      net.probe('c0').inject(bytes)
      net.settle()
      assert.equal(net.drops('dns')[reason], before + 1, reason)
    }
    assert.deepEqual(net.answers(0), [])
    ends(net)
  })
})

describe('flags', () => {
  const net = lab()
  const RD = dnsPacket.RECURSION_DESIRED
  for (const [name, flags, expected] of [
    ['recursion desired', RD, { flag_rd: true, flag_cd: false, flag_ad: false }],
    ['not desired', 0, { flag_rd: false, flag_cd: false, flag_ad: false }],
    [
      'CD is copied, AD is not',
      RD | dnsPacket.CHECKING_DISABLED | dnsPacket.AUTHENTIC_DATA,
      { flag_rd: true, flag_cd: true, flag_ad: false }
    ]
  ] as const) {
    test(name, () => {
      const { flag_qr, flag_aa, flag_tc, flag_ra, flag_rd, flag_cd, flag_ad, id } = net.ask(0, 'web', { flags, id: 9 })!
      assert.deepEqual({ flag_qr, flag_aa, flag_tc, flag_ra, id }, { flag_qr: true, flag_aa: false, flag_tc: false, flag_ra: true, id: 9 })
      assert.deepEqual({ flag_rd, flag_cd, flag_ad }, expected)
    })
  }
})

describe('EDNS and sizes', () => {
  test('OPT is answered with OPT, of our size', () => {
    const net = lab()
    const [opt] = net.ask(0, 'web', { edns: 4096 })!.additionals as {
      type: string
      udpPayloadSize: number
      ednsVersion: number
      extendedRcode: number
    }[]
    assert.deepEqual([opt.type, opt.udpPayloadSize, opt.ednsVersion, opt.extendedRcode], ['OPT', 1232, 0, 0])
    assert.deepEqual(net.ask(0, 'web')!.additionals, [])
    ends(net)
  })

  test('not when that is switched off, as Docker answers', () => {
    const net = lab({ edns: false })
    assert.deepEqual(net.ask(0, 'web', { edns: 1232 })!.additionals, [])
    ends(net)
  })

  test('another EDNS version is BADVERS', () => {
    const net = lab()
    const query = queryBytes('web', { edns: 1232 })
    query[query.length - 5] = 1 // the version: class 2, ttl 1+1+2, length 2 from the end
    net.probe('c0').inject(udpFrame(query))
    net.settle()
    const [{ message, bytes }] = net.answers(0)
    assert.equal(bytes[3] & 15, 0)
    assert.equal((message.additionals![0] as { extendedRcode: number }).extendedRcode, 1)
    assert.deepEqual(message.answers, [])
    ends(net)
  })

  for (const [name, type, size, edns, expected] of [
    ['many', 'A', 16, undefined, 512],
    ['many', 'A', 16, 512, 512],
    ['many', 'A', 16, 100, 512], // RFC 6891 6.2.3: less than 512 counts as 512
    ['many', 'A', 16, 1000, 1000],
    ['many6', 'AAAA', 28, 65535, 1232]
  ] as const) {
    test(`${name} ${type} with ${edns ?? 'no'} EDNS size: at most ${expected} bytes, TC`, () => {
      const net = lab()
      net.probe('c0').inject(udpFrame(queryBytes(name, { type, edns })))
      net.settle()
      const [{ message, bytes }] = net.answers(0)
      assert.equal(message.flag_tc, true)
      const opt = edns === undefined ? 0 : 11
      const records = Math.floor((expected - 12 - (name.length + 2) - 4 - opt) / size)
      assert.equal(message.answers!.length, records)
      assert.equal(bytes.length, 12 + name.length + 6 + records * size + opt)
      assert.equal(new Set(data(message)).size, records)
      ends(net)
    })
  }
})

test('several addresses come in every order', () => {
  const net = lab()
  const orders = new Map<string, number>()
  for (let i = 0; i < 600; i++) {
    const answer = data(net.ask(0, 'app'))
    assert.deepEqual([...answer].sort(), ['10.22.0.3', '10.22.0.4', '10.22.0.5'])
    orders.set(answer.join(), (orders.get(answer.join()) ?? 0) + 1)
  }
  assert.equal(orders.size, 6)
  for (const [order, count] of orders) assert.ok(count > 50 && count < 150, `${order}: ${count} of 600`)
  ends(net)
})

describe('malformed queries', () => {
  const net = lab()
  const reply = (bytes: Uint8Array): { rcode: number; questions: number } | null => {
    net.probe('c0').inject(udpFrame(bytes))
    net.settle()
    const [frame] = net.probe('c0').take()
    if (frame === undefined) return null
    const { payload } = readUdp(frame).udp
    assert.equal(payload[0] * 256 + payload[1], 4711)
    assert.equal(payload[2] & 0x80, 0x80)
    return { rcode: payload[3] & 15, questions: payload[5] }
  }
  const query = queryBytes('web', { edns: 1232 })
  const change = (at: number, ...values: number[]): Buffer => {
    const bytes = Buffer.from(query)
    bytes.set(values, at)
    return bytes
  }
  for (const [name, bytes, expected] of [
    ['no question', change(5, 0), { rcode: 1, questions: 0 }],
    ['two questions', change(5, 2), { rcode: 1, questions: 0 }],
    ['an answer in a query', change(7, 1), { rcode: 1, questions: 0 }],
    ['a compressed name', change(12, 0xc0, 12), { rcode: 1, questions: 0 }],
    ['a label type of the future', change(12, 0x41), { rcode: 1, questions: 0 }],
    ['a label beyond the end', change(12, 63), { rcode: 1, questions: 0 }],
    ['a record that is not there', change(11, 2), { rcode: 1, questions: 1 }],
    ['a thousand records', change(10, 4, 0), { rcode: 1, questions: 1 }],
    ['OPT data beyond the end', change(query.length - 1, 9), { rcode: 1, questions: 1 }],
    ['opcode STATUS', change(2, 0x11), { rcode: 4, questions: 0 }],
    ['opcode UPDATE', change(2, 0x28), { rcode: 4, questions: 0 }]
  ] as const) {
    test(name, () => assert.deepEqual(reply(bytes), expected))
  }
  test('every truncation of a query is answered FORMERR or not at all', () => {
    for (let length = 0; length < query.length; length++) {
      const answer = reply(query.subarray(0, length))
      if (length < 12) assert.equal(answer, null)
      else assert.equal(answer!.rcode, 1, `length ${length}`)
    }
    ends(net)
  })
})

describe('forwarding', () => {
  function upstream(query: Uint8Array, answers: object[], rcode = 0): Buffer {
    const { id, questions } = dnsPacket.decode(Buffer.from(query))
    const flags = dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE | rcode
    return dnsPacket.encode({ type: 'response', id: (id! + 1) & 0xffff, flags, questions, answers } as Packet)
  }

  test('the answer comes back to who asked, with the id that was asked', () => {
    const net = lab()
    net.ask(0, 'google.com', { id: 1234 })
    net.ask(1, 'Example.org', { id: 99 })
    const [first, second] = net.forwarded()
    assert.deepEqual(
      net.command('dns', 'answer', {
        id: second.id,
        response: upstream(second.query, [{ type: 'A', name: 'Example.org', data: '198.51.100.1' }])
      }),
      { delivered: true }
    )
    assert.deepEqual(net.command('dns', 'answer', { id: first.id, response: upstream(first.query, [], 3) }), { delivered: true })
    net.settle()
    const [{ message: one }] = net.answers(0)
    const [{ message: two }] = net.answers(1)
    assert.deepEqual([one.id, one.rcode, data(one)], [1234, 'NXDOMAIN', []])
    assert.deepEqual([two.id, two.rcode, data(two)], [99, 'NOERROR', ['198.51.100.1']])
    assert.deepEqual(net.command('dns', 'answer', { id: first.id, response: null }), { delivered: false })
    assert.deepEqual(net.counters('dns'), {
      queries: 2,
      hits: 0,
      errors: 0,
      forwarded: 2,
      upstreamAnswers: 2,
      upstreamFailures: 0,
      tcpQueries: 0
    })
    ends(net)
  })

  test('a long answer is cut to the question with TC', () => {
    const net = lab()
    net.ask(0, 'big.example')
    const [{ id, query }] = net.forwarded()
    const answers = Array.from({ length: 40 }, (_, i) => ({ type: 'A', name: 'big.example', data: `198.51.100.${i}` }))
    net.command('dns', 'answer', { id, response: upstream(query, answers) })
    net.settle()
    const [{ message }] = net.answers(0)
    assert.deepEqual([message.flag_tc, message.answers, message.questions![0].name], [true, [], 'big.example'])
    ends(net)
  })

  test('no answer: silence, or SERVFAIL where that is wanted', () => {
    for (const [unanswered, expected] of [
      ['silent', []],
      ['servfail', ['SERVFAIL', 'SERVFAIL']]
    ] as const) {
      const net = lab({ unanswered })
      net.ask(0, 'silent.example', { id: 5 })
      const [{ id }] = net.forwarded()
      net.command('dns', 'answer', { id, response: null })
      net.settle()
      const first = net.answers(0)
      net.probe('c3').inject(udpFrame(queryBytes('google.com'))) // not allowed to ask outside
      net.settle()
      assert.deepEqual(
        [...first, ...net.answers(3)].map(({ message }) => message.rcode),
        expected
      )
      ends(net)
    }
  })

  test('at most 1024 wait, and each for 35 s', () => {
    const net = lab()
    for (let i = 0; i < 1030; i++) net.ask(0, 'x.example', { id: i })
    assert.equal(net.forwarded().length, 1024)
    assert.equal(net.drops('dns')['dns.tooManyForwarded'], 6)
    net.run(36_000)
    assert.equal(net.counters('dns').upstreamFailures, 1024)
    net.ask(0, 'x.example')
    assert.equal(net.forwarded().length, 1)
    ends(net)
  })

  test('commands are checked', () => {
    const net = lab()
    assert.throws(() => net.command('dns', 'dance', {}), /no command 'dance'/)
    assert.throws(() => net.command('dns', 'answer', null), /answer/)
    assert.throws(() => net.command('dns', 'answer', { id: 1, response: 'x' }), /answer/)
    ends(net)
  })
})

test('reconfigured in place: names, askers and what waits', () => {
  const net = lab()
  net.ask(0, 'later')
  const [{ id, query }] = net.forwarded()
  const { elements, links } = net.engine.running
  const records = zones({ net: { later: ['10.21.0.50'] }, n2: { web: ['10.24.0.2'] } })
  const options = { ...records, askers: { 0: { zones: ['net'], forward: true }, 1: { zones: ['net', 'n2'], forward: true } } }
  net.engine.configure({ elements: { ...elements, dns: { type: 'dns-service', options } }, links })
  assert.deepEqual(data(net.ask(0, 'later')), ['10.21.0.50'])
  assert.equal(net.ask(0, 'web'), null)
  assert.deepEqual(data(net.ask(1, 'web')), ['10.24.0.2'])
  net.command('dns', 'answer', {
    id,
    response: dnsPacket.encode({ type: 'response', id: 1, questions: dnsPacket.decode(Buffer.from(query)).questions })
  })
  net.settle()
  assert.equal(net.answers(0).length, 1)
  ends(net)
})

test('settings alone leave the names where they are', () => {
  const net = lab()
  const { elements, links } = net.engine.running
  net.engine.configure({ elements: { ...elements, dns: { type: 'dns-service', options: { ttl: 7 } } }, links })
  assert.equal(net.ask(0, 'web')!.answers![0].type, 'A')
  assert.deepEqual(
    net.ask(0, 'web')!.answers!.map((record) => (record as { ttl: number }).ttl),
    [7]
  )
  ends(net)
})

test('a network whose name is no DNS name has short names only', () => {
  const net = new DnsLab({ ...zones({ '.bad': { web: ['10.21.0.3'] } }), askers: { 0: { zones: ['.bad'], forward: false } } })
  assert.deepEqual(data(net.ask(0, 'web')), ['10.21.0.3'])
  assert.deepEqual(data(net.ask(0, '3.0.21.10.in-addr.arpa', { type: 'PTR' })), ['web'])
  ends(net)
})

test("with exactZones a network's name counts letter for letter, as with Docker", () => {
  for (const [exactZones, expected] of [
    [true, []],
    [false, ['10.21.0.3']]
  ] as const) {
    const net = lab({ exactZones })
    assert.deepEqual(data(net.ask(0, 'WEB.net')), ['10.21.0.3'])
    assert.deepEqual(data(net.ask(0, 'web.NET')), expected)
    assert.deepEqual(data(net.ask(3, 'f.N3')), expected.length === 0 ? [] : ['10.25.0.2'])
    ends(net)
  }
})

test('options are checked by name', () => {
  for (const [options, message] of [
    [zones({ net: { web: ['nonsense'] } }), /stations\.net\/web "nonsense": is not an IP address/],
    [{ stations: { s: { zone: 'nosuch', names: [], addresses: [] } } }, /stations\.s\.zone "nosuch": is not one of the zones/],
    [{ askers: { 0: { zones: ['nosuch'], forward: true } } }, /askers\.0\.zones "nosuch"/],
    [{ zones: { n: { name: 'n' } }, askers: { 0: { zones: [], links: { n: {} }, forward: true } } }, /askers\.0\.links "n"/],
    [{ askers: { 65536: { zones: [], forward: true } } }, /askers "65536"/]
  ] as const) {
    assert.throws(() => new DnsDirectory(options as DnsServiceOptions), { code: 'ERR_DNS_OPTIONS', message })
  }
  assert.throws(() => readDnsSettings({ ttl: -1 }), { code: 'ERR_DNS_OPTIONS', message: /ttl -1/ })
  assert.throws(() => readDnsSettings({ unanswered: 'loud' as 'silent' }), /unanswered "loud"/)
})
