// The DNS service as processes see it: dig and the kernel's own UDP and TCP in a namespace, 127.0.0.11 routed out of a TAP.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import dnsPacket, { type Packet } from 'dns-packet'
import type { DnsServiceOptions } from '../../src/dns/dns-options.ts'
import { type DnsForwardEvent, dnsServiceType } from '../../src/dns/dns-service.ts'
import { dnsTapType } from '../../src/elements/dns-tap/dns-tap.ts'
import { readCounters } from '../../src/engine/counters.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { zones } from '../dns/zones.ts'
import { wireType } from '../stack/virtual-lab.ts'
import { PolledEngine } from './polled-engine.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const SERVICE_MAC = '02:42:7f:00:00:0b'
const TYPES = [virtualHostType, dnsTapType, dnsServiceType, wireType] as ElementType<never>[]

/** What a container's names are in the tests: `client` is the namespace, `web` a virtual host. */
const OPTIONS: DnsServiceOptions = {
  ...zones({
    net: {
      client: ['172.25.0.5'],
      web: ['172.25.0.3', '2001:db8::3'],
      app: ['172.25.0.7', '172.25.0.8', '172.25.0.9'],
      many: Array.from({ length: 1500 }, (_, i) => `10.99.${i >> 8}.${i & 255}`)
    }
  }),
  askers: { 0: { zones: ['net'], forward: true } }
}

/** A namespace with a TAP eth0, 172.25.0.5, whose 127.0.0.11 is the engine's: the recipe of a sandbox. */
class Container {
  readonly netns = new TestNamespace()
  readonly engine: PolledEngine

  constructor(loss: number) {
    const tap = openTap(tryLoadNative()!, { netns: this.netns.fd, name: 'eth0' })
    const run = (...args: string[]): string => this.netns.run('ip', ...args)
    run('link', 'set', 'lo', 'up')
    run('address', 'add', '172.25.0.5/16', 'dev', 'eth0')
    run('-6', 'address', 'add', '2001:db8::5/64', 'dev', 'eth0', 'nodad')
    run('link', 'set', 'eth0', 'up')
    this.netns.run('sysctl', '-qw', 'net.ipv4.conf.eth0.route_localnet=1')
    run('route', 'add', '127.0.0.11/32', 'dev', 'eth0', 'src', '172.25.0.5', 'table', 'local')
    run('neigh', 'add', '127.0.0.11', 'lladdr', SERVICE_MAC, 'dev', 'eth0', 'nud', 'permanent')
    const { fd, name, vnetHeaderLength, offloads } = tap
    this.engine = new PolledEngine(
      {
        elements: {
          eth0: { type: 'tap', options: { fd, name, mtu: 1500, vnetHeaderLength, offloads } },
          tap: { type: 'dns-tap' },
          wire: { type: 'wire', options: { loss } },
          dns: { type: 'dns-service', options: OPTIONS },
          web: { type: 'host', options: { mac: '02:42:ac:19:00:03', addresses: ['172.25.0.3/16', '2001:db8::3/64'], udpEcho: [7] } }
        },
        links: [
          { a: ['eth0', 0], b: ['tap', 0] },
          { a: ['tap', 1], b: ['web', 0] },
          { a: ['tap', 2], b: ['wire', 0] },
          { a: ['wire', 1], b: ['dns', 0] }
        ]
      },
      ...TYPES
    )
    this.engine.onEvent = (element, event) => this.upstream(element, event as DnsForwardEvent)
  }

  /** The control plane of the test: `www.example` exists, `nosuch...` does not, on the rest it is silent. */
  private upstream(element: string, event: DnsForwardEvent): void {
    if (element !== 'dns' || event.kind !== 'dns-forward') return
    const { id, questions } = dnsPacket.decode(Buffer.from(event.query))
    const { name, type } = questions![0]
    if (!/^(www\.example|nosuch.*|big\.example)$/i.test(name)) return
    const rcode = name.startsWith('nosuch') ? 3 : 0
    const count = name === 'www.example' ? 1 : name === 'big.example' ? 200 : 0
    const answers = type === 'A' ? Array.from({ length: count }, (_, i) => ({ type: 'A', name, ttl: 60, data: `198.51.100.${i}` })) : []
    const response = dnsPacket.encode({ type: 'response', id, flags: 0x180 | rcode, questions, answers } as Packet)
    this.engine.engine.command('dns', 'answer', { id: event.id, response }, (error) => assert.equal(error, null))
  }

  /** dig's answer in parts. */
  async dig(
    ...args: string[]
  ): Promise<{ status: string; flags: string; answers: string[]; edns: string; size: number; tcp: boolean; text: string }> {
    const { stdout: text, status } = await this.netns.exec('dig', '+tries=3', '+time=20', '@127.0.0.11', ...args)
    assert.equal(status, 0, text)
    assert.doesNotMatch(text, /WARNING|malformed|extra bytes|bad packet|mismatch|reply from unexpected/)
    return {
      status: /status: (\w+)/.exec(text)?.[1] ?? '',
      flags: /flags: ([a-z ]*);/.exec(text)?.[1] ?? '',
      answers: text
        .split('\n')
        .filter((line) => /^[^;\s].*\sIN\s/.test(line))
        .map((line) => line.replace(/\s+/g, ' ')),
      edns: /EDNS: (.*)/.exec(text)?.[1] ?? '',
      size: Number(/MSG SIZE {2}rcvd: (\d+)/.exec(text)?.[1]),
      tcp: /SERVER: .*\(TCP\)/.test(text),
      text
    }
  }

  counters(element: string): Record<string, number> {
    return readCounters(this.engine.engine.counters.layout()).get(element)!.counters
  }

  async close(): Promise<void> {
    await this.engine.close()
    this.netns.close()
    assert.equal(this.engine.engine.frames.inUse, 0)
  }
}

describe('dig at 127.0.0.11', { skip: namespacesMissing('ip', 'dig', 'sysctl', 'ping') }, () => {
  let container: Container
  before(() => {
    container = new Container(0)
  })
  after(() => container.close())

  test('A', async () => {
    const { status, flags, answers, edns, tcp } = await container.dig('web', 'A')
    assert.deepEqual(
      { status, flags, answers, edns, tcp },
      { status: 'NOERROR', flags: 'qr rd ra', answers: ['web. 600 IN A 172.25.0.3'], edns: 'version: 0, flags:; udp: 1232', tcp: false }
    )
    assert.deepEqual((await container.dig('WEB.Net.', 'A')).answers, ['WEB.Net. 600 IN A 172.25.0.3'])
  })

  test('AAAA, and none where there is none', async () => {
    assert.deepEqual((await container.dig('web', 'AAAA')).answers, ['web. 600 IN AAAA 2001:db8::3'])
    const { status, answers } = await container.dig('client', 'AAAA')
    assert.deepEqual({ status, answers }, { status: 'NOERROR', answers: [] })
  })

  test('PTR of both families', async () => {
    assert.deepEqual((await container.dig('-x', '172.25.0.3')).answers, ['3.0.25.172.in-addr.arpa. 600 IN PTR web.net.'])
    assert.match((await container.dig('-x', '2001:db8::3')).answers[0], /ip6\.arpa\. 600 IN PTR web\.net\.$/)
  })

  test('several addresses', async () => {
    const { answers } = await container.dig('app')
    assert.deepEqual(
      answers.sort(),
      ['7', '8', '9'].map((n) => `app. 600 IN A 172.25.0.${n}`)
    )
  })

  test('flags and EDNS as asked', async () => {
    assert.equal((await container.dig('+norecurse', 'web')).flags, 'qr ra')
    assert.equal((await container.dig('+cd', '+ad', 'web')).flags, 'qr rd ra cd')
    assert.equal((await container.dig('+noedns', 'web')).edns, '')
    assert.equal((await container.dig('+edns=5', '+noednsneg', 'web')).status, 'BADVERS')
    assert.equal((await container.dig('+opcode=status', '+noedns', 'web')).status, 'NOTIMP')
  })

  test('TCP', async () => {
    const { answers, tcp } = await container.dig('+tcp', 'web')
    assert.deepEqual({ answers, tcp }, { answers: ['web. 600 IN A 172.25.0.3'], tcp: true })
  })

  test('an answer too long for UDP comes by TCP: 24 KB, 17 segments', async () => {
    const cut = await container.dig('+ignore', '+noedns', 'many')
    assert.match(cut.flags, /\btc\b/)
    assert.ok(cut.size <= 512)
    const { answers, tcp, size } = await container.dig('many')
    assert.deepEqual([answers.length, tcp, size], [1500, true, 12 + 10 + 11 + 1500 * 16])
    assert.equal(new Set(answers).size, 1500)
  })

  test('several queries on one connection', async () => {
    const { text } = await container.dig('+tcp', '+keepopen', 'web', 'app', 'nosuch', 'many', 'web')
    assert.equal(text.match(/status: NOERROR/g)?.length, 4)
    assert.equal(text.match(/status: NXDOMAIN/g)?.length, 1)
  })

  test('forwarded by UDP and TCP', async () => {
    assert.deepEqual((await container.dig('www.example')).answers, ['www.example. 60 IN A 198.51.100.0'])
    assert.deepEqual((await container.dig('+tcp', 'www.example')).answers, ['www.example. 60 IN A 198.51.100.0'])
    assert.equal((await container.dig('nosuch')).status, 'NXDOMAIN')
    const { answers, tcp } = await container.dig('big.example')
    assert.deepEqual([answers.length, tcp], [200, true])
  })

  test('everything else goes by the same port to the network', async () => {
    const { status, stdout } = await container.netns.exec('ping', '-c', '2', '-i', '0.2', '-w', '60', '172.25.0.3')
    assert.equal(status, 0, stdout)
  })

  test('100 at once, none lost', async () => {
    const before = container.counters('dns')
    const { stdout } = await container.netns.exec(process.execPath, '-e', MANY_QUERIES)
    assert.equal(stdout.trim(), '100 of 100')
    assert.equal(container.counters('dns').hits - before.hits, 100)
  })

  test('the rest of 127.0.0.0/8 stays on lo', async () => {
    assert.match(container.netns.run('ip', 'route', 'get', '127.0.0.12'), /dev lo/)
    assert.match(container.netns.run('ip', 'route', 'get', '127.0.0.11'), /dev eth0/)
  })

  test('a port that is not 53 is refused by TCP', async () => {
    const { stdout } = await container.netns.exec(
      process.execPath,
      '-e',
      "require('node:net').connect(54, '127.0.0.11').on('error', (e) => console.log(e.code))"
    )
    assert.equal(stdout.trim(), 'ECONNREFUSED')
  })
})

describe('dig over a cable that loses every fifth frame', { skip: namespacesMissing('ip', 'dig', 'sysctl') }, () => {
  test('TCP repairs it, in both directions', async () => {
    const container = new Container(0.2)
    try {
      for (let i = 0; i < 3; i++) {
        const { answers, tcp } = await container.dig('+tcp', '+time=25', 'many')
        assert.deepEqual([answers.length, tcp], [1500, true])
      }
      assert.ok(container.counters('dns').tcpQueries >= 3)
    } finally {
      await container.close()
    }
  })
})

const MANY_QUERIES = `
  const socket = require('node:dgram').createSocket('udp4')
  const query = Buffer.from('000001000001000000000000' + '03776562' + '00' + '00010001', 'hex')
  const seen = new Set()
  const done = () => { console.log(seen.size + ' of 100'); socket.close(); clearTimeout(timer) }
  const timer = setTimeout(done, 60000)
  socket.on('message', (message) => { seen.add(message.readUInt16BE(0)); if (seen.size === 100) done() })
  for (let id = 0; id < 100; id++) {
    const bytes = Buffer.from(query)
    bytes.writeUInt16BE(id, 0)
    socket.send(bytes, 53, '127.0.0.11')
  }`
