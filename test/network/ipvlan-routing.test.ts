/** ipvlan in modes l3 and l3s: what children send is routed by the parent's addresses and routes, by a router in its kernel's place. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { ipvlanType } from '../../src/elements/ipvlan/ipvlan.ts'
import { routerType } from '../../src/elements/router/router.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { IpvlanDriver } from '../../src/network/drivers/ipvlan-driver.ts'
import type { Endpoint } from '../../src/network/endpoint.ts'
import type { Network } from '../../src/network/network.ts'
import type { Parent, ParentInterfaces } from '../../src/network/parents.ts'
import { TestBench } from '../engine/test-bench.ts'

const MAC = '02:cc:00:00:00:aa'
const ROUTER = '02:cc:00:00:00:01'
const NEIGHBOR = '02:cc:00:00:00:60'

function bytes(text: string): number[] {
  return text.includes(':') ? text.split(':').map((each) => Number.parseInt(each, 16)) : text.split('.').map(Number)
}

function packet(to: string, from: string, source: string, destination: string, ttl = 64): Uint8Array {
  const ip = [0x45, 0, 0, 28, 0, 0, 0, 0, ttl, 253, 0, 0, ...bytes(source), ...bytes(destination)]
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += (ip[i] << 8) | ip[i + 1]
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff
  ip[10] = sum >>> 8
  ip[11] = sum & 0xff
  return Uint8Array.from([...bytes(to), ...bytes(from), 8, 0, ...ip, 1, 2, 3, 4, 5, 6, 7, 8])
}

function arp(operation: 1 | 2, from: string, sender: string, to: string, target: string): Uint8Array {
  const wire = operation === 1 ? 'ff:ff:ff:ff:ff:ff' : to
  const targetMac = operation === 1 ? '00:00:00:00:00:00' : to
  const body = [0, 1, 8, 0, 6, 4, 0, operation, ...bytes(from), ...bytes(sender), ...bytes(targetMac), ...bytes(target)]
  return Uint8Array.from([...bytes(wire), ...bytes(from), 8, 6, ...body])
}

const parents: ParentInterfaces = {
  reserved: [],
  acquire: async (name): Promise<Parent> => ({
    name,
    mac: MAC,
    mtu: 1500,
    part: { elements: {}, links: [] },
    port: ['wire', 0],
    station: { addresses: ['192.0.2.50/24'], routes: { '192.0.2.0/24': {}, '0.0.0.0/0': { via: '192.0.2.1' } } }
  }),
  release: async () => {}
}

let bench: TestBench

async function start(mode: string): Promise<void> {
  const driver = new IpvlanDriver(parents)
  const network = { id: 'f'.repeat(64), element: 'net', mtu: 1500, pools: [], internal: false, driverOptions: { parent: 'eth0', mode } }
  await driver.open(network as unknown as Network)
  const { elements, links } = driver.network(network as unknown as Network)
  bench = new TestBench({ types: [ipvlanType, routerType] as unknown as ElementType<never>[] })
  bench.configure({ ...elements, wire: { type: 'test-port' }, one: { type: 'test-port' }, two: { type: 'test-port' } }, [
    ...links,
    { a: ['net/ipvlan', 2], b: ['one', 0] },
    { a: ['net/ipvlan', 3], b: ['two', 0] }
  ])
  for (const [slot, address] of ['10.9.0.1', '10.9.1.1'].entries()) {
    const updates = driver.endpointUpdates(network as unknown as Network, { slot, address, address6: '' } as Endpoint, false)
    bench.engine.patch({ updates })
  }
}

function send(from: string, frame: Uint8Array): void {
  bench.port(from).send(frame)
  bench.run()
}

for (const mode of ['l3', 'l3s']) {
  describe(mode, () => {
    beforeEach(() => start(mode))

    test("to the LAN: asked for under the parent's address, then sent with the TTL that it had", () => {
      const sent = packet(MAC, MAC, '10.9.0.1', '192.0.2.60', 1)
      send('one', sent)
      assert.deepEqual(bench.port('wire').take(), [arp(1, MAC, '192.0.2.50', MAC, '192.0.2.60')])
      send('wire', arp(2, NEIGHBOR, '192.0.2.60', MAC, '192.0.2.50'))
      assert.deepEqual(bench.port('wire').take(), [packet(NEIGHBOR, MAC, '10.9.0.1', '192.0.2.60', 1)])
      send('one', packet(MAC, MAC, '10.9.0.1', '192.0.2.60'))
      assert.deepEqual(bench.port('wire').take(), [packet(NEIGHBOR, MAC, '10.9.0.1', '192.0.2.60')])
    })

    test('elsewhere: by the gateway of the parent', () => {
      send('one', packet(MAC, MAC, '10.9.0.1', '203.0.113.7'))
      assert.deepEqual(bench.port('wire').take(), [arp(1, MAC, '192.0.2.50', MAC, '192.0.2.1')])
      send('wire', arp(2, ROUTER, '192.0.2.1', MAC, '192.0.2.50'))
      assert.deepEqual(bench.port('wire').take(), [packet(ROUTER, MAC, '10.9.0.1', '203.0.113.7')])
    })

    test('from the LAN, and between children of two subnets', () => {
      const came = packet(MAC, ROUTER, '203.0.113.7', '10.9.1.1')
      send('wire', came)
      assert.deepEqual(bench.port('two').take(), [came])
      const across = packet(MAC, MAC, '10.9.0.1', '10.9.1.1')
      send('one', across)
      assert.deepEqual(bench.port('two').take(), [across])
    })

    test('nobody answers ARP: neither for a child nor for the parent, whose kernel does it', () => {
      for (const target of ['10.9.0.1', '192.0.2.50']) send('wire', arp(1, NEIGHBOR, '192.0.2.60', MAC, target))
      assert.deepEqual(bench.port('wire').take(), [])
    })
  })
}
