/** Published ports of containers at the gateway: what is opened when, and what a refusal leaves. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { NetworkingRequest } from '../../src/docker/network/container-network-service.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { type UplinkPort, UplinkPortError } from '../../src/network/uplink.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { VirtualUplink } from '../network/virtual-uplink.ts'
import { ContainerWorld, VirtualInterfaces } from './container-world.ts'
import { type NetworkWorld, networkWorld } from './network-world.ts'

/** Writes down whole ports. */
class PortUplink extends VirtualUplink {
  readonly open = new Map<string, UplinkPort>()

  override async publish(ports: readonly UplinkPort[]): Promise<void> {
    await super.publish(ports)
    for (const port of ports) this.open.set(port.key, port)
  }

  override async unpublish(keys: readonly string[]): Promise<void> {
    await super.unpublish(keys)
    for (const key of keys) this.open.delete(key)
  }

  /** `0.0.0.0:8080/tcp > 172.17.0.2:80`, sorted. */
  get ways(): string[] {
    return [...this.open.values()]
      .map(({ address, port, protocol, target, targetPort }) => `${address}:${port}/${protocol} > ${target}:${targetPort}`)
      .sort()
  }
}

let uplink: PortUplink
let world: NetworkWorld
let docker: ContainerWorld

beforeEach(async () => {
  uplink = new PortUplink()
  world = await networkWorld(new MemoryStore(), [], uplink)
  docker = new ContainerWorld(world, { interfaces: new VirtualInterfaces(world.controller) })
})
afterEach(() => docker.close())

/** `-p 8080:80` and the like: '80/tcp' -> host ports, with an address before a colon or not. */
function published(ports: Record<string, string[]>, more: NetworkingRequest = {}): NetworkingRequest {
  const binding = (text: string): { HostIp: string; HostPort: string } => {
    const colon = text.lastIndexOf(':')
    return { HostIp: colon === -1 ? '' : text.slice(0, colon), HostPort: text.slice(colon + 1) }
  }
  const PortBindings = Object.fromEntries(Object.entries(ports).map(([port, texts]) => [port, texts.map(binding)]))
  const ExposedPorts = Object.fromEntries(Object.keys(ports).map((port) => [port, {}]))
  return { ...more, ExposedPorts, HostConfig: { ...more.HostConfig, PortBindings } }
}

describe('published ports', () => {
  test('open while the container runs, for both families of the host', async () => {
    const web = await docker.run('web', published({ '80/tcp': ['8080', '127.0.0.1:8081'], '53/udp': ['5300'] }))
    assert.deepEqual(uplink.ways, [
      '0.0.0.0:5300/udp > 172.17.0.2:53',
      '0.0.0.0:8080/tcp > 172.17.0.2:80',
      '127.0.0.1:8081/tcp > 172.17.0.2:80',
      ':::5300/udp > 172.17.0.2:53',
      ':::8080/tcp > 172.17.0.2:80'
    ])
    await docker.stop(web)
    assert.deepEqual(uplink.ways, [])
    await docker.start(web)
    assert.equal(uplink.ways.length, 5)
  })

  test('follow the way out of the container, and its IPv6 address where it has one', async () => {
    await world.networks.create({ Name: 'a', IPAM: { Config: [{ Subnet: '10.1.0.0/24' }, { Subnet: 'fd00:1::/64' }] }, EnableIPv6: true })
    const web = await docker.run('web', published({ '80/tcp': ['8080'] }))
    assert.deepEqual(uplink.ways, ['0.0.0.0:8080/tcp > 172.17.0.2:80', ':::8080/tcp > 172.17.0.2:80'])
    await docker.service.connect(web, 'a', null)
    assert.deepEqual(uplink.ways, ['0.0.0.0:8080/tcp > 10.1.0.2:80', ':::8080/tcp > fd00:1::2:80'])
    await docker.service.disconnect(web, 'a', false)
    assert.deepEqual(uplink.ways, ['0.0.0.0:8080/tcp > 172.17.0.2:80', ':::8080/tcp > 172.17.0.2:80'])
  })

  test('refused: the start fails in Docker’s words, and the port is free again', async () => {
    const port = { key: 'k', protocol: 'tcp', address: '0.0.0.0', port: 8080, target: '', targetPort: 80, network: '' } as const
    uplink.failures = { publish: new UplinkPortError(port, 'EADDRINUSE') }
    const web = docker.create('web', published({ '80/tcp': ['8080'] }))
    const text = 'Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use'
    await assert.rejects(
      docker.start(web),
      ({ message }: Error) => message.endsWith(text) && message.startsWith('driver failed programming')
    )
    assert.deepEqual([uplink.ways, web.networking.ports, web.networking.portsNetworkId], [[], {}, ''])
    await docker.start(web)
    assert.equal(uplink.ways.length, 2)
  })

  test('a host that cannot take them away keeps neither the endpoint nor the port', async () => {
    const web = await docker.run('web', published({ '80/tcp': ['8080'] }))
    uplink.failures = { unpublish: new NetworkError('conflict', 'the host says no') }
    await assert.rejects(docker.stop(web), { message: 'the host says no' })
    assert.deepEqual([web.networking.ports, web.networking.attachments[0].endpoint], [{}, null])
    const next = await docker.run('next', published({ '80/tcp': ['8080'] }))
    assert.deepEqual(next.networking.ports['80/tcp']?.[0]?.HostPort, '8080')
  })

  test('SCTP is refused, as on a kernel without it', async () => {
    await assert.rejects(docker.run('web', published({ '80/sctp': ['8080'] })), /Error starting userland proxy: protocol not supported$/)
    assert.deepEqual(uplink.ways, [])
  })

  test('opened again by the daemon’s next start, but for one that somebody took meanwhile', async () => {
    const web = await docker.run('web', published({ '80/tcp': ['8080'] }))
    const { id } = world.controller.network('bridge')
    await world.controller.unpublish(['0.0.0.0', '::'].map((address) => `${web.id}/80/tcp/${address}/8080`))
    await world.controller.disconnect(id, 'web')
    const taken = { key: '', protocol: 'tcp', address: '0.0.0.0', port: 8080, target: '', targetPort: 80, network: id } as const
    uplink.failures = { publish: new UplinkPortError(taken, 'EADDRINUSE') }
    await docker.service.restore(web)
    assert.deepEqual(uplink.ways, [':::8080/tcp > 172.17.0.2:80'])
    assert.deepEqual(Object.keys(web.networking.ports), ['80/tcp'])
  })

  test('the default bridge beside a docker0 of somebody else', async () => {
    const other = new PortUplink()
    other.failures = { add: new NetworkError('conflict', 'the interface docker0 cannot be made on the host') }
    const beside = await networkWorld(new MemoryStore(), [], other)
    const [bridge] = [...beside.controller.networks.values()]
    assert.equal(bridge.bridgeName, `br-${bridge.id.slice(0, 12)}`)
    assert.deepEqual(beside.logged, [
      `the interface docker0 cannot be made on the host; the default bridge is ${bridge.bridgeName} on this host`
    ])
    other.failures = { add: new NetworkError('conflict', 'taken') }
    await assert.rejects(beside.networks.create({ Name: 'net' }), { message: 'taken' })
    await beside.close()
  })
})
