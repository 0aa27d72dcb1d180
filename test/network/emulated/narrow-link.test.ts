/**
 * Overlay networks between emulated hosts with a link on the way that takes less than the hosts' own, in virtual time.
 *
 *   web -- host1 192.0.2.1 -- left -- near -- middle -- far -- right -- host2 198.51.100.1 -- client
 *          2001:db8:1::1     1,500           1,400           1,500      2001:db8:2::1
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { vxlanType } from '../../../src/elements/vxlan/vxlan.ts'
import type { VxlanOptions } from '../../../src/elements/vxlan/vxlan-options.ts'
import type { ElementContext, ElementType } from '../../../src/engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../../src/engine/frame-pool.ts'
import { Random } from '../../../src/engine/index.ts'
import { AddressSpace } from '../../../src/ipam/address-space.ts'
import { NetworkController } from '../../../src/network/controller.ts'
import { OverlayDriver } from '../../../src/network/drivers/overlay-driver.ts'
import { elementRegistry } from '../../../src/network/element-registry.ts'
import { EmulatedInterface } from '../../../src/network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../../../src/network/emulated/emulated-lan.ts'
import { addRouter } from '../../../src/network/emulated/emulated-router.ts'
import { EmulatedUnderlay } from '../../../src/network/emulated/emulated-underlay.ts'
import { EmulatedUplink } from '../../../src/network/emulated/emulated-uplink.ts'
import { InlineEngine } from '../../../src/network/inline-engine.ts'
import { outsidePort, ScopedEngine } from '../../../src/network/scoped-engine.ts'
import { get16, get32, put16 } from '../../../src/wire/big-endian.ts'
import { pseudoHeaderSum } from '../../../src/wire/checksum.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { parseIcmp } from '../../../src/wire/icmp.ts'
import { parseIcmpv6 } from '../../../src/wire/icmpv6.ts'
import { emitIpv4, parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { emitIpv6, parseIpv6Header } from '../../../src/wire/ipv6.ts'
import { emitTcp, parseTcp } from '../../../src/wire/tcp.ts'
import { emitUdp, parseUdp } from '../../../src/wire/udp.ts'
import { Probe } from '../../stack/virtual-lab.ts'

const ID = 'a'.repeat(64)
const SECOND = 1e9
const NARROW = 1400
/** Where `web` and `client` are, by family of the inner packets. */
const ENDS = { 4: ['10.0.9.2', '10.0.9.3'], 6: ['2001:db8:9::2', '2001:db8:9::3'] } as const
const MACS = ['02:42:0a:00:09:02', '02:42:0a:00:09:03'] as const
const VTEPS = { 4: ['192.0.2.1', '198.51.100.1'], 6: ['2001:db8:1::1', '2001:db8:2::1'] } as const
/** Longest inner packet by family of the underlay: 50 and 70 bytes less than the narrow link takes. */
const FITS = { 4: NARROW - 50, 6: NARROW - 70 } as const

let engine: InlineEngine
const probes = new Map<string, Probe>()

/** Both hosts, with one network of both; `dontFragment`: outer IPv4 packets have DF. */
async function lab(family: 4 | 6, dontFragment = false): Promise<void> {
  const probe: ElementType = {
    type: 'probe',
    maxPorts: 1,
    counters: [],
    create: (context) => {
      const made = new Probe(context)
      probes.set(context.name, made)
      return made
    }
  }
  const vxlan: ElementType<VxlanOptions> = {
    ...vxlanType,
    create: (context: ElementContext, options: VxlanOptions) => vxlanType.create(context, { ...options, dontFragment })
  }
  const elements = elementRegistry().register(probe).register(vxlan)
  engine = new InlineEngine({ elements, seed: 1, pool: { checked: true } })
  const [left, middle, right] = [
    await EmulatedLan.create(engine, 'left'),
    await EmulatedLan.create(engine, 'middle', { mtu: NARROW }),
    await EmulatedLan.create(engine, 'right')
  ]
  await addRouter(engine, 'near', {
    interfaces: [
      { lan: left, addresses: ['192.0.2.254/24', '2001:db8:1::fe/64'] },
      { lan: middle, addresses: ['203.0.113.1/24', '2001:db8:3::1/64'] }
    ],
    routes: { '198.51.100.0/24': '203.0.113.2', '2001:db8:2::/64': '2001:db8:3::2' }
  })
  await addRouter(engine, 'far', {
    interfaces: [
      { lan: right, addresses: ['198.51.100.254/24', '2001:db8:2::fe/64'] },
      { lan: middle, addresses: ['203.0.113.2/24', '2001:db8:3::2/64'] }
    ],
    routes: { '192.0.2.0/24': '203.0.113.1', '2001:db8:1::/64': '2001:db8:3::1' }
  })
  for (const [index, lan] of [left, right].entries()) await host(index, lan, family)
}

async function host(index: number, lan: EmulatedLan, family: 4 | 6): Promise<void> {
  const name = `host${index + 1}`
  const [address, address6] = [VTEPS[4][index]!, VTEPS[6][index]!]
  const eth0 = new EmulatedInterface({
    name: 'eth0',
    addresses: [`${address}/24`, `${address6}/64`],
    mtu: lan.mtu,
    wire: outsidePort(lan.plug())
  })
  const part = new ScopedEngine(engine, `${name}/`)
  const driver = new OverlayDriver({ underlay: () => new EmulatedUnderlay(part, eth0), address: VTEPS[family][index]! })
  const routes = { '0.0.0.0/0': address.replace(/\.1$/, '.254'), '::/0': address6.replace(/1$/, 'fe') }
  const options = { engine: part, addresses: new AddressSpace(), random: new Random(name), drivers: [driver] }
  const controller = new NetworkController({ ...options, uplink: new EmulatedUplink({ interface: eth0, routes }) })
  await controller.start()
  const network = await controller.createNetwork({ id: ID, name: 'multi', driver: 'overlay', subnet: '10.0.9.0/24', mtu: 1450 })
  driver.setVteps([...VTEPS[family]])
  driver.setVni(network, ENDS[4][index]!, 256)
  const names = ['web', 'client'] as const
  await controller.connect(ID, { name: names[index]!, address: ENDS[4][index]!, mac: MACS[index]! }, () => ({ type: 'probe', options: {} }))
  const other = 1 - index
  const away = { id: names[other]!, names: [names[other]!], address: ENDS[4][other]!, address6: '', mac: MACS[other]! }
  await controller.updateRemotes(ID, [{ ...away, vtep: VTEPS[family][other]! }], [])
}

const web = (): Probe => probes.get('host1/multi/web')!
const client = (): Probe => probes.get('host2/multi/client')!

interface InnerPacket {
  readonly family: 4 | 6
  readonly transport: 'tcp' | 'udp'
  readonly payload: number
  /** Payload of a segment; absent: one packet, finished. */
  readonly gsoSize?: number
  readonly dontFragment?: boolean
}

/** From `web` to `client`. */
function send({ family, transport, payload: length, gsoSize, dontFragment = true }: InnerPacket): void {
  const isTcp = transport === 'tcp'
  const at = family === 4 ? 34 : 54
  const header = isTcp ? 20 : 8
  const bytes = new Uint8Array(at + header + length)
  const [source, destination] = ENDS[family]
  emitEthernet({ destination: MACS[1], source: MACS[0], type: family === 4 ? EtherType.ipv4 : EtherType.ipv6 }, bytes, 0)
  const payloadLength = header + length
  if (family === 4) emitIpv4({ source, destination, protocol: isTcp ? 6 : 17, payloadLength, dontFragment }, bytes, 14)
  else emitIpv6({ source, destination, nextHeader: isTcp ? 6 : 17, payloadLength }, bytes, 14)
  const payload = pattern(length)
  const ports = { sourcePort: 40_000, destinationPort: 80 }
  const tcp = { ...ports, sequence: 1, acknowledgment: 1, flags: 0x18, window: 1000, urgent: 0, options: {}, payload }
  if (isTcp) emitTcp(tcp, bytes, at, 14)
  else emitUdp({ ...ports, payload }, bytes, at, 14)
  const csumOffset = isTcp ? 16 : 6
  if (gsoSize !== undefined) put16(bytes, at + csumOffset, pseudoHeaderSum(bytes, 14, isTcp ? 6 : 17, payloadLength))
  const probe = web()
  const { frames } = probe.context
  const asSuper = (frame: FrameHandle): void => {
    frames.flags[frame] |= FrameFlag.gso | FrameFlag.csum
    frames.gsoType[frame] = isTcp ? (family === 4 ? 1 : 4) : 5
    frames.gsoSize[frame] = gsoSize!
    frames.hdrLen[frame] = at + header
    frames.csumStart[frame] = at
    frames.csumOffset[frame] = csumOffset
  }
  probe.inject(bytes, 0, gsoSize === undefined ? undefined : asSuper)
}

function pattern(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 7) & 255)
}

/** Payload of a packet that came to `client`; its checksums are right. */
function payloadOf(frame: Uint8Array): Buffer {
  const isIpv4 = get16(frame, 12) === EtherType.ipv4
  const ip = isIpv4 ? parseIpv4Header(frame, 14, frame.length) : parseIpv6Header(frame, 14, frame.length)
  assert.ok(ip, 'an IP header')
  const at = isIpv4 ? 34 : 54
  const protocol = frame[isIpv4 ? 23 : 20]
  const parsed = protocol === 6 ? parseTcp(frame, at, frame.length, 14) : parseUdp(frame, at, frame.length, 14)
  assert.ok(parsed, 'a right checksum')
  if (protocol === 6) assert.equal(frame.length - at - 20, parsed.payload.length)
  return Buffer.from(parsed.payload)
}

/** What `web` is told in an ICMP error: the limit, and who says so. */
function told(frame: Uint8Array): { mtu: number; source: string } {
  if (get16(frame, 12) === EtherType.ipv4) {
    const message = parseIcmp(frame, 34, frame.length)
    assert.ok(message?.kind === 'unreachable' && message.code === 4, 'fragmentation needed')
    return { mtu: message.word, source: parseIpv4Header(frame, 14, frame.length)!.source }
  }
  const message = parseIcmpv6(frame, 54, frame.length, 14)
  assert.ok(message?.kind === 'packet-too-big')
  return { mtu: get32(frame, 58), source: parseIpv6Header(frame, 14, frame.length)!.source }
}

/** All drops in the lab but what the probes have seen. */
function drops(): Record<string, number> {
  const all: Record<string, number> = {}
  for (const host of ['host1', 'host2']) {
    for (const element of ['gateway/nat', 'gateway/router', 'overlay/vxlan']) add(all, `${host}/${element}`)
  }
  for (const element of ['router/near', 'router/far', 'lan/left', 'lan/middle', 'lan/right']) add(all, element)
  return all
}

function add(all: Record<string, number>, element: string): void {
  for (const [reason, count] of Object.entries(engine.elementCounters(element)!.drops)) {
    if (count > 0) all[`${element} ${reason}`] = count
  }
}

beforeEach(() => probes.clear())
afterEach(async () => await engine.close())

describe('IPv4 without DF outside, as Docker has it: routers cut', () => {
  beforeEach(async () => await lab(4))

  for (const family of [4, 6] as const) {
    for (const transport of ['tcp', 'udp'] as const) {
      test(`a ${transport} super-frame of IPv${family} arrives whole, as segments`, async () => {
        const segment = 1450 - (family === 4 ? 20 : 40) - (transport === 'tcp' ? 20 : 8)
        const payload = 42 * segment
        // The first waits for neighbors on the underlay, the second does not.
        for (let i = 0; i < 2; i++) {
          send({ family, transport, payload, gsoSize: segment })
          await engine.advance(SECOND)
          const received = client().take()
          assert.equal(received.length, 42)
          assert.ok(Buffer.concat(received.map(payloadOf)).equals(pattern(payload)))
        }
        assert.deepEqual(drops(), {})
        assert.deepEqual(web().take(), [])
        // Two frames in, two fragments out for each segment.
        assert.equal(engine.elementCounters('router/near')!.counters['fragments'], 2 * (2 * 42 - 1))
      })
    }
  }

  test('a super-frame whose segments fit crosses whole', async () => {
    send({ family: 4, transport: 'tcp', payload: 60_000, gsoSize: FITS[4] - 40 })
    await engine.advance(SECOND)
    assert.deepEqual(
      client()
        .take()
        .map(({ length }) => length),
      [60_054]
    )
    assert.deepEqual([drops(), engine.elementCounters('router/near')!.counters['fragments']], [{}, 0])
  })

  test('single packets', async () => {
    for (const family of [4, 6] as const) send({ family, transport: 'udp', payload: 1380 })
    await engine.advance(SECOND)
    assert.deepEqual(client().take().map(payloadOf), [Buffer.from(pattern(1380)), Buffer.from(pattern(1380))])
    assert.deepEqual(drops(), {})
  })
})

for (const [name, family, dontFragment] of [
  ['IPv6 outside', 6, false],
  ['IPv4 with DF outside', 4, true]
] as const) {
  describe(`${name}: the router's error reaches the VTEP, and the VTEP tells the sender`, () => {
    const fits = FITS[family]
    beforeEach(async () => await lab(family, dontFragment))

    /** The path MTU is learned from a packet that is lost for it. */
    async function learn(packet: InnerPacket): Promise<void> {
      send(packet)
      await engine.advance(SECOND)
      assert.deepEqual(client().take(), [])
      assert.deepEqual(drops(), { 'router/near router.tooBig': 1, 'host1/overlay/vxlan vxlan.heard': 1 })
    }

    for (const inner of [4, 6] as const) {
      const headers = inner === 4 ? 20 : 40
      const sender = { source: ENDS[inner][1], mtu: fits }

      test(`a tcp super-frame of IPv${inner}: once told, segments that fit cross`, async () => {
        const packet = { family: inner, transport: 'tcp', payload: 60_000 } as const
        // Longer than the narrow link takes, shorter than the VTEP's own interface.
        await learn({ ...packet, gsoSize: fits + 10 - headers - 20 })
        send({ ...packet, gsoSize: fits + 10 - headers - 20 })
        await engine.advance(SECOND)
        assert.deepEqual(web().take().map(told), [sender])
        send({ ...packet, gsoSize: fits - headers - 20 })
        await engine.advance(SECOND)
        const [whole] = client().take()
        assert.ok(Buffer.from(whole!.subarray(34 + headers)).equals(pattern(60_000)))
        const lost = { 'router/near router.tooBig': 1, 'host1/overlay/vxlan vxlan.heard': 1, 'host1/overlay/vxlan vxlan.tooBig': 1 }
        assert.deepEqual(drops(), lost)
      })

      test(`a datagram of IPv${inner}: its sender is told, for ten minutes`, async () => {
        const long = { family: inner, transport: 'udp', payload: fits + 10 - headers - 8 } as const
        await learn(long)
        for (let minute = 0; minute < 9; minute++) {
          send(long)
          await engine.advance(60 * SECOND)
          assert.deepEqual(web().take().map(told), [sender])
        }
        await engine.advance(60 * SECOND)
        // RFC 1191 6.3: longer ones are tried again, and the router says it again.
        send(long)
        await engine.advance(SECOND)
        assert.equal(drops()['router/near router.tooBig'], 2)
        send({ ...long, payload: fits - headers - 8 })
        await engine.advance(SECOND)
        assert.equal(payloadOf(client().take()[0]!).length, fits - headers - 8)
      })
    }

    test('packets without DF are cut by the VTEP then, super-frames too', async () => {
      const datagram = { family: 4, transport: 'udp', payload: fits + 10 - 28, dontFragment: false } as const
      await learn(datagram)
      send(datagram)
      await engine.advance(SECOND)
      assert.equal(client().take().length, 2)
      send({ ...datagram, transport: 'tcp', payload: 30_000, gsoSize: fits + 10 - 40 })
      await engine.advance(SECOND)
      const pieces = client().take()
      const segments = Math.ceil(30_000 / (fits + 10 - 40))
      assert.equal(pieces.length, 2 * segments - 1)
      assert.ok(pieces.every(({ length }) => length <= 14 + fits))
      assert.deepEqual(drops(), { 'router/near router.tooBig': 1, 'host1/overlay/vxlan vxlan.heard': 1 })
    })
  })
}
