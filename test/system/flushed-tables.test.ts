// Whoever loads a firewall begins with `nft flush ruleset`. Our tables beside the uplink's (host-uplink.test) are there again after it:
// that of ipvlan parents, and that of the underlay.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { HostParents } from '../../src/network/parents/host-parents.ts'
import { TapUnderlay } from '../../src/network/underlays/tap-underlay.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

describe('a table of ours that somebody flushes', { skip: namespacesMissing('ip', 'nft'), timeout: 300_000 }, () => {
  let host: TestNamespace
  let stateDirectory: string
  let logs: string[]
  let onLog: () => void
  beforeEach(() => {
    host = new TestNamespace()
    stateDirectory = mkdtempSync(path.join(tmpdir(), 'netloom-flushed-'))
    logs = []
    onLog = () => {}
    host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'lan0')
    host.run('ip', 'address', 'add', '192.0.2.50/24', 'dev', 'eth0')
    host.run('ip', 'link', 'set', 'eth0', 'up')
  })
  afterEach(() => {
    host.close()
    rmSync(stateDirectory, { recursive: true })
  })

  const log = (message: string): void => {
    logs.push(message)
    onLog()
  }
  const logged = async (count: number): Promise<void> => {
    while (logs.length < count)
      await new Promise<void>((resolve) => {
        onLog = resolve
      })
  }
  const ruleset = (): string => host.run('nft', 'list', 'ruleset')
  const noted = (): number =>
    readdirSync(stateDirectory)
      .map((name) => JSON.parse(readFileSync(path.join(stateDirectory, name), 'utf8')).changes.length as number)
      .reduce((sum, count) => sum + count, 0)
  const flush = async (times: number): Promise<void> => {
    const before = ruleset()
    assert.notEqual(before, '')
    for (let time = 1; time <= times; time++) {
      host.run('nft', 'flush', 'ruleset')
      await logged(time)
      assert.equal(ruleset(), before)
    }
    // What is somebody else's stays, and nothing is said of it.
    host.run('nft', 'add', 'table', 'inet', 'firewall')
    host.run('nft', 'delete', 'table', 'inet', 'firewall')
    assert.equal(ruleset(), before)
    assert.equal(noted(), 1, 'a killed daemon still finds it')
  }

  test('of ipvlan parents: with the subnets of all networks, until the last one goes', async () => {
    const parents = new HostParents({ native, engine: { listen: () => {} }, netns: host.fd, stateDirectory, log })
    const user = (network: string, subnet: string) => ({ network, driver: 'ipvlan', subnets: [subnet] }) as const
    await parents.acquire('eth0', user('n1', '192.0.2.0/24'))
    await parents.acquire('eth0.30', user('n2', '198.51.100.0/24'))
    await flush(2)
    assert.match(ruleset(), /192\.0\.2\.0\/24[\s\S]*198\.51\.100\.0\/24/)
    assert.match(logs[0]!, /^somebody took the table inet netloom-parents-[0-9a-f]{12} away .*; it is there again$/)

    await parents.release('eth0', 'n1')
    assert.doesNotMatch(ruleset(), /192\.0\.2\.0/)
    host.run('nft', 'flush', 'ruleset')
    await logged(3)
    assert.doesNotMatch(ruleset(), /192\.0\.2\.0/, 'what was released meanwhile does not come again')
    // Both at once: the one that goes must not take away what the other one has just made.
    await Promise.all([parents.release('eth0.30', 'n2'), parents.acquire('eth0', user('n3', '203.0.113.0/24'))])
    assert.match(ruleset(), /203\.0\.113\.0\/24/)
    assert.equal(noted(), 1)
    await parents.close()
    assert.deepEqual([ruleset(), noted(), logs.length], ['', 0, 3])
  })

  test('of the underlay: with the way of VXLAN to the TAP', async () => {
    const underlay = new TapUnderlay({ native, netns: host.fd, stateDirectory, log })
    const { elements } = await underlay.open({ address: '192.0.2.50', port: 4790 })
    await flush(2)
    assert.match(ruleset(), /udp dport 4790 fwd to "netloomvx"/)
    assert.match(logs[0]!, /^somebody took the table netdev netloom-vxlan away /)
    await underlay.close()
    native.closeFd((Object.values(elements)[0]!.options as { fd: number }).fd)
    assert.deepEqual([ruleset(), noted(), logs.length], ['', 0, 2])
  })
})
