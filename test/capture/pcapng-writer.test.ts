import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { optionText } from '../../src/capture/block-buffer.ts'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { BlockType, walkBlocks } from './block-walker.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { BASE_TIME, MemorySink, recordOf, sampleFrame, samplePcapng } from './sample-capture.ts'

test('a section header and one interface, byte by byte', () => {
  const sink = new MemorySink()
  const writer = new PcapngWriter(sink, { snapLength: 256 })
  assert.equal(writer.addInterface({ name: 'web' }), 0)
  assert.equal(writer.addInterface({}), 1)
  writer.flush()
  const words = (...values: number[]) => values.map((value) => value.toString(16).padStart(8, '0')).join('')
  const section = `0a0d0d0a${words(0x1c000000, 0x4d3c2b1a, 0x01000000, 0xffffffff, 0xffffffff, 0x1c000000)}`
  const named = words(0x01000000, 0x28000000, 0x01000000, 0x00010000, 0x02000300, 0x77656200, 0x09000100, 0x09000000, 0, 0x28000000)
  const bare = words(0x01000000, 0x20000000, 0x01000000, 0x00010000, 0x09000100, 0x09000000, 0, 0x20000000)
  assert.equal(sink.bytes.toString('hex'), section + named + bare)
})

test('everything that is written is read back', () => {
  const reader = readCapture(samplePcapng())
  const frames = [...reader]
  assert.equal(reader.format, 'pcapng')
  assert.equal(reader.truncatedAt, undefined)
  assert.deepEqual(reader.sections, [{ application: 'netloom', hardware: 'loom', os: 'none', comment: 'a section' }])
  const [web, client] = reader.interfaces
  assert.equal(web!.name, 'demo-net/web')
  assert.equal(web!.description, 'the port of web')
  assert.equal(Buffer.from(web!.mac!).toString('hex'), '0242ac190002')
  assert.deepEqual(
    web!.ipv4!.map(({ address, mask }) => [...address, ...mask]),
    [[172, 25, 0, 2, 255, 255, 0, 0]]
  )
  assert.equal(web!.ipv6![0]!.prefixLength, 64)
  assert.equal(web!.ipv6![0]!.address[15], 2)
  assert.equal(web!.speed, 10_000_000_000n)
  assert.equal(web!.filter, 'arp')
  assert.equal(web!.os, 'Linux')
  assert.equal(web!.comment, 'an interface')
  assert.equal(web!.snapLength, 128)
  assert.deepEqual(web!.statistics, {
    start: BASE_TIME,
    end: BASE_TIME + 2n ** 40n,
    received: 5n,
    dropped: 2n,
    accepted: 4n,
    osDropped: 1n,
    delivered: 2n
  })
  assert.equal(client!.name, 'demo-net/client')
  assert.deepEqual(client!.statistics, { received: 1n })
  assert.deepEqual(
    reader.names.map(({ names }) => names),
    [['web', 'web.demo-net'], ['web6']]
  )
  assert.deepEqual(
    frames.map((frame) => frame.timestampNs - BASE_TIME),
    [0n, 1n, 2n ** 40n]
  )
  assert.deepEqual(
    frames.map((frame) => [frame.data.length, frame.originalLength]),
    [
      [60, 60],
      [61, 61],
      [128, 1514]
    ]
  )
  assert.deepEqual(Buffer.from(frames[2]!.data), Buffer.from(sampleFrame(1514).subarray(0, 128)))
  const [plain, rich, last] = frames
  assert.deepEqual(Object.keys(plain!).sort(), ['data', 'interface', 'originalLength', 'timestampNs'])
  assert.equal(rich!.interface, 1)
  assert.equal(rich!.comment, 'dropped: ✂')
  assert.equal(rich!.flags, 0b101)
  assert.equal(rich!.packetId, 7n)
  assert.equal(rich!.dropCount, 3n)
  assert.equal(rich!.verdict!.type, 1)
  assert.equal(Buffer.from(rich!.verdict!.data).readBigUInt64LE(), 2n)
  assert.equal(last!.packetId, 0xffff_fffen, 'a packet id that has passed 2^31 stays positive')
})

test('timestamps carry from the low word to the high one at every edge', () => {
  const word = 2 ** 32
  for (const base of [0n, 0xffff_ffffn, 0x1_0000_0000n, BASE_TIME]) {
    for (const ns of [0, 1, word - 1, word, word + 1, 5 * word - 1, 2 ** 53 - 1]) {
      const sink = new MemorySink()
      const writer = new PcapngWriter(sink, { baseTime: base })
      writer.addInterface({})
      writer.writeFrame(recordOf(sampleFrame(14), { timestamp: ns }))
      writer.flush()
      assert.equal([...readCapture(sink.bytes)][0]!.timestampNs, base + BigInt(ns), `${base} + ${ns}`)
    }
  }
})

test('a small buffer gives the sink whole blocks, and the same bytes', () => {
  const write = (bufferSize: number) => {
    const chunks: Buffer[] = []
    const writer = new PcapngWriter({ write: (bytes) => chunks.push(Buffer.from(bytes)) }, { bufferSize })
    writer.addInterface({ name: 'x' })
    for (let length = 14; length < 400; length++) writer.writeFrame(recordOf(sampleFrame(length), { packetId: length }))
    writer.flush()
    return { bytes: Buffer.concat(chunks), chunks }
  }
  const whole = write(1 << 20)
  const pieces = write(200)
  assert.equal(whole.chunks.length, 1)
  assert.ok(pieces.chunks.length > 300)
  assert.deepEqual(pieces.bytes, whole.bytes)
  for (const chunk of pieces.chunks) {
    let at = 0
    while (at < chunk.length) at += chunk.readUInt32LE(at + 4)
    assert.equal(at, chunk.length)
  }
})

test('a text longer than an option can hold is cut between characters', () => {
  const text = optionText(`${'a'.repeat(65_534)}é`)
  assert.equal(text.length, 65_534)
  assert.equal(optionText('é'.repeat(32_767)).length, 65_534)
})

test('tshark, capinfos, editcap and mergecap read what we write', { skip: missing('tshark') }, (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'sample.pcapng')
  writeFileSync(file, samplePcapng())
  const fields = ['frame.interface_id', 'frame.interface_name', 'frame.time_epoch', 'frame.cap_len', 'frame.len']
  assert.deepEqual(tsharkFields(file, ...fields), [
    ['0', 'demo-net/web', '1767323045.999999999', '60', '60'],
    ['1', 'demo-net/client', '1767323046.000000000', '61', '61'],
    ['0', 'demo-net/web', '1767324145.511627775', '128', '1514']
  ])
  const details = run('tshark', ['-n', '-r', file, '-V'])
  assert.match(details, /Packet id: 7/)
  assert.match(details, /Direction: Inbound \(0x1\)/)
  assert.match(details, /Direction: Outbound \(0x2\)/)
  assert.match(details, /Reception type: Broadcast \(3\)/)
  assert.match(details, /dropped: ✂/)
  assert.match(details, /TC_ACT_SHOT \(2\)/)
  const summary = run('capinfos', ['-M', file])
  assert.match(summary, /Number of packets:\s+3/)
  assert.match(summary, /Number of interfaces in file: 2/)
  assert.match(summary, /Name = demo-net\/web/)
  assert.match(summary, /Speed = 10000000000/)
  assert.match(summary, /Capture application: netloom/)
  assert.match(summary, /Number of resolved IPv4 addresses in file: 2/)
  const edited = path.join(folder, 'edited.pcapng')
  run('editcap', ['-r', file, edited, '2-3'])
  assert.deepEqual(
    [...readCapture(edited)].map((frame) => frame.data.length),
    [61, 128]
  )
  const merged = path.join(folder, 'merged.pcapng')
  run('mergecap', ['-a', '-w', merged, file, file])
  assert.equal([...readCapture(merged)].length, 6)
})

test('tcpdump reads what we write', { skip: missing('tcpdump') }, (t) => {
  const file = path.join(temporaryFolder(t), 'sample.pcapng')
  writeFileSync(file, samplePcapng())
  const lines = run('tcpdump', ['-nn', '-e', '-tt', '--nano', '-r', file])
    .trim()
    .split('\n')
    .filter((line) => line.includes('02:cc'))
  assert.equal(lines.length, 3)
  assert.match(lines[0]!, /^1767323045\.999999999 02:cc:00:00:00:02 > 02:cc:00:00:00:01.*length 60/)
})

test('names with a comment have a block of their own, and a comment may stand alone', { skip: missing('tshark') }, (context) => {
  const sink = new MemorySink()
  const writer = new PcapngWriter(sink, { baseTime: BASE_TIME })
  writer.addInterface({ name: 'web' })
  const [web, db] = [Uint8Array.of(192, 0, 2, 2), Uint8Array.of(192, 0, 2, 3)]
  const entries = [
    { address: web, names: ['web'] },
    { address: db, names: ['db', 'db.lan'], comment: 'behind 192.0.2.12' },
    { address: db, names: [], comment: 'gone' }
  ]
  writer.writeNames(entries)
  writer.writeFrame(recordOf(sampleFrame(60)))
  writer.flush()
  const blocks = walkBlocks(sink.bytes).filter(({ type }) => type === BlockType.names)
  assert.deepEqual(
    blocks.map(({ options }) => [...options].map(([code, values]) => [code, values.map(String)])),
    [[], [[1, ['behind 192.0.2.12']]], [[1, ['gone']]]]
  )
  const reader = readCapture(sink.bytes)
  assert.equal([...reader].length, 1)
  const empty = new Uint8Array(0)
  assert.deepEqual(
    reader.names.map((entry) => ({ ...entry, address: Uint8Array.from(entry.address) })),
    [entries[0], entries[1], { ...entries[2], address: empty }]
  )
  const file = path.join(temporaryFolder(context), 'names.pcapng')
  writeFileSync(file, sink.bytes)
  assert.deepEqual(tsharkFields(file, 'frame.interface_name'), [['web']])
})
