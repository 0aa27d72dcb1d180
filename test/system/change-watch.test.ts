// Changes of links and addresses are told, in a namespace of our own.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { ChangeWatch } from '../../src/io/netlink/change-watch.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

describe('change watch', { skip: namespacesMissing('ip') }, () => {
  let netns: TestNamespace
  beforeEach(() => {
    netns = new TestNamespace()
  })
  afterEach(() => netns.close())

  /** Resolves with the next telling; `seen` counts all. */
  class Changes {
    seen = 0
    private resolve = (): void => {}
    readonly told = (): void => {
      this.seen++
      this.resolve()
    }
    async after(action: () => void): Promise<void> {
      const next = new Promise<void>((resolve) => {
        this.resolve = resolve
      })
      action()
      await next
    }
  }

  test('addresses of both families that come and go', async () => {
    const changes = new Changes()
    const watch = ChangeWatch.open(native, netns.fd, ['ipv4Address', 'ipv6Address'], changes.told)
    await changes.after(() => netns.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lo'))
    await changes.after(() => netns.run('ip', 'address', 'add', '2001:db8::1/128', 'dev', 'lo', 'nodad'))
    await changes.after(() => netns.run('ip', 'address', 'del', '192.0.2.1/24', 'dev', 'lo'))
    const before = changes.seen
    netns.run('ip', 'link', 'set', 'lo', 'mtu', '1400')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(changes.seen, before, 'links were not asked for')
    await changes.after(() => netns.run('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lo'))
    assert.equal(changes.seen, before + 1, 'nor told before what came behind them')
    watch.close()
    watch.close()
    netns.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'lo')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(changes.seen, before + 1)
  })

  test('links; a flood of changes is told, and more than the socket holds as well', async () => {
    const changes = new Changes()
    const watch = ChangeWatch.open(native, netns.fd, ['link'], changes.told)
    await changes.after(() => netns.run('ip', 'link', 'set', 'lo', 'mtu', '1400'))
    const lines = Array.from({ length: 1000 }, (_, i) => `link set lo mtu ${1300 + i}`)
    const before = changes.seen
    await changes.after(() => netns.run('sh', '-c', `printf '%s\\n' "$0" | ip -batch -`, lines.join('\n')))
    assert.equal(changes.seen, before + 1, 'the thousand came while this thread waited for ip, so they are one telling')
    await changes.after(() => netns.run('ip', 'link', 'set', 'lo', 'up'))
    watch.close()
  })
})
