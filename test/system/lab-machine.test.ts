// Virtual machines in a lab. The lab runs in a process of its own, in a namespace that stands for the user's.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Lab } from '../../src/index.ts'
import { linesOf, startGuest } from './guest-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const USER = 64_000 + (process.pid % 1000)
const LIBRARY = new URL('../../src/index.js', import.meta.url).href

describe('Lab: a virtual machine', { skip: namespacesMissing('ip', 'unshare', 'mknod') }, () => {
  let netns: TestNamespace
  let folder: string
  beforeEach(() => {
    netns = new TestNamespace()
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
  })
  afterEach(() => {
    netns.close()
    rmSync(folder, { recursive: true })
  })

  /** Starts a script that has `lab`, `lan` (192.0.2.0/24) and `print`. */
  function startLab(body: string) {
    const script = `
      import { Lab } from '${LIBRARY}'
      const print = (...words) => console.log(...words)
      const lab = await Lab.create({ upstreams: [] })
      const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
      ${body}
      await lab.close()
      print('end')`
    const child = netns.start(process.execPath, '--input-type=module', '-e', script)
    child.stderr!.pipe(process.stderr)
    return linesOf(child)
  }

  function names(): unknown[] {
    return netns.ip('link').map((link) => link['ifname'])
  }

  test('a guest of an ordinary user is found by name and answers; closing takes the TAP away', async () => {
    const said = startLab(`
      const host = await lan.host('host')
      const vm = await lan.machine('vm', { tap: 'tap7', user: ${USER}, ip: '192.0.2.50', aliases: ['guest'] })
      print(vm.name, vm.tap, vm.address, vm.mac)
      print(...await host.resolve('guest'))
      let first
      do first = await host.ping('vm', { timeoutMs: 1000 }).catch(() => ({ received: 0 }))
      while (first.received === 0)
      print((await host.ping('vm', { count: 10, intervalMs: 10, timeoutMs: 60000 })).received, vm.counters().counters.rxFrames > 10)
      await vm.close()
      await vm.close()
      print('closed')`)
    assert.equal(await said(), 'vm tap7 192.0.2.50 02:42:c0:00:02:32')
    assert.equal(await said(), '192.0.2.50')
    const guest = startGuest(netns, folder, { tap: 'tap7', user: USER, address: '192.0.2.50/24', mac: '02:42:c0:00:02:32' })
    const guestSaid = linesOf(guest)
    assert.equal(await guestSaid(), 'ready')
    assert.equal(await said(), '10 true')
    assert.equal(await said(), 'closed')
    assert.equal(await guestSaid(), 'gone')
    assert.equal(await said(), 'end')
    assert.deepEqual(names(), ['lo'])
    if (guest.exitCode === null) await once(guest, 'exit')
  })

  test('the end of the lab is the end of its TAPs, but not of one that was there before', async () => {
    netns.run('ip', 'tuntap', 'add', 'dev', 'mine', 'mode', 'tap')
    const said = startLab(`
      for (const tap of ['mine', 'ours']) await lan.machine(tap, { tap, user: 'root' })
      print('both')`)
    assert.equal(await said(), 'both')
    assert.equal(await said(), 'end')
    assert.deepEqual(names(), ['lo', 'mine'])
  })

  test('what cannot be is an error that says why, and leaves nothing', async () => {
    const said = startLab(`
      await lan.host('taken')
      for (const [name, options] of [
        ['a', { tap: 'tap0', user: 'nonesuch' }],
        ['a', { tap: 'tap0', user: 4294967295 }],
        ['a', { tap: 'sixteen-bytes-16' }],
        ['a', { tap: 'lo' }],
        ['taken', { tap: 'tap0' }],
        ['a', { tap: 'tap0', ip: '203.0.113.1' }]
      ]) await lan.machine(name, options).then(() => print('made'), (error) => print(error.code, error.message))`)
    for (const expected of [
      /^invalid user 'nonesuch': there is no such user/,
      /^invalid user '4294967295': there is no such user/,
      /^ERR_TAP_OPTION .*'sixteen-bytes-16'/,
      /^ERR_TAP_OPTION interface 'lo' exists and is no TAP/,
      /^conflict endpoint with name taken already exists/,
      /203\.0\.113\.1/
    ]) {
      assert.match(await said(), expected)
    }
    assert.equal(await said(), 'end')
    assert.deepEqual(names(), ['lo'])
  })

  test('not in virtual time', async () => {
    await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    await assert.rejects(lan.machine('vm', { tap: 'tap7' }), { code: 'unsupported', message: /'vm'/ })
  })
})
