/** Captures over the control plane in virtual time: what stands in the files, by our reader and by tshark. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CapturedFrame } from '../../src/capture/capture-reader.ts'
import { compileFilter } from '../../src/capture/filter/compile-filter.ts'
import { Direction } from '../../src/capture/frame-record.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { CaptureControl } from '../../src/network/capture-control.ts'
import type { CaptureWish } from '../../src/network/capture-session.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { BlockType, walkBlocks } from '../capture/block-walker.ts'
import { missing, run, temporaryFolder, tsharkFields } from '../capture/judge.ts'
import { OverlayHosts } from './overlay-hosts.ts'
import { OUR_ADDRESS, VirtualUplink, WORLD_ADDRESS } from './virtual-uplink.ts'

const NO_TSHARK = missing('tshark')

/** A host with the network `lan` behind a NAT, and captures of it. */
class CaptureWorld {
  readonly engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  readonly controller = new NetworkController({
    engine: this.engine,
    addresses: new AddressSpace(),
    random: new Random('ids'),
    uplink: new VirtualUplink()
  })
  readonly captures = new CaptureControl({ engine: this.engine, section: { application: 'netloom', os: 'none', comment: 'a lab, seed 7' } })
  private readonly folder: string
  private files = 0

  constructor(context: TestContext) {
    this.folder = temporaryFolder(context)
    this.captures.addHost('', this.controller)
  }

  async start(): Promise<this> {
    await this.controller.start()
    await this.controller.createNetwork({ name: 'lan', subnet: '198.51.100.0/24' })
    return this
  }

  plug(name: string): Promise<Endpoint> {
    return this.controller.connect('lan', { name }, (begun, { pool }) => ({
      type: 'host',
      options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway }
    }))
  }

  async ping({ element }: Endpoint, address: string): Promise<number> {
    const result = this.engine.command(element, 'ping', { address, timeoutMs: 300 })
    return ((await this.engine.settle(result)) as { received: number }).received
  }

  /** What is captured while `work` goes on. */
  async capture(wish: CaptureWish, work: () => Promise<unknown>) {
    const file = path.join(this.folder, `${this.files++}.pcapng`)
    const capture = await this.captures.open(wish, { path: file })
    await work()
    const summary = await capture.stop()
    const reader = readCapture(file)
    const frames = [...reader]
    return { file, summary, reader, frames, at: (frame: CapturedFrame) => reader.interfaces[frame.interface].name }
  }
}

/** `interface source > destination`, of IPv4. */
function walk(frames: readonly CapturedFrame[], at: (frame: CapturedFrame) => string | undefined): string[] {
  const address = (data: Uint8Array, from: number): string => data.subarray(from, from + 4).join('.')
  return frames
    .filter(({ data }) => data[12] === 8 && data[13] === 0)
    .map((frame) => `${at(frame)} ${address(frame.data, 26)} > ${address(frame.data, 30)}`)
}

test('a frame before and after NAT has one packet id; each content is recorded once', async (t) => {
  const world = await new CaptureWorld(t).start()
  const web = await world.plug('web')
  const { frames, at, reader, summary } = await world.capture({}, () => world.ping(web, WORLD_ADDRESS))
  assert.deepEqual(walk(frames, at), [
    `lan/web ${web.address} > ${WORLD_ADDRESS}`,
    `uplink ${OUR_ADDRESS} > ${WORLD_ADDRESS}`,
    `uplink ${WORLD_ADDRESS} > ${OUR_ADDRESS}`,
    `lan/web ${WORLD_ADDRESS} > ${web.address}`
  ])
  const [request, translated, answer, back] = frames.filter(({ data }) => data[12] === 8 && data[13] === 0)
  assert.equal(request.packetId, translated.packetId)
  assert.equal(answer.packetId, back.packetId)
  assert.notEqual(request.packetId, answer.packetId)
  assert.deepEqual(
    [request, translated, answer, back].map(({ flags }) => flags! & 3),
    [Direction.inbound, Direction.outbound, Direction.inbound, Direction.outbound]
  )
  assert.equal(summary.frames, frames.length)
  assert.equal(reader.sections[0].comment, 'a lab, seed 7')
  assert.equal(
    reader.interfaces.reduce((sum, { statistics }) => sum + Number(statistics!.delivered), 0),
    frames.length
  )
  await world.controller.close()
})

test('a frame before, in and after VXLAN has one packet id, in one file of two hosts', async (t) => {
  const hosts = new OverlayHosts()
  const [one, two] = [await hosts.host(1), await hosts.host(2)]
  one.driver.setVteps([two.address])
  two.driver.setVteps([one.address])
  const id = 'a'.repeat(64)
  const captures = new CaptureControl({ engine: hosts.engine, section: {} })
  const file = path.join(temporaryFolder(t), 'vxlan.pcapng')
  captures.addHost('host1', one.controller)
  captures.addHost('host2', two.controller)
  // Nothing of it is there yet: it all joins.
  const capture = await captures.open({}, { path: file })
  const ends: Endpoint[] = []
  for (const [index, host] of [one, two].entries()) {
    const address = `10.0.9.${index + 2}`
    const network = await host.controller.createNetwork({ id, name: 'net', driver: 'overlay', subnet: '10.0.9.0/24', mtu: 1450 })
    host.driver.setVni(network, address, 256)
    ends.push(await host.plug(id, { name: `c${index + 1}`, address }))
  }
  const remote = ({ id, names, address, address6, mac }: Endpoint, vtep: string) => ({ id, names, address, address6, mac, vtep })
  await one.controller.updateRemotes(id, [remote(ends[1], two.address)], [])
  await two.controller.updateRemotes(id, [remote(ends[0], one.address)], [])
  assert.equal((await one.ping(ends[0], ends[1].address)).received, 1)
  await capture.stop()
  const reader = readCapture(file)
  const frames = [...reader]
  const request = frames.find(({ data }) => data[12] === 8 && data[23] === 1)!
  const same = frames.filter(({ packetId }) => packetId === request.packetId)
  assert.deepEqual(
    same.map((frame) => reader.interfaces[frame.interface].name),
    ['host1/net/c1', 'host1/underlay', 'host2/net/c2']
  )
  assert.equal(same[1].data.length, same[0].data.length + 50, 'outer Ethernet, IPv4, UDP and VXLAN')
  assert.deepEqual(Buffer.from(same[1].data.subarray(50)), Buffer.from(same[0].data))
  if (NO_TSHARK === false) {
    const rows = tsharkFields(file, 'frame.packet_id', 'frame.interface_name', 'vxlan.vni', 'icmp.type').filter((row) => row[3] === '8')
    assert.deepEqual(
      rows.map(([, name, vni]) => [name, vni]),
      [
        ['host1/net/c1', ''],
        ['host1/underlay', '256'],
        ['host2/net/c2', '']
      ]
    )
    assert.equal(new Set(rows.map(([packetId]) => packetId)).size, 1)
  }
  await captures.close()
})

test('a dropped frame stands there with verdict and reason; not where that is not wanted', async (t) => {
  const world = await new CaptureWorld(t).start()
  const [web, db] = [await world.plug('web'), await world.plug('db')]
  await world.ping(web, db.address)
  await world.controller.setLink('lan', 'web', { out: { loss: { model: 'random', probability: 1 } } as never })
  for (const drops of [true, false]) {
    const { file, frames, at } = await world.capture({ drops }, async () => assert.equal(await world.ping(web, db.address), 0))
    const lost = frames.filter(({ verdict }) => verdict !== undefined)
    if (!drops) {
      assert.deepEqual(lost, [])
      continue
    }
    assert.ok(lost.length > 0)
    for (const frame of lost) {
      assert.equal(at(frame), 'lan/web')
      assert.match(frame.comment!, /^dropped at lan\/web\/link: netem\.loss: /)
      assert.equal(frames.filter(({ packetId }) => packetId === frame.packetId).length, 2, 'as it came in, and as it ended')
    }
    if (NO_TSHARK !== false) continue
    const rows = tsharkFields(file, 'frame.verdict.ebpf_tc', 'frame.comment', 'frame.packet_flags_direction', 'frame.packet_id')
    const told = rows.filter(([verdict]) => verdict !== '')
    assert.equal(told.length, lost.length)
    assert.deepEqual([Number(told[0][0]), told[0][1], Number(told[0][2])], [2, lost[0].comment, 1])
  }
  await world.controller.close()
})

test('interfaces, names, filter and statistics, as tshark and capinfos tell them', { skip: NO_TSHARK }, async (t) => {
  const world = await new CaptureWorld(t).start()
  const web = await world.plug('web')
  const text = 'icmp'
  const filter = { text, program: compileFilter(text) }
  let late: Endpoint | undefined
  const { file, frames, reader } = await world.capture({ targets: ['lan'], filter, snapLength: 64, comment: 'for tshark' }, async () => {
    late = await world.plug('late')
    await world.ping(web, late.address)
    await world.controller.updateEndpoint('lan', 'late', { name: 'later', names: ['later'] })
  })
  assert.equal(frames.length, 2, 'the echo and its answer, not the ARP before')
  const rows = tsharkFields(file, 'frame.interface_name', 'frame.interface_description', 'frame.cap_len', 'frame.len')
  assert.deepEqual(
    rows.map(([name, description, kept]) => [name, description, kept]),
    [
      ['lan/web', 'bridge network lan, endpoint web', '64'],
      ['lan/late', 'bridge network lan, endpoint late', '64']
    ]
  )
  const [first, second] = reader.interfaces
  assert.deepEqual([first.name, first.filter, first.os, first.speed, first.snapLength], ['lan/web', text, 'none', 10_000_000_000n, 64])
  assert.equal(Buffer.from(first.mac!).toString('hex'), web.mac.replaceAll(':', ''))
  assert.equal(first.ipv4![0].address.join('.'), web.address)
  const { statistics } = second
  assert.equal(statistics!.received! - statistics!.accepted!, BigInt(1), 'the answer to ARP was seen and not wanted')
  assert.deepEqual([statistics!.accepted, statistics!.dropped, statistics!.delivered], [1n, 0n, 1n])
  const hosts = run('tshark', ['-r', file, '-q', '-z', 'hosts,ipv4'])
  assert.match(hosts, new RegExp(`${web.address.replaceAll('.', '\\.')}\\s+web`))
  assert.match(hosts, new RegExp(`${late!.address.replaceAll('.', '\\.')}\\s+later`), 'a name that came while it ran')
  assert.deepEqual(
    reader.names.map(({ names }) => names[0]),
    ['web', 'late', 'later']
  )
  const about = run('capinfos', ['-M', file])
  assert.match(about, /a lab, seed 7; for tshark/)
  assert.match(about, /Capture application:\s+netloom/)
  assert.match(about, /Number of interfaces in file: 2/)
  assert.match(about, /Filter string = icmp/)
  assert.match(about, /Speed = 10000000000/)
  assert.match(about, /Time precision = nanoseconds \(9\)/)
  assert.match(about, /Operating system = none/)
  assert.match(about, /Number of stat entries = 1/)
  assert.equal(run('tshark', ['-r', file, '-Y', '_ws.malformed']), '')
  await world.controller.close()
})

test('several at once on one point, each with its own filter and time; nobody is in the way of traffic or of another', async (t) => {
  const world = await new CaptureWorld(t).start()
  const [web, db] = [await world.plug('web'), await world.plug('db')]
  const counts: number[] = []
  const all = await world.capture({ targets: ['web'] }, async () => {
    const filter = { text: 'arp', program: compileFilter('arp') }
    const arp = await world.capture({ targets: ['lan/web'], filter }, () => world.ping(web, db.address))
    const both = await world.capture({ targets: ['db', 'web'], everyPort: true }, () => world.ping(web, db.address))
    counts.push(arp.frames.length, both.frames.length)
    assert.equal(world.captures.captures().length, 1)
    assert.deepEqual(world.captures.captures()[0].points, ['lan/web'])
    assert.equal(await world.ping(web, db.address), 1)
  })
  // ARP and its answer; echo and answer at two ports each; three rounds of echo and answer.
  assert.deepEqual([...counts, all.frames.length], [2, 4, 8])
  const { elements } = (world.engine as unknown as { engine: { running: { elements: object } } }).engine.running
  assert.deepEqual(
    Object.keys(elements).filter((name) => name.includes('capture')),
    [],
    'no element is left where nothing is captured'
  )
  assert.equal(await world.engine.framesInUse(), 0)
  await world.controller.close()
})

test('captures with the same points share a mark; different ones do not hide frames from each other', async (t) => {
  const world = await new CaptureWorld(t).start()
  const [web, db] = [await world.plug('web'), await world.plug('db')]
  await world.ping(web, db.address)
  const inner: number[] = []
  // More than there are marks: the last ones record at every port.
  const nest = async (depth: number): Promise<unknown> => {
    if (depth === 0) return world.ping(web, db.address)
    const targets = depth % 2 === 0 ? ['lan', ...Array<string>(depth).fill('all')] : ['db']
    inner.push((await world.capture({ targets }, () => nest(depth - 1))).frames.length)
    return undefined
  }
  await nest(60)
  assert.equal(inner.length, 60)
  for (const [index, count] of inner.entries()) {
    const depth = index + 1
    // At one port, or once; where no mark was left, at both ports.
    const expected = depth % 2 === 1 ? [2] : [2, 4]
    assert.ok(expected.includes(count), `depth ${depth}: ${count}`)
  }
  await world.controller.close()
})

test('block by block, as the format has it: lengths, addresses, packet ids, counts', async (t) => {
  const world = await new CaptureWorld(t).start()
  const web = await world.plug('web')
  const { file, summary } = await world.capture({}, () => world.ping(web, WORLD_ADDRESS))
  const blocks = walkBlocks(readFileSync(file))
  const of = (type: number) => blocks.filter((block) => block.type === type)
  assert.equal(blocks[0]!.type, BlockType.section)
  const lan = of(BlockType.interface).find(({ options }) => options.get(2)?.[0]?.toString() === 'lan/web')!
  // if_IPv4addr: address and mask; if_MACaddr; if_speed.
  assert.equal(lan.options.get(4)![0]!.join('.'), `${web.address}.255.255.255.0`)
  assert.equal(lan.options.get(6)![0]!.toString('hex'), web.mac.replaceAll(':', ''))
  assert.equal(lan.options.get(8)![0]!.readBigUInt64LE(), 10_000_000_000n)
  const uplink = of(BlockType.interface).find(({ options }) => options.get(2)?.[0]?.toString() === 'uplink')!
  assert.equal(uplink.options.get(8)![0]!.readBigUInt64LE(), 2_500_000_000n)
  const packets = of(BlockType.packet)
  assert.equal(packets.length, summary.frames)
  // epb_packetid of the echo inside and outside of the NAT.
  const echoes = packets.filter(({ body }) => body.readUInt16BE(32) === 0x0800).map(({ options }) => options.get(5)![0]!.readBigUInt64LE())
  assert.deepEqual([echoes.length, echoes[0] === echoes[1], echoes[2] === echoes[3], echoes[0] === echoes[2]], [4, true, true, false])
  // isb_ifdrop and isb_usrdeliv
  const counted = (code: number) =>
    of(BlockType.statistics).reduce((sum, { options }) => sum + options.get(code)![0]!.readBigUInt64LE(), 0n)
  assert.deepEqual([counted(5), counted(8)], [0n, BigInt(packets.length)])
  await world.controller.close()
})

test('a capture that can have no more interfaces keeps nobody from a network', async (t) => {
  const world = await new CaptureWorld(t).start()
  await world.plug('web')
  const file = path.join(temporaryFolder(t), 'full.pcapng')
  const capture = await world.captures.open({ targets: ['lan'] }, { path: file })
  capture.output.addInterface = () => {
    throw new RangeError('the capture has its interfaces already')
  }
  const [late, later] = [await world.plug('late'), await world.plug('later')]
  assert.equal(await world.ping(late, later.address), 1)
  assert.deepEqual([capture.status().points, capture.status().pointsLeftOut], [['lan/web'], 2])
  await capture.stop()
  // The ARP request came by at the one that has an interface.
  for (const { interface: port } of readCapture(file)) assert.equal(port, 0)
  // From the start: drops look for interfaces too.
  const output = await world.captures.open({}, { path: file })
  assert.equal(output.status().pointsLeftOut, 0)
  await output.stop()
  await world.controller.close()
})

test('targets that nobody is called, and a file that is written already', async (t) => {
  const world = await new CaptureWorld(t).start()
  await world.plug('web')
  for (const target of ['nobody', 'lan/nobody', '']) {
    await assert.rejects(
      world.capture({ targets: [target] }, async () => {}),
      { code: 'not-found' }
    )
  }
  await world.controller.createNetwork({ name: 'empty' })
  await world.capture({ targets: ['empty', 'uplink'] }, async () => {})
  const file = path.join(temporaryFolder(t), 'x.pcapng')
  const first = await world.captures.open({}, { path: file })
  await assert.rejects(world.captures.open({}, { path: file }), { code: 'conflict' })
  await assert.rejects(world.captures.open({}, { path: '/nowhere/x.pcapng' }), { code: 'ENOENT' })
  assert.equal(world.captures.captures().length, 1)
  assert.deepEqual(await first.stop(), await first.stop())
  assert.throws(() => world.captures.capture(first.id), { code: 'not-found' })
  await world.controller.close()
})
