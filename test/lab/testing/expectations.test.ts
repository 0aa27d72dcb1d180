/** What is expected of frames, and what a test is told when they do not come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab, type LabHost, NetworkError } from '../../../src/index.ts'
import { arp, dns, ExpectationError, ethernet, icmp, icmpv6, ipv4, ipv6, PatternError, tcp, udp, withLab } from '../../../src/testing.ts'

async function two(lab: Lab): Promise<[LabHost, LabHost]> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  return [await lan.host('a', { udpEcho: [7] }), await lan.host('b', { udpEcho: [7] })]
}

test('frames of every kind are recognized, with their time and place', () =>
  withLab({ seed: 1 }, async (lab) => {
    const [a, b] = await two(lab)
    const expected = [
      lab.expectFrame(ethernet({ dst: 'ff:ff:ff:ff:ff:ff', src: a.mac }), arp({ operation: 'request', targetIp: b.address })),
      lab.expectFrame(arp({ operation: 'reply', senderIp: b.address, senderMac: b.mac })),
      lab.expectFrame(ipv4({ src: a.address, dst: '127.0.0.11', ttl: 64 }), dns({ name: 'B', type: 'A', response: false })),
      lab.expectFrame(dns({ response: true, rcode: 'NOERROR', answers: 1 }), { at: a, way: 'in' }),
      lab.expectFrame(ipv4({ src: '192.0.2.0/24', protocol: 'icmp' }), icmp({ type: 8, sequence: 1 }), { at: 'lan/b', way: 'in' }),
      lab.expectFrame(icmp({ type: 0 }), { at: 'a' }),
      lab.expectFrame(ipv6({ dst: '2001:db8::3', hopLimit: 64 }), icmpv6({ type: 128 })),
      lab.expectFrame(udp({ dstPort: { min: 1, max: 7 }, payload: 'hello' }), ipv4({ length: 20 + 8 + 11 })),
      lab.expectFrame(udp({ srcPort: [7, 9], length: 19 }), { way: 'in' }),
      lab.expectFrame(tcp({ syn: true, ack: false, dstPort: 80 })),
      lab.expectFrame(tcp({ rst: true }), ipv4({ src: b.address }))
    ]
    await a.ping('b')
    await a.ping(b.endpoint.address6)
    const socket = await a.udp()
    await socket.send(b.address, 7, 'oh hello you')
    await socket.send(b.address, 7, 'well, hello')
    await a.sendFrame(syn(a, b))
    const seen = await Promise.all(expected)
    assert.deepEqual(
      seen.map(({ at, way }) => `${at} ${way}`),
      [
        'lan/a out',
        'lan/b out',
        'lan/a out',
        'lan/a in',
        'lan/b in',
        'lan/a in',
        'lan/a out',
        'lan/a out',
        'lan/a in',
        'lan/a out',
        'lan/b out'
      ]
    )
    assert.match(seen[4].text, /192\.0\.2\.2 > 192\.0\.2\.3: ICMP echo request/)
    assert.equal(seen[7].bytes.length, 14 + 39)
  }))

test('a frame counts once, however many links it is on; several are counted', () =>
  withLab({ seed: 1 }, async (lab) => {
    const [a] = await two(lab)
    const third = lab.expectFrame(icmp({ type: 8 }), { count: 3, within: '5 s' })
    const twelfth = lab.expectFrame(icmp({ type: 8 }), { count: 12, within: '20 s' })
    await a.ping('b', { count: 10 })
    assert.equal((await third).time, 2e9)
    await assert.rejects(twelfth, /^ExpectationError: 10 of 12 frames matched icmp\(\{ type: 8 \}\) within 20 s, from 0 s on\n/)
  }))

test('what does not come is told with what came instead', () =>
  withLab({ seed: 1 }, async (lab) => {
    const [a, b] = await two(lab)
    await a.ping('b')
    await lab.wait(100)
    const expected = lab.expectFrame(ipv4({ dst: b.address }), udp({ dstPort: 53 }), { within: '2 s', at: b })
    await a.ping('b')
    const error = await expected.then(
      () => assert.fail('it came'),
      (reason: unknown) => reason as Error
    )
    assert.ok(error instanceof ExpectationError)
    const lines = error.message.split('\n')
    assert.equal(lines[0], 'no frame matched ipv4({ dst: "192.0.2.3" }), udp({ dstPort: 53 }) at lan/b within 2 s, from 0.1 s on')
    assert.match(error.message, /^ +0\.100000 s {2}lan\/a > {8}IP 192\.0\.2\.2\.\d+ > 127\.0\.0\.11\.53: .* A\? b\. .*ipv4\.dst$/m)
    assert.match(error.message, /^ +0\.100000 s {2}lan\/a > lan\/b {2}IP 192\.0\.2\.2 > 192\.0\.2\.3: ICMP echo request.* udp$/m)
    assert.match(error.message, /^ +0\.000000 s .* \(before\)$/m)
    assert.equal(lab.now, 2.1e9)
  }))

test('one that came too early is told of', () =>
  withLab({ seed: 1 }, async (lab) => {
    const [a] = await two(lab)
    await a.ping('b')
    await lab.wait(1)
    await assert.rejects(lab.expectFrame(icmp({ type: 0 })), /one did at 0 s, before: begin to expect before you do what sends the frame/)
  }))

test('what must not come', () =>
  withLab({ seed: 1 }, async (lab) => {
    const [a, b] = await two(lab)
    await lab.expectNoFrame(ethernet(), { within: 5 })
    assert.equal(lab.now, 5e6)
    const none = lab.expectNoFrame(icmp({ type: 0 }), { within: '1 h' })
    await lab.wait(1000)
    await a.ping(b.address)
    await assert.rejects(none, /there should be no frame that matches icmp\(\{ type: 0 \}\)\n {2}at 1\.005 s, from lan\/b: .*echo reply/)
    assert.equal(lab.now, 1.005e9)
  }))

test('an expectation that nobody waits for fails the script all the same, at its time', async () => {
  const forgotten = withLab({ seed: 1, print: () => {} }, async (lab) => {
    await two(lab)
    lab.expectFrame(udp(), { within: '3 s' })
  })
  await assert.rejects(forgotten, /no frame matched udp\(\) within 3 s.*\n {2}no frame was seen at all/)
})

test('mistakes are told where they are made', () =>
  withLab({ seed: 1 }, async (lab) => {
    await two(lab)
    const wrong =
      (fields: object): (() => unknown) =>
      () =>
        lab.expectFrame(udp(fields))
    assert.throws(wrong({ port: 53 }), { name: 'Error', message: /udp has no field 'port': there is srcPort, dstPort/ })
    assert.throws(wrong({ dstPort: 'dns' }), PatternError)
    assert.throws(wrong({ dstPort: { least: 3 } }), /udp\.dstPort: a range has min and max, not least/)
    assert.throws(() => lab.expectFrame(ipv4({ dst: '2001:db8::1' })), /ipv4\.dst: 2001:db8::1 is not an address of IPv4/)
    assert.throws(() => lab.expectFrame(ethernet({ src: '02' })), /ethernet\.src/)
    assert.throws(() => lab.expectFrame(dns({ name: 'a..b' })), /dns\.name: 'a\.\.b' is not a domain name/)
    assert.throws(() => lab.expectFrame(udp(), { at: 'nobody' }), { code: 'not-found', message: 'no endpoint is called nobody' })
    assert.throws(() => lab.expectFrame(udp(), { within: 'soon' }), { code: 'invalid', message: "within: 'soon' is no time" })
    const other = await lab.network('other')
    await other.host('a')
    assert.throws(() => lab.expectFrame(udp(), { at: 'a' }), { code: 'conflict', message: 'lan/a and other/a are called a' })
  }))

test('a lab without a probe says so', async () => {
  await using lab = await Lab.create({ clock: 'virtual' })
  assert.throws(() => lab.expectFrame(udp()), { code: 'unsupported' })
  assert.throws(() => lab.faults, NetworkError)
})

test('in real time, too', async () => {
  await using lab = await Lab.create({ probe: true, upstreams: [] })
  const [a, b] = await two(lab)
  const expected = lab.expectFrame(udp({ dstPort: 7 }), { within: '2 min', at: b })
  const socket = await a.udp()
  await socket.send(b.address, 7, 'hello')
  assert.equal((await expected).way, 'in')
})

/** A SYN to port 80, with good checksums: 54 bytes. */
function syn(from: LabHost, to: LabHost): Uint8Array {
  const mac = (text: string): number[] => text.split(':').map((part) => Number.parseInt(part, 16))
  const ip = (text: string): number[] => text.split('.').map(Number)
  const header = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, ...ip(from.address), ...ip(to.address)]
  const tcpHeader = [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0]
  const pseudo = [...ip(from.address), ...ip(to.address), 0, 6, 0, 20, ...tcpHeader]
  const sum = (bytes: number[]): number => {
    let total = 0
    for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] << 8) | bytes[i + 1]
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
    return ~total & 0xffff
  }
  const put = (bytes: number[], at: number, value: number): void => {
    bytes[at] = value >> 8
    bytes[at + 1] = value & 0xff
  }
  put(header, 10, sum(header))
  put(tcpHeader, 16, sum(pseudo))
  return Uint8Array.from([...mac(to.mac), ...mac(from.mac), 8, 0, ...header, ...tcpHeader])
}
