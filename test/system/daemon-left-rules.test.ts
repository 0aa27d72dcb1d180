// Rules that a killed daemon left on its host: listed by the doctor, taken away by the next daemon, whatever it is asked for.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { realTimers, type Timers } from '../../src/engine/clock.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import type { NativeBinding, NativeWatch } from '../../src/io/native-binding.ts'
import { ParentFilter, parentTable } from '../../src/network/parents/parent-filter.ts'
import { TapUnderlay } from '../../src/network/underlays/tap-underlay.ts'
import { HostNamespace } from '../../src/network/uplinks/host/host-namespace.ts'
import { DaemonProcess } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
const native = tryLoadNative()!
/** Of somebody who was killed: what becomes of the rules is not heard of, and nothing is put there again. */
const deaf = Object.assign(Object.create(native) as NativeBinding, {
  watchReadable: () => ({}) as NativeWatch,
  unwatchReadable: () => {}
})

describe('rules that a killed daemon left', { skip: namespacesMissing('ip', 'nft') }, () => {
  let host: TestNamespace
  let folder: string
  beforeEach(() => {
    host = new TestNamespace()
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-left-'))
    host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'lan0')
    host.run('ip', 'address', 'add', '192.0.2.50/24', 'dev', 'eth0')
    host.run('ip', 'link', 'set', 'eth0', 'up')
  })
  afterEach(() => {
    host.close()
    rmSync(folder, { recursive: true })
  })

  const stateOf = (name: string): string => {
    const state = path.join(folder, name)
    mkdirSync(state, { recursive: true })
    return state
  }
  const underlayOf = (name: string, timers?: Timers): TapUnderlay =>
    new TapUnderlay({ native: deaf, netns: host.fd, stateDirectory: stateOf(name), ...(timers && { timers }) })
  const filterOf = (name: string): ParentFilter => new ParentFilter(new HostNamespace(deaf, host.fd), stateOf(name), () => {})
  /** Returns the descriptor of its TAP, which alone goes with a process. */
  const openUnderlay = async (name: string): Promise<number> => {
    const { elements } = await underlayOf(name).open({ address: '192.0.2.50', port: 4789 })
    return (Object.values(elements)[0].options as { fd: number }).fd
  }
  const tables = (): string[] => host.run('nft', 'list', 'tables').trim().split('\n')
  const told = (): string[] => {
    const { checks } = JSON.parse(host.run(process.execPath, NETLOOM, 'doctor', '--json', '--state-dir', stateOf('one'))) as {
      checks: { id: string; status: string; fix?: string }[]
    }
    const ids = ['underlay-changes', 'parent-changes']
    return checks.filter(({ id }) => ids.includes(id)).map(({ status, fix }) => `${status} ${fix?.split('\n').at(-1)}`)
  }

  test('the doctor lists them; a daemon without a cluster takes them away', async () => {
    native.closeFd(await openUnderlay('one'))
    await filterOf('one').add('n', 'eth0', ['192.0.2.0/24'])
    const { name } = parentTable(stateOf('one'))
    assert.deepEqual(tables().sort(), [`table inet ${name}`, 'table netdev netloom-vxlan'])
    assert.deepEqual(told(), ['warn nft delete table netdev netloom-vxlan', `warn nft delete table inet ${name}`])

    const socket = path.join(folder, 'd.sock')
    const daemon = new DaemonProcess(host, ['--host', `unix://${socket}`, '--state-dir', stateOf('one'), '--uplink', 'none'])
    try {
      await daemon.ready()
      assert.deepEqual(tables(), [''])
      assert.deepEqual(told(), ['ok undefined', 'ok undefined'])
    } finally {
      await daemon.stop()
    }
  })

  test("a daemon leaves alone another one's rules for ipvlan parents in its namespace", async () => {
    const subnets = (): string[] => [...host.run('nft', 'list', 'ruleset').matchAll(/daddr (\d\S+)/g)].map(([, subnet]) => subnet).sort()
    const [one, two] = [filterOf('one'), filterOf('two')]
    await one.add('n1', 'eth0', ['192.0.2.0/24'])
    await two.add('n2', 'eth0', ['198.51.100.0/24'])
    assert.deepEqual(subnets(), ['192.0.2.0/24', '198.51.100.0/24'])
    await two.removeAll()
    assert.deepEqual(subnets(), ['192.0.2.0/24'])
    // `one` was killed: its next daemon knows what it left, and others leave it alone.
    await filterOf('two').removeLeft()
    assert.deepEqual(subnets(), ['192.0.2.0/24'])
    await filterOf('one').removeLeft()
    assert.deepEqual(tables(), [''])
  })

  test('what the host uplink changed is put back by a daemon with another one', async () => {
    host.run('sysctl', '-qw', 'net.ipv4.ip_forward=0')
    const forwarding = (): string => host.run('sysctl', '-n', 'net.ipv4.ip_forward').trim()
    const rules = (): number => host.ip('rule').length
    const [before, state] = [rules(), stateOf('one')]
    const run = (uplink: string): DaemonProcess =>
      new DaemonProcess(host, ['--host', `unix://${path.join(folder, 'd.sock')}`, '--state-dir', state, '--uplink', uplink])
    const killed = run('host')
    await killed.ready()
    killed.signal('SIGKILL')
    await killed.ended
    assert.equal(forwarding(), '1')
    assert.ok(tables().includes('table inet netloom'), String(tables()))
    assert.ok(rules() > before)
    const next = run('none')
    try {
      await next.ready()
      assert.deepEqual([forwarding(), tables(), rules()], ['0', [''], before])
    } finally {
      await next.stop()
    }
  })

  test("while another daemon has the interface, its table is not taken for one's own", async () => {
    native.closeFd(await openUnderlay('one'))
    const tap = await openUnderlay('two')
    // What tries again and again for the interface to become free does so without waiting.
    const timers: Timers = { after: (ms, fire) => realTimers.after(Math.min(ms, 0), fire) }
    await assert.rejects(underlayOf('one', timers).removeLeft(), { code: 'conflict' })
    assert.deepEqual(tables(), ['table netdev netloom-vxlan'])
    native.closeFd(tap)
    await underlayOf('one').removeLeft()
    assert.deepEqual(tables(), [''])
  })
})
