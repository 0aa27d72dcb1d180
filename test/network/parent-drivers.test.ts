/** macvlan and ipvlan networks on the cables of an emulated LAN, in virtual time. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { TrunkPort, vlanPort } from '../../src/elements/vlan/vlan-trunk.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { IpvlanDriver } from '../../src/network/drivers/ipvlan-driver.ts'
import { MacvlanDriver } from '../../src/network/drivers/macvlan-driver.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { type Parent, type ParentInterfaces, parseVlanParent } from '../../src/network/parents.ts'
import type { PingResult } from '../../src/stack/pinger.ts'

/** Cables `eth0` and `eth1` of a LAN that is a bridge network; their own stack is a kernel's, which is not here. */
class LanParents implements ParentInterfaces {
  readonly reserved = ['parent']
  readonly held: string[] = []

  async acquire(name: string, { network }: { network: string }): Promise<Parent> {
    const exists = (wanted: string): boolean => ['eth0', 'eth1'].includes(wanted)
    const { interface: base, vlan } = exists(name) ? { interface: name, vlan: null } : parseVlanParent(name, exists)
    this.held.push(`${name} ${network.slice(0, 4)}`)
    const number = Number(base.slice(3))
    const trunk = `parent/${base}`
    return {
      name,
      mac: `02:cc:00:00:0e:0${number}`,
      mtu: 1400,
      part: { elements: { [trunk]: { type: 'vlan-trunk' } }, links: [{ a: [trunk, TrunkPort.cable], b: ['lan/bridge', 4000 + number] }] },
      port: [trunk, vlan === null ? TrunkPort.untagged : vlanPort(vlan)],
      station: { addresses: [`192.0.2.5${number}/24`], routes: { '192.0.2.0/24': {}, '0.0.0.0/0': { via: '192.0.2.60' } } }
    }
  }

  async release(name: string, network: string): Promise<void> {
    this.held.splice(this.held.indexOf(`${name} ${network.slice(0, 4)}`), 1)
  }
}

let engine: InlineEngine
let controller: NetworkController
let parents: LanParents

beforeEach(async () => {
  parents = new LanParents()
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  const drivers = [new MacvlanDriver(parents), new IpvlanDriver(parents)]
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), drivers })
  await controller.createNetwork({ name: 'lan', subnet: '198.51.100.0/24', gateway: null })
})

async function make(
  driver: 'macvlan' | 'ipvlan',
  name: string,
  driverOptions: object,
  subnet = '192.0.2.0/24',
  gateway?: string
): Promise<void> {
  await controller.createNetwork({ name, driver, driverOptions, subnet, gateway })
}

/** A station of the LAN itself, with any address. */
function outside(name: string, addresses: string[], gateway?: string): Promise<Endpoint> {
  return controller.connect('lan', { name }, ({ mac }) => ({ type: 'host', options: { mac, addresses, gateway } }))
}

function station(network: string, name: string, address?: string, gateway?: string): Promise<Endpoint> {
  return controller.connect(network, { name, address }, (begun) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway, sharesMac: true }
  }))
}

async function reaches(from: Endpoint, address: string): Promise<boolean> {
  return ((await engine.settle(engine.command(from.element, 'ping', { address, timeoutMs: 5000 }))) as PingResult).received === 1
}

describe('macvlan', () => {
  test('its endpoints are stations of the LAN, those of two hosts too', async () => {
    await make('macvlan', 'web', { parent: 'eth0' })
    await controller.createNetwork({ name: 'lan2', driver: 'macvlan', driverOptions: { parent: 'eth1' }, subnet: '203.0.113.0/24' })
    const router = await outside('router', ['192.0.2.254/24'])
    const [one, two] = [await station('web', 'one'), await station('web', 'two')]
    const three = await controller.connect('lan2', { name: 'three' }, ({ mac }) => ({
      type: 'host',
      options: { mac, addresses: ['192.0.2.77/24'] }
    }))
    for (const address of [two.address, '192.0.2.254', '192.0.2.77']) assert.ok(await reaches(one, address), address)
    assert.ok(await reaches(router, one.address))
    assert.ok(await reaches(three, two.address))
    assert.equal(controller.network('web').mtu, 1400, "the parent's MTU is the network's")
    await controller.disconnect('web', 'two')
    assert.equal(await reaches(one, two.address), false)
  })

  test('private: not each other, but the LAN', async () => {
    await make('macvlan', 'web', { parent: 'eth0', mode: 'private' })
    await outside('router', ['192.0.2.254/24'])
    const [one, two] = [await station('web', 'one'), await station('web', 'two')]
    assert.deepEqual([await reaches(one, two.address), await reaches(one, '192.0.2.254')], [false, true])
  })

  test('passthru takes one endpoint; a second is refused and leaves nothing', async () => {
    await make('macvlan', 'web', { parent: 'eth0', mode: 'passthru' })
    await station('web', 'one')
    await assert.rejects(station('web', 'two'), /room for one child/)
    await controller.disconnect('web', 'one')
    await station('web', 'two')
  })
})

describe('ipvlan', () => {
  test('l2: one MAC, each its own address', async () => {
    await make('ipvlan', 'web', { parent: 'eth0' })
    const router = await outside('router', ['192.0.2.254/24'])
    const [one, two] = [await station('web', 'one'), await station('web', 'two')]
    assert.deepEqual([one.mac, two.mac], ['02:cc:00:00:0e:00', '02:cc:00:00:0e:00'])
    for (const address of [two.address, '192.0.2.254']) assert.ok(await reaches(one, address), address)
    for (const { address } of [one, two]) assert.ok(await reaches(router, address), address)
    await assert.rejects(
      controller.connect('web', { name: 'three', mac: '02:cc:00:00:00:03' }, () => ({ type: 'host', options: {} })),
      /all endpoints of this network have the parent's/
    )
  })
})

describe('VLANs', () => {
  test('of one cable are apart; one VLAN of two cables is one LAN', async () => {
    await make('macvlan', 'a30', { parent: 'eth0.30' })
    await make('ipvlan', 'a40', { parent: 'eth0.40' }, '192.0.3.0/24')
    await make('macvlan', 'b30', { parent: 'eth1.30' }, '192.0.4.0/24')
    const one = await station('a30', 'one', '192.0.2.1')
    const host = (network: string, name: string, address: string): Promise<Endpoint> =>
      controller.connect(network, { name }, ({ mac }) => ({ type: 'host', options: { mac, addresses: [`${address}/24`] } }))
    await host('b30', 'two', '192.0.2.2')
    await host('a40', 'three', '192.0.2.3')
    await outside('router', ['192.0.2.254/24'])
    assert.deepEqual(
      [await reaches(one, '192.0.2.2'), await reaches(one, '192.0.2.3'), await reaches(one, '192.0.2.254')],
      [true, false, false]
    )
  })

  test('names that cannot be, in the words of Docker', async () => {
    const cases: [string, RegExp][] = [
      ['nosuch0', /^invalid subinterface vlan name nosuch0, example formatting is eth0\.10$/],
      ['eth0.1.2', /^required interface name format is: name\.vlan_id, ex\. eth0\.10 for vlan 10, instead received eth0\.1\.2$/],
      ['eth0.x', /^unable to parse a valid vlan id from: x \(ex\. eth0\.10 for vlan 10\)$/],
      ['eth0.030', /^unable to parse a valid vlan id from: 030 /],
      ['eth0.+30', /^unable to parse a valid vlan id from: \+30 /],
      ['eth0.-30', /^unable to parse a valid vlan id from: -30 /],
      ['eth9.30', /^-o parent interface was not found on the host: eth9$/],
      ['eth0.0', /^vlan id must be between 1-4094, received: 0$/],
      ['eth0.4095', /^vlan id must be between 1-4094, received: 4095$/],
      ['lo', /^loopback interface is not a valid macvlan parent link$/]
    ]
    for (const [parent, message] of cases) await assert.rejects(make('macvlan', 'bad', { parent }), { message }, parent)
    assert.deepEqual(parents.held, [])
  })
})

describe('parents', () => {
  test('one network each; a VLAN is another parent, and one that is free again is free', async () => {
    await make('macvlan', 'one', { parent: 'eth0' }, '10.1.0.0/24')
    const { id } = controller.network('one')
    await assert.rejects(make('macvlan', 'two', { parent: 'eth0' }, '10.2.0.0/24'), {
      code: 'conflict',
      message: `network dm-${id.slice(0, 12)} is already using parent interface eth0`
    })
    await make('macvlan', 'two', { parent: 'eth0.2' }, '10.2.0.0/24')
    await controller.removeNetwork('one')
    await make('macvlan', 'three', { parent: 'eth0' }, '10.3.0.0/24')
    for (const name of ['two', 'three']) await controller.removeNetwork(name)
    assert.deepEqual(parents.held, [])
  })

  test('bad modes and flags are refused before the parent is', async () => {
    await assert.rejects(make('macvlan', 'bad', { parent: 'nosuch0', mode: 'x' }), {
      message: "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default"
    })
    await assert.rejects(make('ipvlan', 'bad', { parent: 'nosuch0', mode: 'l9' }), {
      message: "requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default"
    })
    await assert.rejects(make('ipvlan', 'bad', { parent: 'nosuch0', flag: 'x' }), {
      message: "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default"
    })
  })

  test('none: endpoints reach each other and nobody else', async () => {
    for (const driver of ['macvlan', 'ipvlan'] as const) {
      await make(driver, driver, {}, driver === 'macvlan' ? '10.1.0.0/24' : '10.2.0.0/24')
      const [one, two] = [await station(driver, 'one'), await station(driver, 'two')]
      assert.ok(await reaches(one, two.address))
    }
  })

  test('an internal network has no parent, whatever is named', async () => {
    await controller.createNetwork({ name: 'in', driver: 'macvlan', driverOptions: { parent: 'eth0' }, internal: true })
    assert.deepEqual(parents.held, [])
  })

  test('where there are no interfaces that is said', async () => {
    const drivers = [new MacvlanDriver()]
    const other = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), drivers })
    await assert.rejects(other.createNetwork({ name: 'web', driver: 'macvlan', driverOptions: { parent: 'eth0' } }), {
      code: 'unsupported'
    })
  })
})
