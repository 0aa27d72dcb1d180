/**
 * Two emulated hosts, a router and stations, in virtual time.
 *
 *   host1 172.16.0.1 -- lan -- host2 172.16.0.2       station probe 172.16.0.100
 *                        |
 *                  router 172.16.0.254 / 198.51.100.254 -- far -- station server 198.51.100.7
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../../src/engine/index.ts'
import { AddressSpace } from '../../../src/ipam/address-space.ts'
import { NetworkController } from '../../../src/network/controller.ts'
import { elementRegistry } from '../../../src/network/element-registry.ts'
import { EmulatedInterface } from '../../../src/network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../../../src/network/emulated/emulated-lan.ts'
import { addRouter } from '../../../src/network/emulated/emulated-router.ts'
import { addStation } from '../../../src/network/emulated/emulated-station.ts'
import { EmulatedUplink } from '../../../src/network/emulated/emulated-uplink.ts'
import { type Endpoint, endpointAddresses } from '../../../src/network/endpoint.ts'
import { InlineEngine } from '../../../src/network/inline-engine.ts'
import { outsidePort, ScopedEngine } from '../../../src/network/scoped-engine.ts'
import { UplinkPortError } from '../../../src/network/uplink.ts'
import type { PingResult } from '../../../src/stack/pinger.ts'

const ROUTER = '172.16.0.254'

let engine: InlineEngine
let lan: EmulatedLan
let far: EmulatedLan
let host1: NetworkController
let host2: NetworkController
let web: Endpoint
let client: Endpoint
let probe: string
let server: string

beforeEach(async () => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  lan = await EmulatedLan.create(engine, 'lan')
  far = await EmulatedLan.create(engine, 'far')
  await addRouter(engine, 'edge', {
    interfaces: [
      { lan, addresses: [`${ROUTER}/24`, '2001:db8:1::fe/64'] },
      { lan: far, addresses: ['198.51.100.254/24'] }
    ]
  })
  probe = await addStation(engine, 'probe', lan, { addresses: ['172.16.0.100/24', '2001:db8:1::64/64'], gateway: ROUTER, udpEcho: [7] })
  server = await addStation(engine, 'server', far, { addresses: ['198.51.100.7/24'], gateway: '198.51.100.254', udpEcho: [7] })
  host1 = await host('host1', 1)
  host2 = await host('host2', 2)
  web = await station(host1, 'web')
  client = await station(host2, 'client')
})

async function host(name: string, number: number): Promise<NetworkController> {
  const eth0 = new EmulatedInterface({
    name: 'eth0',
    addresses: [`172.16.0.${number}/24`, `2001:db8:1::${number}/64`],
    mtu: lan.mtu,
    wire: outsidePort(lan.plug())
  })
  const controller = new NetworkController({
    engine: new ScopedEngine(engine, `${name}/`),
    addresses: new AddressSpace(),
    random: new Random(name),
    uplink: new EmulatedUplink({ interface: eth0, routes: { '0.0.0.0/0': ROUTER } })
  })
  await controller.createNetwork({ name: 'bridge', subnet: '172.17.0.0/16', subnet6: 'fd00::/64' })
  return controller
}

function station(controller: NetworkController, name: string): Promise<Endpoint> {
  return controller.connect('bridge', { name }, (begun, { pool, pool6 }) => ({
    type: 'host',
    options: {
      mac: begun.mac,
      addresses: endpointAddresses(begun),
      gateway: pool.gateway ?? undefined,
      gateway6: pool6?.gateway ?? undefined,
      udpEcho: [80]
    }
  }))
}

async function pings(element: string, address: string): Promise<boolean> {
  const { received } = (await engine.settle(engine.command(element, 'ping', { address, timeoutMs: 500 }))) as PingResult
  return received === 1
}

/** Sends a datagram; gives who answered, or null. */
async function ask(element: string, address: string, toPort: number): Promise<string | null> {
  const { port } = (await engine.settle(engine.command(element, 'udpBind', { port: 0 }))) as { port: number }
  let answer: string | null = null
  engine.listen(element, (event) => {
    const { kind, address: from, fromPort } = event as { kind: string; address: string; fromPort: number }
    if (kind === 'udp') answer = `${from}:${fromPort}`
  })
  const data = new Uint8Array([1])
  await engine.settle(engine.command(element, 'udpSend', { port, address, toPort, data })).catch(() => {})
  await engine.advance(1e9)
  return answer
}

describe('emulated hosts on a LAN', () => {
  test('are stations with their address: they, the router and a station reach each other', async () => {
    for (const address of ['172.16.0.1', '172.16.0.2', ROUTER, '2001:db8:1::1', '2001:db8:1::fe'])
      assert.ok(await pings(probe, address), address)
  })

  test('their containers have the same addresses and leave under the address of their host', async () => {
    assert.equal(web.address, client.address)
    assert.ok(await pings('host1/bridge/web', '172.16.0.2'))
    assert.ok(await pings('host1/bridge/web', '172.16.0.1'))
    assert.equal(await ask('host1/bridge/web', '172.16.0.100', 7), '172.16.0.100:7')
    assert.ok(await pings('host1/bridge/web', '2001:db8:1::64'))
    const fdb = (await engine.command('lan/lan', 'fdb', null)) as { mac: string }[]
    const hosts = ['02:42:ac:10:00:01', '02:42:ac:10:00:02', '02:42:ac:10:00:64', '02:42:ac:10:00:fe']
    assert.deepEqual(
      fdb.map(({ mac }) => mac).filter((mac) => !hosts.includes(mac)),
      [],
      'no MAC of a container is on the LAN'
    )
  })

  test('what is behind the router is reached by it', async () => {
    assert.ok(await pings('host1/bridge/web', '198.51.100.7'))
    assert.ok(await pings(server, '172.16.0.2'))
    assert.equal(await pings('host1/bridge/web', '203.0.113.9'), false)
  })

  test('a published port answers at its host alone', async () => {
    const port = { key: 'web', protocol: 'udp', address: '0.0.0.0', port: 8080, target: web.address, targetPort: 80 } as const
    await host1.publish([{ ...port, network: host1.network('bridge').id }])
    assert.equal(await ask('host2/bridge/client', '172.16.0.1', 8080), '172.16.0.1:8080')
    assert.equal(await ask(server, '172.16.0.1', 8080), '172.16.0.1:8080')
    assert.equal(await ask(server, '172.16.0.2', 8080), null)
    await host1.unpublish(['web'])
    assert.equal(await ask(server, '172.16.0.1', 8080), null)
  })

  test('a port at an address of somebody else is refused', async () => {
    const port = { key: 'web', protocol: 'udp', address: '172.16.0.2', port: 1, target: web.address, targetPort: 80 } as const
    await assert.rejects(host1.publish([{ ...port, network: host1.network('bridge').id }]), (error: Error) => {
      assert.ok(error instanceof UplinkPortError)
      assert.equal(error.errno, 'EADDRNOTAVAIL')
      return true
    })
  })

  test('a host that ends is gone from the LAN, and its place is free again', async () => {
    await host1.close()
    assert.equal(await pings(probe, '172.16.0.1'), false)
    lan.unplug(['lan/lan', 2])
    const again = await host('host3', 3)
    assert.ok(await pings(probe, '172.16.0.3'))
    assert.deepEqual(lan.plug(), ['lan/lan', 4])
    await again.close()
    await engine.advance(5e9) // until nobody asks for the host that is gone any more
    assert.equal(await engine.framesInUse(), 0)
  })

  test('a router with a next hop that is on none of its links is refused, and leaves its ports free', async () => {
    const interfaces = [{ lan, addresses: ['172.16.0.253/24'] }]
    await assert.rejects(
      addRouter(engine, 'two', { interfaces, routes: { '0.0.0.0/0': '192.0.2.1' } }),
      /the next hop 192\.0\.2\.1 is on none/
    )
    assert.deepEqual(lan.plug(), ['lan/lan', 4])
  })
})
