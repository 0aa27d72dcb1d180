// Captures of other programs and other link types: read as tshark reads them, made into Ethernet frames, or refused in words.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CapturedFrame, CaptureInterface } from '../../src/capture/capture-reader.ts'
import { PcapWriter } from '../../src/capture/pcap-writer.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { type LinkAddresses, toEthernet } from '../../src/capture/to-ethernet.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { MemorySink, recordOf } from './sample-capture.ts'

const data = path.resolve(import.meta.dirname, '../../../test/capture/data')
const ping = path.join(data, 'ping.nano.pcap')

const SOURCE = Uint8Array.of(2, 0xcc, 0, 0, 0, 0x51)
const TARGET = Uint8Array.of(2, 0xcc, 0, 0, 0, 0xd5)
const addresses: LinkAddresses = { source: SOURCE, destination: () => TARGET }

const frameOf = (data: Uint8Array, more: Partial<CapturedFrame> = {}): CapturedFrame => {
  return { interface: 0, timestampNs: 0n, data, originalLength: data.length, ...more }
}
const hex = (bytes: Uint8Array | string): string => (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('hex'))

/** A UDP packet without data from 192.0.2.1, and one from 2001:db8::1. */
const packet4 = (to: string): Buffer => Buffer.from(`4500001c00010000401100${'00'}c0000201${to}${'0035003500080000'}`, 'hex')
const packet6 = (to: string): Buffer => Buffer.from(`600000000008${'11'}4020010db8000000000000000000000001${to}0035003500080000`, 'hex')
const UNICAST4 = 'c0000202'
const UNICAST6 = '20010db8000000000000000000000002'

test('every format that editcap writes', { skip: missing('editcap') }, (t) => {
  const folder = temporaryFolder(t)
  const expected = [...readCapture(ping)].map(({ data, originalLength }) => [hex(data), originalLength])
  for (const format of ['pcap', 'nsecpcap', 'modpcap', 'pcapng']) {
    const file = path.join(folder, format)
    run('editcap', ['-F', format, ping, file])
    const frames = [...readCapture(file)]
    assert.deepEqual(
      frames.map(({ data, originalLength }) => [hex(data), originalLength]),
      expected,
      format
    )
    // Judged to the nanosecond where the format has them.
    const times = tsharkFields(file, 'frame.time_epoch').flat()
    assert.deepEqual(
      frames.map(({ timestampNs: ns }) => `${ns / 1_000_000_000n}.${`${ns % 1_000_000_000n}`.padStart(9, '0')}`),
      times
    )
  }
})

/** The frames of a foreign file, as an Ethernet pcap. */
function converted(t: TestContext, file: string): { file: string; refused: string[] } {
  const sink = new MemorySink()
  const writer = new PcapWriter(sink, {})
  const reader = readCapture(file)
  const refused: string[] = []
  for (const frame of reader) {
    const bytes = toEthernet(frame, reader.interfaces[frame.interface], addresses)
    if (typeof bytes === 'string') refused.push(bytes)
    else writer.writeFrame(recordOf(bytes))
  }
  writer.flush()
  const folder = path.join(temporaryFolder(t), 'converted')
  mkdirSync(folder, { recursive: true })
  const out = path.join(folder, path.basename(file))
  writeFileSync(out, sink.bytes)
  return { file: out, refused }
}

test('a merged capture of Ethernet, raw IP and IEEE 802.11 interfaces', { skip: missing('mergecap') }, (t) => {
  const folder = temporaryFolder(t)
  const raw = path.join(folder, 'raw.pcap')
  const merged = path.join(folder, 'merged.pcapng')
  const radio = path.join(folder, 'radio.pcap')
  // The Ethernet header cut off: what a tun interface shows. ARP frames go before: they have no packet.
  run('editcap', ['-F', 'pcap', ping, raw, '1', '2'])
  run('editcap', ['-F', 'pcap', '-C', '14', '-L', '-T', 'rawip', raw, `${raw}.cut`])
  run('editcap', ['-F', 'pcap', '-T', 'ieee-802-11', ping, radio])
  run('mergecap', ['-a', '-w', merged, ping, `${raw}.cut`, radio])
  const { file, refused } = converted(t, merged)
  assert.deepEqual([...new Set(refused)], ['link type 105 (IEEE 802.11) cannot become Ethernet'])
  assert.equal(refused.length, 6)
  const seen = tsharkFields(file, 'eth.dst', 'ip.src', 'ip.dst', 'icmp.type', '_ws.malformed')
  const packets = seen.filter(([, source]) => source !== '')
  assert.equal(packets.length, 8)
  assert.deepEqual(
    packets.slice(4).map(([, ...fields]) => fields),
    packets.slice(0, 4).map(([, ...fields]) => fields)
  )
  assert.deepEqual([...new Set(packets.slice(4).map(([mac]) => mac))], ['02:cc:00:00:00:d5'])
})

test('each link type that has packets', () => {
  const ethernet = (to: string, from: string, type: string, body: Uint8Array): string => to + from + type + hex(body)
  const [us, them] = [hex(SOURCE), hex(TARGET)]
  const sender = '02cc000000aa'
  const unicast4 = packet4(UNICAST4)
  const unicast6 = packet6(UNICAST6)
  const sll = (kind: string, length: string, address: string, type: string): Buffer =>
    Buffer.from(`${kind}0001${length}${address.padEnd(16, '0')}${type}`, 'hex')
  const sll2 = (kind: string, length: string, address: string, type: string): Buffer =>
    Buffer.from(`${type}0000000000010001${kind}${length}${address.padEnd(16, '0')}`, 'hex')
  const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts)
  const arp = Buffer.from(`0001080006040002${sender}c0000201${them}c0000202`, 'hex')
  const question = Buffer.from(`0001080006040001${sender}c0000201000000000000c0000202`, 'hex')
  const cases: [number, Uint8Array, string][] = [
    [101, unicast4, ethernet(them, us, '0800', unicast4)],
    [12, unicast4, ethernet(them, us, '0800', unicast4)],
    [14, unicast6, ethernet(them, us, '86dd', unicast6)],
    [228, unicast4, ethernet(them, us, '0800', unicast4)],
    [229, unicast6, ethernet(them, us, '86dd', unicast6)],
    [101, packet4('ffffffff'), ethernet('ffffffffffff', us, '0800', packet4('ffffffff'))],
    [101, packet4('e0800005'), ethernet('01005e000005', us, '0800', packet4('e0800005'))],
    [229, packet6('ff0200000000000000000001ff000002'), ethernet('3333ff000002', us, '86dd', packet6('ff0200000000000000000001ff000002'))],
    // AF_INET of this machine's byte order and the other; AF_INET6 of a BSD.
    [0, join(Uint8Array.of(2, 0, 0, 0), unicast4), ethernet(them, us, '0800', unicast4)],
    [0, join(Uint8Array.of(0, 0, 0, 2), unicast4), ethernet(them, us, '0800', unicast4)],
    [108, join(Uint8Array.of(0, 0, 0, 30), unicast6), ethernet(them, us, '86dd', unicast6)],
    [113, join(sll('0004', '0006', sender, '0800'), unicast4), ethernet(them, sender, '0800', unicast4)],
    [113, join(sll('0004', '0000', '', '86dd'), unicast6), ethernet(them, us, '86dd', unicast6)],
    // The loopback interface has an address of zeros.
    [113, join(sll('0000', '0006', '', '0800'), unicast4), ethernet(them, us, '0800', unicast4)],
    [113, join(sll('0004', '0006', sender, '0806'), arp), ethernet(them, sender, '0806', arp)],
    [113, join(sll('0001', '0006', sender, '0806'), arp), ethernet('ffffffffffff', sender, '0806', arp)],
    [276, join(sll2('00', '06', sender, '0806'), question), ethernet('ffffffffffff', sender, '0806', question)],
    [276, join(sll2('04', '06', sender, '0800'), unicast4), ethernet(them, sender, '0800', unicast4)],
    [1, Buffer.from(`${them}${sender}88b5`, 'hex'), `${them}${sender}88b5`]
  ]
  for (const [linkType, bytes, expected] of cases) {
    assert.equal(hex(toEthernet(frameOf(bytes), { linkType, snapLength: 0 }, addresses)), expected, `link type ${linkType}: ${hex(bytes)}`)
  }
})

test('what cannot be played is refused in words, whatever its length', () => {
  const refuse = (linkType: number, bytes: Uint8Array, more: Partial<CapturedFrame> = {}, info: Partial<CaptureInterface> = {}): string =>
    hex(toEthernet(frameOf(bytes, more), { linkType, snapLength: 0, ...info }, addresses))
  assert.equal(refuse(1, new Uint8Array(60), { originalLength: 61 }), 'cut by the snap length of the capture')
  assert.equal(refuse(1, new Uint8Array(13)), 'shorter than an Ethernet header')
  assert.equal(refuse(101, Uint8Array.of(0x55, 1, 2)), 'no IPv4 or IPv6 packet')
  assert.equal(refuse(147, new Uint8Array(60)), 'link type 147 (user-defined) cannot become Ethernet')
  assert.equal(refuse(4711, new Uint8Array(60)), 'link type 4711 cannot become Ethernet')
  assert.match(refuse(113, Buffer.from('000000010006000000000000000000040000', 'hex')), /link control/)
  for (const linkType of [0, 1, 12, 101, 108, 113, 228, 229, 276]) {
    for (let length = 0; length < 64; length++) {
      for (const fill of [0, 0x45, 0x60, 0xff]) {
        const bytes = toEthernet(frameOf(new Uint8Array(length).fill(fill)), { linkType, snapLength: 0 }, addresses)
        assert.ok(typeof bytes === 'string' || bytes.length >= 14, `${linkType} ${length}`)
      }
    }
  }
})

test('a frame check sequence is taken off, as both formats tell of it', () => {
  const body = Buffer.alloc(64, 7)
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes
  }
  // Two units of 16 bits, and the bit that says so.
  const pcap = Buffer.concat([0xa1b2c3d4, 0x00040002, 0, 0, 65_535, 0x2400_0001, 1, 2, 64, 64].map(word).concat(body))
  const section = Buffer.concat([0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28].map(word))
  const block = Buffer.concat([1, 28, 1, 0, 0x0001000d, 32, 28].map(word))
  const pcapng = Buffer.concat([section, block, Buffer.concat([6, 96, 0, 0, 1, 64, 64].map(word)), body, word(96)])
  for (const file of [pcap, pcapng]) {
    const reader = readCapture(file)
    const [frame] = reader
    assert.equal(reader.interfaces[0].fcsLength, 4)
    assert.equal(frame.data.length, 64)
    assert.equal(toEthernet(frame, reader.interfaces[0], addresses).length, 60)
  }
})
