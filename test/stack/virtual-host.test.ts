import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ElementType } from '../../src/engine/element.ts'
import type { FloodResult, SinkStatistics } from '../../src/stack/bulk-transfer.ts'
import type { VirtualHostOptions } from '../../src/stack/host-config.ts'
import { addressBytes, writeHeaders } from '../../src/stack/ip-packet.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { virtualHostType } from '../../src/stack/virtual-host.ts'
import { parseMac } from '../../src/wire/address.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { pair, VirtualLab, type WireOptions } from './virtual-lab.ts'

const TYPES = [virtualHostType as ElementType<never>]
const A: VirtualHostOptions = { mac: '02:cc:00:00:00:01', addresses: ['192.0.2.1/24', '2001:db8::1/64'] }
const B: VirtualHostOptions = { mac: '02:cc:00:00:00:02', addresses: ['192.0.2.2/24', '2001:db8::2/64'], udpEcho: [7] }

function lab(wire: WireOptions = {}, a: Partial<VirtualHostOptions> = {}, b: Partial<VirtualHostOptions> = {}): VirtualLab {
  return new VirtualLab(pair({ type: 'host', options: { ...A, ...a } }, { type: 'host', options: { ...B, ...b } }, wire), TYPES)
}

function ends(of: VirtualLab): void {
  of.engine.close()
  assert.equal(of.engine.frames.inUse, 0)
}

describe('ping', () => {
  for (const address of ['192.0.2.2', '2001:db8::2', 'fe80::cc:ff:fe00:2']) {
    test(`${address}: answered, and the time is that of the wire`, () => {
      const net = lab({ delayNs: 5e6 })
      const first = net.command<PingResult>('a', 'ping', { address })
      assert.deepEqual(first, { sent: 1, received: 1, unreachable: 0, rttNs: [20e6] }) // with ARP or ND once
      const then = net.command<PingResult>('a', 'ping', { address, count: 5, intervalMs: 100 })
      assert.deepEqual(then, { sent: 5, received: 5, unreachable: 0, rttNs: [10e6, 10e6, 10e6, 10e6, 10e6] })
      ends(net)
    })
  }

  test('itself', () => {
    const net = lab()
    assert.equal(net.command<PingResult>('a', 'ping', { address: '192.0.2.1' }).received, 1)
    assert.equal(net.command<PingResult>('a', 'ping', { address: '2001:db8::1' }).received, 1)
    ends(net)
  })

  test('larger than the MTU goes in fragments, both ways', () => {
    const net = lab()
    for (const size of [1472, 1473, 4000, 65507]) {
      assert.equal(net.command<PingResult>('a', 'ping', { address: '192.0.2.2', size }).received, 1, `size ${size}`)
    }
    assert.throws(() => net.command('a', 'ping', { address: '2001:db8::2', size: 1453 }), RangeError)
    ends(net)
  })

  test('nobody there: unreachable after three requests', () => {
    for (const address of ['192.0.2.77', '2001:db8::77']) {
      const net = lab()
      const result = net.command<PingResult>('a', 'ping', { address, count: 2, intervalMs: 10, timeoutMs: 5000 })
      assert.deepEqual(result, { sent: 2, received: 0, unreachable: 2, rttNs: [] })
      assert.equal(net.clock.now(), 3e9)
      assert.deepEqual(net.drops('a'), { 'stack.unresolved': 2 })
      ends(net)
    }
  })

  test('silence: lost after the time-out', () => {
    const net = lab({ loss: 1 }, { resolver: { address: '192.0.2.53', mac: '02:cc:00:00:00:53' } })
    const result = net.command<PingResult>('a', 'ping', { address: '192.0.2.53', count: 3, intervalMs: 100, timeoutMs: 700 })
    assert.deepEqual(result, { sent: 3, received: 0, unreachable: 0, rttNs: [] })
    assert.equal(net.clock.now(), 900e6)
    ends(net)
  })

  test('an answer after the time-out does not count', () => {
    const net = lab({ delayNs: 400e6 }, { resolver: { address: '192.0.2.2', mac: B.mac } })
    assert.equal(net.command<PingResult>('a', 'ping', { address: '192.0.2.2', count: 2, intervalMs: 1000, timeoutMs: 500 }).received, 0)
    ends(net)
  })

  test('arguments are checked by name', () => {
    const net = lab()
    for (const [argument, message] of [
      [{ address: 'nonsense' }, /nonsense/],
      [{ address: '192.0.2.2', count: 0 }, /count 0/],
      [{ address: '192.0.2.2', size: 70000 }, /size 70000/],
      [{ address: '192.0.2.2', intervalMs: -1 }, /intervalMs -1/],
      [{ address: '192.0.2.2', timeoutMs: Number.NaN }, /timeoutMs NaN/],
      [{ address: '198.51.100.1' }, /no route to 198\.51\.100\.1/],
      [null, /object/]
    ] as const) {
      assert.throws(() => net.command('a', 'ping', argument), message)
    }
    assert.throws(() => net.command('a', 'dance', {}), /no command 'dance'/)
    ends(net)
  })

  test('the gateway is the next hop to other networks', () => {
    const net = lab(
      {},
      { gateway: '192.0.2.2', gateway6: '2001:db8::2' },
      { addresses: ['192.0.2.2/24', '198.51.100.1/32', '2001:db8::2/64', '2001:db8:1::1/128'], gateway: '192.0.2.1' }
    )
    assert.equal(net.command<PingResult>('a', 'ping', { address: '198.51.100.1' }).received, 1)
    assert.equal(net.command<PingResult>('a', 'ping', { address: '2001:db8:1::1' }).received, 1)
    ends(net)
  })
})

describe('udp', () => {
  function datagrams(net: VirtualLab): { port: number; address: string; fromPort: number; data: Uint8Array }[] {
    return net.events.splice(0).map(({ event }) => event as never)
  }

  for (const address of ['192.0.2.2', '2001:db8::2']) {
    test(`echo from ${address}`, () => {
      const net = lab()
      const { port } = net.command<{ port: number }>('a', 'udpBind', { port: 0 })
      assert.ok(port >= 32768 && port < 61000)
      for (const size of address.includes(':') ? [0, 1, 1452] : [0, 1, 1472, 1473, 9000, 65507]) {
        const data = Uint8Array.from({ length: size }, (_, i) => i * 7)
        net.command('a', 'udpSend', { port, address, toPort: 7, data })
        net.settle()
        assert.deepEqual(datagrams(net), [{ kind: 'udp', port, address, fromPort: 7, data }], `size ${size}`)
      }
      ends(net)
    })
  }

  test('a datagram that is too long is refused', () => {
    const net = lab()
    const send = (address: string, size: number): void =>
      net.command('a', 'udpSend', { port: 0, address, toPort: 7, data: new Uint8Array(size) })
    assert.throws(() => send('192.0.2.2', 65508), { code: 'EMSGSIZE' })
    assert.throws(() => send('192.0.2.2', 200_000), { code: 'EMSGSIZE' })
    assert.throws(() => send('2001:db8::2', 1453), { code: 'EMSGSIZE' })
    ends(net)
  })

  test('a closed port is told to the sender, at the rate of Linux', () => {
    for (const address of ['192.0.2.2', '2001:db8::2']) {
      const net = lab()
      const { port } = net.command<{ port: number }>('a', 'udpBind', { port: 5000 })
      net.command('a', 'udpSend', { port, address, toPort: 9, data: new Uint8Array(3000).subarray(0, 8) })
      net.settle()
      const [type, code] = address.includes(':') ? [1, 4] : [3, 3]
      assert.deepEqual(datagrams(net), [{ kind: 'udp-error', port, address, toPort: 9, type, code }])
      for (let i = 0; i < 100; i++) net.command('a', 'udpSend', { port, address, toPort: 9, data: new Uint8Array(8) })
      net.settle()
      assert.equal(datagrams(net).length, 49)
      assert.deepEqual(net.drops('b'), { 'stack.portClosed': 101 })
      ends(net)
    }
  })

  test('ports are bound once', () => {
    const net = lab()
    net.command('b', 'udpBind', { port: 53 })
    assert.throws(() => net.command('b', 'udpBind', { port: 53 }), /port 53 is in use/)
    assert.throws(() => net.command('b', 'udpBind', { port: 7 }), /port 7 is in use/)
    assert.throws(() => net.command('b', 'udpBind', { port: 65536 }), /port 65536/)
    net.command('b', 'udpClose', { port: 53 })
    net.command('b', 'udpBind', { port: 53 })
    assert.throws(() => net.command('b', 'udpClose', { port: 54 }), /port 54 is not bound/)
    ends(net)
  })

  test('sending where nobody answers ARP is an error', () => {
    const net = lab()
    assert.throws(() => net.command('a', 'udpSend', { port: 0, address: '192.0.2.77', toPort: 7, data: new Uint8Array(1) }), /unreachable/)
    ends(net)
  })
})

describe('bulk transfer', () => {
  function transfer(net: VirtualLab, options: object): { result: FloodResult; sunk: SinkStatistics } {
    net.command('b', 'udpSink', { port: 9000 })
    const result = net.command<FloodResult>('a', 'udpFlood', { address: '192.0.2.2', toPort: 9000, ...options })
    return { result, sunk: net.command<SinkStatistics>('b', 'udpSinkStats', { port: 9000 }) }
  }

  test('16 MiB over a plain link: nothing lost, nothing repeated', () => {
    const net = lab()
    const bytes = 16 << 20
    const { result, sunk } = transfer(net, { bytes })
    const datagrams = Math.ceil(bytes / 1460)
    assert.deepEqual(result, { bytes, datagrams, repeated: 0, elapsedNs: 0 })
    assert.deepEqual(sunk, { bytes, datagrams, discarded: 0 })
    ends(net)
  })

  test('fragments', () => {
    const net = lab()
    const { result, sunk } = transfer(net, { bytes: 1_000_000, size: 60_000 })
    assert.equal(sunk.bytes, 1_000_000)
    assert.equal(result.repeated, 0)
    ends(net)
  })

  test('loss and repeats are repaired', () => {
    const net = lab({ loss: 0.05, repeat: 0.05, delayNs: 1e6 })
    const { result, sunk } = transfer(net, { bytes: 1_000_000 })
    assert.equal(sunk.bytes, 1_000_000)
    assert.ok(result.repeated > 0)
    ends(net)
  })

  test('a rate is kept', () => {
    const net = lab()
    const { result } = transfer(net, { bytes: 1_000_000, rate: 8e6 })
    // One second of data; the last datagram starts one gap before the end.
    assert.ok(Math.abs(result.elapsedNs - 1e9) < 5e6, `${result.elapsedNs} ns`)
    ends(net)
  })

  test('nobody there: an error, at last', () => {
    const net = lab()
    assert.throws(() => net.command('a', 'udpFlood', { address: '192.0.2.2', toPort: 9001, bytes: 1000 }, 300_000), /did not acknowledge/)
    ends(net)
  })
})

describe('loops', () => {
  const forged = (sourceMac: string, sourcePort: number): Uint8Array => {
    const path = {
      sourceMac: parseMac(sourceMac),
      destinationMac: parseMac(B.mac),
      source: addressBytes('192.0.2.2'),
      destination: addressBytes('192.0.2.2')
    }
    const bytes = new Uint8Array(50)
    writeHeaders(bytes, 0, path, IpProtocol.udp, 16)
    emitUdp({ sourcePort, destinationPort: 7, payload: new Uint8Array(8) }, bytes, 34, 14)
    return bytes
  }
  for (const [name, bytes, reason] of [
    ['a frame with our own MAC as its source', forged(B.mac, 5000), 'stack.ownSource'],
    ['echo to echo', forged(A.mac, 7), 'stack.echoLoop']
  ] as const) {
    test(`${name} is dropped, and nothing is sent`, () => {
      const net = new VirtualLab(pair({ type: 'probe' }, { type: 'host', options: B }), TYPES)
      net.probe('a').inject(bytes)
      net.settle()
      assert.deepEqual(net.drops('b'), { [reason]: 1 })
      assert.deepEqual(net.probe('a').take(), [])
      ends(net)
    })
  }
})

test('an IPv6 fragment header alone makes no fragment (RFC 6946)', () => {
  const drops = (more: number | null): Record<string, number> => {
    const path = {
      sourceMac: parseMac(A.mac),
      destinationMac: parseMac(B.mac),
      source: addressBytes('2001:db8::1'),
      destination: addressBytes('2001:db8::2')
    }
    const extension = more === null ? [] : [IpProtocol.udp, 0, 0, more, 0, 0, 0, 7]
    const bytes = new Uint8Array(54 + extension.length + 16)
    writeHeaders(bytes, 0, path, IpProtocol.udp, 16)
    emitUdp({ sourcePort: 5000, destinationPort: 9, payload: new Uint8Array(8) }, bytes, bytes.length - 16, 14)
    writeHeaders(bytes, 0, path, more === null ? IpProtocol.udp : IpProtocol.fragment, extension.length + 16)
    bytes.set(extension, 54)
    const net = new VirtualLab(pair({ type: 'probe' }, { type: 'host', options: B }), TYPES)
    net.probe('a').inject(bytes)
    net.settle()
    const all = net.drops('b')
    ends(net)
    return all
  }
  assert.deepEqual(drops(1), { 'stack.fragmentUnsupported': 1 })
  assert.deepEqual(drops(0), { 'stack.portClosed': 1 })
  assert.deepEqual(drops(0), drops(null))
})

test('options are checked by name', () => {
  for (const [options, message] of [
    [{ mac: 'x' }, /mac "x"/],
    [{ mac: '01:00:5e:00:00:01' }, /group/],
    [{ addresses: ['192.0.2.1'] }, /addresses "192\.0\.2\.1"/],
    [{ gateway: '2001:db8::1' }, /gateway .* IPv4/],
    [{ gateway6: 'x' }, /gateway6 "x"/],
    [{ mtu: 1279 }, /mtu 1279/],
    [{ udpEcho: [0] }, /udpEcho 0/],
    [{ resolver: { address: 'x' } }, /resolver\.address "x"/]
  ] as const) {
    assert.throws(() => lab({}, options as Partial<VirtualHostOptions>), { code: 'ERR_HOST_OPTIONS', message })
  }
})

test('the same seed gives the same frames', () => {
  const record = (): string => {
    const net = lab({ loss: 0.2, delayNs: 1e6 })
    net.command('a', 'ping', { address: '192.0.2.2', count: 20, intervalMs: 50 })
    net.command('b', 'udpSink', { port: 9 })
    const { elapsedNs } = net.command<FloodResult>('a', 'udpFlood', { address: '192.0.2.2', toPort: 9, bytes: 100_000 })
    return `${elapsedNs} ${net.clock.now()} ${JSON.stringify(net.counters('a'))}`
  }
  assert.equal(record(), record())
})
