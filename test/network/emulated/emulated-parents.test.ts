/**
 * macvlan and ipvlan on emulated hosts, and VLANs between them, in virtual time.
 *
 *   host1 172.16.0.1 -- lan -- host2 172.16.0.2        router 172.16.0.254
 *                        | VLAN 30
 *                      lan30 -- router 192.168.30.1
 */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../../src/engine/index.ts'
import { AddressSpace } from '../../../src/ipam/address-space.ts'
import { NetworkController } from '../../../src/network/controller.ts'
import { IpvlanDriver } from '../../../src/network/drivers/ipvlan-driver.ts'
import { MacvlanDriver } from '../../../src/network/drivers/macvlan-driver.ts'
import { elementRegistry } from '../../../src/network/element-registry.ts'
import { EmulatedInterface } from '../../../src/network/emulated/emulated-interface.ts'
import { EmulatedLan } from '../../../src/network/emulated/emulated-lan.ts'
import { EmulatedParents } from '../../../src/network/emulated/emulated-parents.ts'
import { addRouter } from '../../../src/network/emulated/emulated-router.ts'
import { addStation } from '../../../src/network/emulated/emulated-station.ts'
import { EmulatedUplink } from '../../../src/network/emulated/emulated-uplink.ts'
import { joinVlan } from '../../../src/network/emulated/emulated-vlan.ts'
import { endpointAddresses } from '../../../src/network/endpoint.ts'
import { InlineEngine } from '../../../src/network/inline-engine.ts'
import type { NetworkSpec } from '../../../src/network/network.ts'
import { outsidePort, ScopedEngine } from '../../../src/network/scoped-engine.ts'
import type { PingResult } from '../../../src/stack/pinger.ts'

const ROUTER = '172.16.0.254'
const VLAN_ROUTER = '192.168.30.1'

let engine: InlineEngine
let lan: EmulatedLan
let hosts: NetworkController[]

beforeEach(async () => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  lan = await EmulatedLan.create(engine, 'lan')
  const lan30 = await EmulatedLan.create(engine, 'lan30')
  await joinVlan(engine, lan30, lan, 30)
  await addRouter(engine, 'edge', {
    interfaces: [
      { lan, addresses: [`${ROUTER}/24`] },
      { lan: lan30, addresses: [`${VLAN_ROUTER}/24`] }
    ]
  })
  await addStation(engine, 'probe', lan, { addresses: ['172.16.0.100/24'], gateway: ROUTER })
  hosts = [host('host1', 1), host('host2', 2)]
  for (const controller of hosts) await controller.start()
})

function host(name: string, number: number): NetworkController {
  const wire = outsidePort(lan.plug())
  const eth0 = new EmulatedInterface({ name: 'eth0', addresses: [`172.16.0.${number}/24`], mtu: lan.mtu, wire })
  const parents = new EmulatedParents(eth0)
  return new NetworkController({
    engine: new ScopedEngine(engine, `${name}/`),
    addresses: new AddressSpace(),
    random: new Random(name),
    uplink: new EmulatedUplink({ interface: eth0, routes: { '0.0.0.0/0': ROUTER } }),
    drivers: [new MacvlanDriver(parents), new IpvlanDriver(parents)]
  })
}

const SUBNETS = { eth0: { subnet: '172.16.0.0/24', gateway: ROUTER }, 'eth0.30': { subnet: '192.168.30.0/24', gateway: VLAN_ROUTER } }

/** The same network on both hosts. */
async function network(driver: string, parent: 'eth0' | 'eth0.30', options: object = {}): Promise<void> {
  const spec: NetworkSpec = { name: 'net01', driver, ...SUBNETS[parent], driverOptions: { parent, ...options } }
  for (const controller of hosts) await controller.createNetwork(spec)
}

async function web(index: number, address: string): Promise<string> {
  const { element } = await hosts[index]!.connect('net01', { name: 'web', address }, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway ?? undefined }
  }))
  return `host${index + 1}/${element}`
}

async function pings(element: string, address: string): Promise<boolean> {
  const command = engine.command(element, 'ping', { address, timeoutMs: 500 })
  const { received } = (await engine.settle(command)) as PingResult
  return received === 1
}

async function reached(element: string, addresses: readonly string[]): Promise<string[]> {
  const answers: string[] = []
  for (const address of addresses) if (await pings(element, address)) answers.push(address)
  return answers
}

/** MACs that the LAN has learned of whoever is not named. */
async function macs(): Promise<string[]> {
  const fdb = (await engine.command('lan/lan', 'fdb', null)) as { mac: string }[]
  return fdb.map(({ mac }) => mac).sort()
}

describe('macvlan on eth0', () => {
  test('web01, web02, both hosts and the router are stations of one segment; a host and its own child do not reach each other', async () => {
    await network('macvlan', 'eth0')
    const [web01, web02] = [await web(0, '172.16.0.3'), await web(1, '172.16.0.4')]
    const all = ['172.16.0.1', '172.16.0.2', '172.16.0.3', '172.16.0.4', ROUTER, '172.16.0.100']
    assert.deepEqual(await reached(web01, all), ['172.16.0.2', '172.16.0.3', '172.16.0.4', ROUTER, '172.16.0.100'])
    assert.deepEqual(await reached(web02, all), ['172.16.0.1', '172.16.0.3', '172.16.0.4', ROUTER, '172.16.0.100'])
    assert.deepEqual(await reached('station/probe', all), all)
    for (const mac of ['02:42:ac:10:00:03', '02:42:ac:10:00:04']) assert.ok((await macs()).includes(mac), mac)
  })

  test('the host goes on while networks come and go', async () => {
    assert.ok(await pings('station/probe', '172.16.0.1'))
    await network('macvlan', 'eth0')
    assert.ok(await pings('station/probe', '172.16.0.1'))
    await hosts[0]!.removeNetwork('net01')
    assert.ok(await pings('station/probe', '172.16.0.1'))
  })

  test('a second network on the parent is refused, as is one of the other driver, and an interface that is not there', async () => {
    await network('macvlan', 'eth0')
    const [first] = hosts as [NetworkController]
    const again = { name: 'net02', driver: 'macvlan', subnet: '10.9.0.0/24', driverOptions: { parent: 'eth0' } }
    await assert.rejects(first.createNetwork(again), /is already using parent interface eth0/)
    await assert.rejects(first.createNetwork({ ...again, driver: 'ipvlan' }), /device or resource busy/)
    await assert.rejects(first.createNetwork({ ...again, driverOptions: { parent: 'eth1' } }), /invalid subinterface vlan name eth1/)
    await assert.rejects(first.createNetwork({ ...again, driverOptions: { parent: 'eth1.5' } }), /was not found on the host: eth1/)
    assert.ok(await first.createNetwork({ ...again, driverOptions: { parent: 'eth0.40' } }))
  })
})

describe('a VLAN of eth0', () => {
  test('its stations are on the segment of the VLAN alone, and leave it by its router', async () => {
    await network('macvlan', 'eth0.30')
    const [web01, web02] = [await web(0, '192.168.30.3'), await web(1, '192.168.30.4')]
    assert.deepEqual(await reached(web01, ['192.168.30.4', VLAN_ROUTER, '172.16.0.100', '172.16.0.2']), [
      '192.168.30.4',
      VLAN_ROUTER,
      '172.16.0.100',
      '172.16.0.2'
    ])
    assert.ok(await pings('station/probe', '192.168.30.4'))
    assert.ok(await pings(web02, '192.168.30.3'))
  })
})

describe('ipvlan on eth0', () => {
  test('l2: its stations have the MAC of their host, and do not reach it', async () => {
    await network('ipvlan', 'eth0', { ipvlan_mode: 'l2' })
    const web01 = await web(0, '172.16.0.3')
    await web(1, '172.16.0.4')
    assert.deepEqual(await reached(web01, ['172.16.0.1', '172.16.0.2', '172.16.0.4', ROUTER]), ['172.16.0.2', '172.16.0.4', ROUTER])
    const known = ['01', '02', '64', 'fe'].map((last) => `02:42:ac:10:00:${last}`)
    assert.deepEqual(
      (await macs()).filter((mac) => !known.includes(mac)),
      [],
      'no MAC of a container is on the LAN'
    )
  })
})
