/**
 * Overlay networks between emulated hosts, in virtual time: VXLAN by the hosts' own routers.
 *
 *   web -- host1 192.0.2.1 -- left -- edge -- right -- host2 198.51.100.1 -- client
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { type FrameHandle, Random } from '../../../src/engine/index.ts'
import { AddressSpace } from '../../../src/ipam/address-space.ts'
import { NetworkController } from '../../../src/network/controller.ts'
import { OverlayDriver, type OverlayOptions } from '../../../src/network/drivers/overlay-driver.ts'
import { elementRegistry } from '../../../src/network/element-registry.ts'
import { EmulatedInterface } from '../../../src/network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../../../src/network/emulated/emulated-lan.ts'
import { addRouter } from '../../../src/network/emulated/emulated-router.ts'
import { addStation } from '../../../src/network/emulated/emulated-station.ts'
import { EmulatedUnderlay } from '../../../src/network/emulated/emulated-underlay.ts'
import { EmulatedUplink } from '../../../src/network/emulated/emulated-uplink.ts'
import { type Endpoint, endpointAddresses } from '../../../src/network/endpoint.ts'
import { InlineEngine } from '../../../src/network/inline-engine.ts'
import { outsidePort, ScopedEngine } from '../../../src/network/scoped-engine.ts'
import type { PingResult } from '../../../src/stack/pinger.ts'
import { emitArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../../src/wire/ipv4.ts'
import { emitTcp } from '../../../src/wire/tcp.ts'
import { Probe } from '../../stack/virtual-lab.ts'

const ID = 'a'.repeat(64)
const VNI = 256
const STRANGER = '198.51.100.66'
/** Behind it. */
const FOREIGN = '02:cc:00:00:00:77'

let engine: InlineEngine
let hosts: EmulatedHost[]
const probes = new Map<string, Probe>()

interface EmulatedHost {
  readonly name: string
  readonly address: string
  readonly controller: NetworkController
  readonly driver: OverlayDriver
}

beforeEach(async () => {
  probes.clear()
  const elements = elementRegistry().register({
    type: 'probe',
    maxPorts: 1,
    counters: [],
    create: (context) => {
      const probe = new Probe(context)
      probes.set(context.name, probe)
      return probe
    }
  })
  engine = new InlineEngine({ elements, seed: 1 })
  const left = await EmulatedLan.create(engine, 'left')
  const right = await EmulatedLan.create(engine, 'right')
  await addRouter(engine, 'edge', {
    interfaces: [
      { lan: left, addresses: ['192.0.2.254/24'] },
      { lan: right, addresses: ['198.51.100.254/24'] }
    ]
  })
  await addStation(engine, 'stranger', right, { addresses: ['198.51.100.66/24'], gateway: '198.51.100.254' })
  hosts = [await host('host1', left, '192.0.2.1', '192.0.2.254'), await host('host2', right, '198.51.100.1', '198.51.100.254')]
})

async function host(name: string, lan: EmulatedLan, address: string, gateway: string): Promise<EmulatedHost> {
  const eth0 = new EmulatedInterface({ name: 'eth0', addresses: [`${address}/24`], mtu: lan.mtu, wire: outsidePort(lan.plug()) })
  const part = new ScopedEngine(engine, `${name}/`)
  const driver = new OverlayDriver({ underlay: () => new EmulatedUnderlay(part, eth0), address })
  const controller = new NetworkController({
    engine: part,
    addresses: new AddressSpace(),
    random: new Random(name),
    uplink: new EmulatedUplink({ interface: eth0, routes: { '0.0.0.0/0': gateway } }),
    drivers: [driver]
  })
  await controller.start()
  return { name, address, controller, driver }
}

/** `web` on the first host and `client` on the second, each known to the other; `type` of their elements. */
async function overlay(type: 'host' | 'probe', driverOptions: OverlayOptions = {}): Promise<[web: Endpoint, client: Endpoint]> {
  const endpoints: Endpoint[] = []
  for (const [index, { controller, driver }] of hosts.entries()) {
    const network = await controller.createNetwork({
      id: ID,
      name: 'multi',
      driver: 'overlay',
      subnet: '10.0.9.0/24',
      mtu: 1450,
      driverOptions
    })
    const address = `10.0.9.${index + 2}`
    driver.setVteps(hosts.map((other) => other.address))
    driver.setVni(network, address, VNI)
    endpoints.push(
      await controller.connect(ID, { name: index === 0 ? 'web' : 'client', address }, (begun) => ({
        type,
        options: type === 'probe' ? undefined : { mac: begun.mac, addresses: endpointAddresses(begun), mtu: 1450 }
      }))
    )
  }
  for (const [index, { controller }] of hosts.entries()) {
    const { id, names, address, address6, mac } = endpoints[1 - index]!
    await controller.updateRemotes(ID, [{ id, names, address, address6, mac, vtep: hosts[1 - index]!.address }], [])
  }
  return endpoints as [Endpoint, Endpoint]
}

async function pings(element: string, address: string, size = 56): Promise<boolean> {
  const command = engine.command(element, 'ping', { address, timeoutMs: 3000, size })
  return ((await engine.settle(command)) as PingResult).received === 1
}

/** A TCP segment of `length` bytes that a device is to cut into pieces of 1,398. */
function superFrame(from: Endpoint, to: Endpoint, length: number): Uint8Array {
  const bytes = new Uint8Array(14 + 20 + 20 + length)
  emitEthernet({ destination: to.mac, source: from.mac, type: EtherType.ipv4 }, bytes, 0)
  emitIpv4({ source: from.address, destination: to.address, protocol: 6, payloadLength: 20 + length }, bytes, 14)
  const payload = new Uint8Array(length).map((_, i) => i)
  emitTcp(
    { sourcePort: 40000, destinationPort: 80, sequence: 1, acknowledgment: 1, flags: 0x18, window: 1000, urgent: 0, options: {}, payload },
    bytes,
    34,
    14
  )
  return bytes
}

describe('VXLAN between emulated hosts', () => {
  test('goes by the hosts’ routers, whichever LAN they are on', async () => {
    await overlay('host')
    assert.ok(await pings('host1/multi/web', '10.0.9.3'))
    assert.ok(await pings('host2/multi/client', '10.0.9.2', 1400))
    assert.ok(await pings('station/stranger', '198.51.100.1'), 'the host itself goes on')
  })

  test('a super-frame passes whole, with its offload fields', async () => {
    const [web, client] = await overlay('probe')
    const sender = probes.get('host1/multi/web')!
    const receiver = probes.get('host2/multi/client')!
    const bytes = superFrame(web, client, 60_000)
    const seen: { gsoSize: number; gsoType: number; hdrLen: number; csumStart: number }[] = []
    const { frames } = receiver.context
    const push = receiver.push.bind(receiver)
    receiver.push = () => {
      const { rx } = receiver.context.ports[0]!
      if (!rx.empty) {
        const frame = rx.peek()
        seen.push({
          gsoSize: frames.gsoSize[frame]!,
          gsoType: frames.gsoType[frame]!,
          hdrLen: frames.hdrLen[frame]!,
          csumStart: frames.csumStart[frame]!
        })
      }
      push()
    }
    const mark = (frame: FrameHandle): void => {
      frames.flags[frame] |= FrameFlag.gso | FrameFlag.csum
      frames.gsoType[frame] = 1
      frames.gsoSize[frame] = 1398
      frames.hdrLen[frame] = 54
      frames.csumStart[frame] = 34
      frames.csumOffset[frame] = 16
    }
    // The first waits for ARP on the underlay, the second does not.
    for (let i = 0; i < 2; i++) {
      sender.inject(bytes, 0, mark)
      await engine.advance(1e9)
    }
    const received = receiver.take()
    assert.deepEqual(
      received.map((frame) => Buffer.compare(frame, bytes)),
      [0, 0]
    )
    assert.deepEqual(seen, Array(2).fill({ gsoSize: 1398, gsoType: 1, hdrLen: 54, csumStart: 34 }))
  })

  test('VXLAN from a station that is no host is dropped, and the port is closed when the network is gone', async () => {
    await overlay('host')
    const { port } = (await engine.command('station/stranger', 'udpBind', { port: 0 })) as { port: number }
    const errors: unknown[] = []
    engine.listen('station/stranger', (event) => errors.push((event as { kind: string }).kind))
    const send = async (): Promise<void> => {
      const data = new Uint8Array([8, 0, 0, 0, 0, 1, 0, 0, ...superFrame(...(await ends()), 20)])
      await engine.settle(engine.command('station/stranger', 'udpSend', { port, address: '198.51.100.1', toPort: 4789, data }))
      await engine.advance(1e9)
    }
    await send()
    const { drops } = engine.elementCounters('host2/overlay/vxlan')!
    assert.equal(
      Object.values(drops).reduce((sum, count) => sum + count, 0),
      1
    )
    assert.deepEqual(errors, [])
    for (const { controller } of hosts) {
      for (const name of controller.network('multi').endpoints.keys()) await controller.disconnect('multi', name)
      await controller.removeNetwork('multi')
    }
    await send()
    assert.deepEqual(errors, ['udp-error'])
  })
})

describe('a VTEP that is no host', () => {
  /** The datagrams that it got, after a ping of a station behind it and its own question for the client's MAC. */
  async function heard(options: OverlayOptions): Promise<Uint8Array[]> {
    const [, client] = await overlay('host', options)
    const datagrams: Uint8Array[] = []
    engine.listen('station/stranger', (event) => {
      const { kind, data } = event as { kind: string; data: Uint8Array }
      if (kind === 'udp') datagrams.push(data)
    })
    await engine.command('station/stranger', 'udpBind', { port: 4789 })
    await pings('host2/multi/client', '10.0.9.77')
    const question = new Uint8Array(8 + 14 + 28)
    question.set([8, 0, 0, 0, 0, 1, 0, 0]) // RFC 7348: VNI 256
    emitEthernet({ destination: 'ff:ff:ff:ff:ff:ff', source: FOREIGN, type: EtherType.arp }, question, 8)
    const asks = { senderMac: FOREIGN, senderIp: '10.0.9.77', targetMac: '00:00:00:00:00:00', targetIp: client.address }
    emitArp({ operation: 1, ...asks }, question, 8 + 14)
    const send = { port: 4789, address: '198.51.100.1', toPort: 4789, data: question }
    await engine.settle(engine.command('station/stranger', 'udpSend', send))
    await engine.advance(1e9)
    return datagrams
  }
  /** Of the inner frame: the destination, the EtherType, ARP's operation. */
  const inner = (data: Uint8Array): string => Buffer.from([...data.subarray(8, 14), ...data.subarray(20, 22), data[29]!]).toString('hex')

  const question = 'ffffffffffff080601'
  const answer = `${FOREIGN.replaceAll(':', '')}080602`

  test('is learned from where the network is told to: what is behind it is answered', async () => {
    // Nothing is flooded, so that only what was learned leads there.
    assert.deepEqual((await heard({ learning: true })).map(inner), [answer])
  })

  test('gets what is for everybody where it is named', async () => {
    const datagrams = (await heard({ bum: 'flood', learning: true, remotes: [STRANGER] })).map(inner)
    assert.deepEqual([...new Set(datagrams)], [question, answer])
  })

  test('is nobody otherwise', async () => assert.deepEqual(await heard({ bum: 'flood' }), []))
})

async function ends(): Promise<[Endpoint, Endpoint]> {
  const of = (mac: string, address: string): Endpoint => ({ mac, address }) as Endpoint
  return [of('02:42:0a:00:09:02', '10.0.9.2'), of('02:42:0a:00:09:03', '10.0.9.3')]
}
