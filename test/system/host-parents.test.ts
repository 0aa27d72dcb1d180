// Parents on a kernel's interfaces: what an acquire that fails half-way leaves behind.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import type { NativeBinding } from '../../src/io/native-binding.ts'
import { HostParents } from '../../src/network/parents/host-parents.ts'
import type { ParentUser } from '../../src/network/parents.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const USER: ParentUser = { network: 'n1', driver: 'ipvlan', subnets: ['192.0.2.0/24'] }

describe('acquiring a parent', { skip: namespacesMissing('ip', 'nft') }, () => {
  let host: TestNamespace
  let parents: HostParents
  const listening = new Set<string>()
  let directory = ''

  const open = (refused: Partial<NativeBinding>): HostParents => {
    const native = Object.assign(Object.create(tryLoadNative()!) as NativeBinding, refused)
    const listen = (element: string, listener: unknown): void =>
      void (listener === null ? listening.delete(element) : listening.add(element))
    return new HostParents({ native, engine: { listen }, netns: host.fd, stateDirectory: directory, log: () => {} })
  }
  const rules = (): string => host.run('nft', 'list', 'ruleset')

  beforeEach(() => {
    listening.clear()
    directory = mkdtempSync(path.join(tmpdir(), 'netloom-parents-'))
    host = new TestNamespace()
    host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
  })
  afterEach(async () => {
    await parents.close()
    host.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('one that succeeds hides the subnet from the kernel, until its release', async () => {
    parents = open({})
    const { mac, mtu, port } = await parents.acquire('eth0.30', USER)
    assert.deepEqual({ mac, mtu, port }, { mac: host.ip('link', 'show', 'eth0')[0]['address'], mtu: 1500, port: ['parent/eth0/trunk', 31] })
    assert.match(rules(), /ip daddr 192\.0\.2\.0\/24/)
    await parents.release('eth0.30', 'n1')
    assert.equal(rules(), '')
    assert.deepEqual([...listening], [])
  })

  test('one that was deleted and made anew is refused until the networks on the old one are gone', async () => {
    parents = open({})
    await parents.acquire('eth0', { ...USER, driver: 'macvlan' })
    host.run('ip', 'link', 'delete', 'eth0')
    host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
    // Whether or not it has been heard yet that the interface is gone.
    const second: ParentUser = { ...USER, network: 'n2', driver: 'macvlan' }
    for (const name of ['eth0', 'eth0.30']) {
      await assert.rejects(parents.acquire(name, second), {
        code: 'conflict',
        message: /eth0 was deleted/,
        fix: 'remove the networks n1 first'
      })
    }
    await parents.release('eth0', 'n1')
    await parents.acquire('eth0', second)
  })

  for (const refusal of ['netlinkSubscribe', 'watchReadable'] as const) {
    test(`one whose ${refusal} is refused leaves neither rules nor users`, async () => {
      const refuse = (): never => {
        throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
      }
      parents = open({ [refusal]: refuse })
      await assert.rejects(parents.acquire('eth0', USER), { code: 'EMFILE' })
      assert.equal(rules(), '')
      assert.deepEqual([...listening], [])
      await parents.close()
      parents = open({})
      await parents.acquire('eth0', { ...USER, driver: 'macvlan' })
      await assert.rejects(parents.acquire('eth0', USER), { message: /device or resource busy/ })
    })
  }

  test('one that finds no addresses leaves neither rules nor users, and another driver may stand there', async () => {
    let isRefused = true
    const { netlinkExchange } = tryLoadNative()!
    parents = open({
      netlinkExchange: (netns, protocol, request) => {
        // RTM_GETADDR
        if (isRefused && protocol === 0 && request[4] === 22) throw new Error('out of memory')
        return netlinkExchange(netns, protocol, request)
      }
    })
    await assert.rejects(parents.acquire('eth0', USER), /out of memory/)
    assert.equal(rules(), '')
    isRefused = false
    await parents.acquire('eth0', { ...USER, driver: 'macvlan' })
  })
})
