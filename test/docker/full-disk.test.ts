// What cannot be written down is not so: a refused connect, disconnect or removal leaves things as they were, and can be tried again.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { FailingStore } from '../store/failing-store.ts'
import { ContainerWorld, type TestContainer, VirtualInterfaces } from './container-world.ts'
import { networkWorld } from './network-world.ts'

const FULL = { code: 'ERR_STORE_WRITE' }

describe('networks on a full disk', () => {
  let store: FailingStore
  let docker: ContainerWorld
  let interfaces: VirtualInterfaces
  let web: TestContainer

  beforeEach(async () => {
    store = new FailingStore(new MemoryStore())
    const world = await networkWorld(store)
    interfaces = new VirtualInterfaces(world.controller)
    docker = new ContainerWorld(world, { interfaces })
    await world.networks.create({ Name: 'net', IPAM: { Config: [{ Subnet: '10.70.0.0/24' }] } })
    web = await docker.run('web')
  })
  afterEach(async () => {
    store.full = null
    await docker.close()
  })

  const names = (): string[] => Object.keys(docker.service.settings(web).Networks)
  const plugged = (network = 'net'): number => docker.world.controller.network(network).endpoints.size
  /** The container cannot be saved, once. */
  const refuseSave = (): void => {
    web.onSave = () => {
      web.onSave = () => {}
      throw new Error('no space left')
    }
  }
  const assertFree = async (): Promise<void> => {
    assert.deepEqual([names(), plugged(), docker.world.networks.find('net').endpoints.size], [['bridge'], 0, 0])
    assert.equal(interfaces.told.filter((line) => line === 'no eth1').length, 1, 'its interface is gone')
    assert.deepEqual(docker.world.networks.inspect('net').Containers, {})
    await docker.service.connect(web, 'net', null)
    assert.equal(docker.service.settings(web).Networks['net']!.IPAddress, '10.70.0.2', 'the first address is free')
  }

  test('a connect whose endpoint cannot be recorded', async () => {
    store.full = 'endpoint/'
    await assert.rejects(docker.service.connect(web, 'net', null), FULL)
    store.full = null
    await assertFree()
  })

  test('a connect that cannot be written into /etc/hosts', async () => {
    const hosts = path.join(web.directory, 'hosts')
    rmSync(hosts)
    mkdirSync(hosts)
    await assert.rejects(docker.service.connect(web, 'net', null), { code: 'EISDIR' })
    rmSync(hosts, { recursive: true })
    await docker.service.writeFiles(web)
    await assertFree()
  })

  test('a connect of a container that cannot be saved', async () => {
    refuseSave()
    await assert.rejects(docker.service.connect(web, 'net', null), { message: 'no space left' })
    await assertFree()
  })

  test('a wish of a stopped container that cannot be saved', async () => {
    await docker.stop(web)
    refuseSave()
    await assert.rejects(docker.service.connect(web, 'net', null), { message: 'no space left' })
    assert.deepEqual(names(), ['bridge'])
    await docker.start(web)
    assert.equal(plugged(), 0)
  })

  test('a disconnect that cannot be saved: still connected, and the next one takes it off', async () => {
    await docker.service.connect(web, 'net', null)
    refuseSave()
    await assert.rejects(docker.service.disconnect(web, 'net', false), { message: 'no space left' })
    assert.deepEqual([names(), plugged()], [['bridge', 'net'], 1])
    await docker.service.disconnect(web, 'net', false)
    assert.deepEqual([names(), plugged()], [['bridge'], 0])
  })

  test('a start whose endpoint cannot be recorded', async () => {
    const late = docker.create('late', { HostConfig: { NetworkMode: 'net' } })
    store.full = 'endpoint/'
    await assert.rejects(docker.start(late), FULL)
    assert.equal(plugged(), 0)
    store.full = null
    await docker.start(late)
    assert.equal(docker.service.settings(late).Networks['net']!.IPAddress, '10.70.0.2')
  })

  test('a network whose removal cannot be recorded is there as before', async () => {
    const { networks, controller } = docker.world
    const shown = networks.inspect('net')
    store.full = 'network/'
    await assert.rejects(networks.remove('net'), FULL)
    assert.deepEqual(networks.inspect('net'), shown)
    assert.equal(controller.network('net').pool.subnet, '10.70.0.0/24')
    await docker.service.connect(web, 'net', null)
    await docker.service.disconnect(web, 'net', false)
    store.full = null
    await networks.remove('net')
    assert.equal(store.get(`network/${shown.Id}`), undefined)
    assert.throws(() => networks.find('net'), { status: 404 })
  })
})
