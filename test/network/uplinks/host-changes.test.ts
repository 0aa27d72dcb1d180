// The journal of the host uplink: on the disk before each change, so that a kill at any moment can be made good.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { NetlinkError } from '../../../src/io/netlink/netlink-error.ts'
import { NftablesBatch } from '../../../src/io/netlink/nftables/batch.ts'
import { HostChanges } from '../../../src/network/uplinks/host/host-changes.ts'
import { type HostChange, HostJournal, JOURNAL_FILE, parseJournal } from '../../../src/network/uplinks/host/host-journal.ts'
import type { HostNamespace } from '../../../src/network/uplinks/host/host-namespace.ts'
import { FILTER_TABLE } from '../../../src/network/uplinks/host/host-settings.ts'

/** What a kill looks like from inside: nothing that would follow happens. */
class Killed extends Error {}

/** A host of a few settings, whose process is killed before its Nth change, or right after it. */
class FakeHost {
  readonly settings = new Map([
    ['net/ipv4/ip_forward', '0'],
    ['net/ipv6/conf/all/forwarding', '0'],
    ['net/ipv6/conf/eth0/accept_ra', '1']
  ])
  readonly rules = new Set<number>()
  hasTable = false
  /** Called around each change. */
  around: (change: () => void) => void = (change) => change()

  get namespace(): HostNamespace {
    const changed = async (change: () => void): Promise<void> => this.around(change)
    const fake = {
      hasIpv6: true,
      sysctl: (name: string) => this.settings.get(name) ?? null,
      setSysctl: (name: string, value: string) => this.around(() => this.settings.set(name, value)),
      netlink: {
        rules: {
          add: ({ family }: { family: number }) => changed(() => this.rules.add(family)),
          delete: ({ family }: { family: number }) =>
            changed(() => {
              if (!this.rules.delete(family)) throw new NetlinkError(2, 'rule delete', '')
            })
        }
      },
      nftables: {
        commit: (batch: NftablesBatch) =>
          changed(() => {
            this.hasTable = !batch.describe(batch.length - 1).startsWith('delete table')
          })
      }
    }
    return fake as unknown as HostNamespace
  }

  get state(): object {
    return { settings: Object.fromEntries(this.settings), rules: [...this.rules], hasTable: this.hasTable }
  }
}

describe('changes of the host', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'netloom-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const open = (host: FakeHost): HostChanges => new HostChanges(host.namespace, HostJournal.open(directory, 'boot/1'))
  const onDisk = (): readonly HostChange[] => parseJournal(readFileSync(path.join(directory, JOURNAL_FILE), 'utf8'), 'f').changes
  /** As the uplink does it. */
  const changeAll = async (changes: HostChanges): Promise<void> => {
    await changes.addTable(new NftablesBatch().addTable(FILTER_TABLE))
    await changes.addRule(4)
    await changes.addRule(6)
    changes.setSysctl('net/ipv4/ip_forward', '1')
    changes.setSysctl('net/ipv6/conf/eth0/accept_ra', '2')
    changes.setSysctl('net/ipv6/conf/all/forwarding', '1')
  }
  const CHANGES = 6

  test('what is changed is on the disk before', async () => {
    const host = new FakeHost()
    const listed: number[] = []
    host.around = (change) => {
      listed.push(onDisk().length)
      change()
    }
    await changeAll(open(host))
    assert.deepEqual(listed, [1, 2, 3, 4, 5, 6])
  })

  for (const when of ['before', 'after'] as const) {
    test(`killed ${when} each change, the next one puts everything back`, async () => {
      const fresh = new FakeHost().state
      for (let fatal = 1; fatal <= CHANGES; fatal++) {
        const host = new FakeHost()
        let count = 0
        host.around = (change) => {
          const dies = ++count === fatal
          if (dies && when === 'before') throw new Killed()
          change()
          if (dies) throw new Killed()
        }
        await assert.rejects(changeAll(open(host)), Killed)
        host.around = (change) => change()
        assert.deepEqual(await open(host).undoAll(), [])
        assert.deepEqual(host.state, fresh, `killed ${when} change ${fatal}`)
        assert.deepEqual(onDisk(), [])
      }
    })

    test(`killed ${when} each step of putting back, the one after goes on`, async () => {
      const fresh = new FakeHost().state
      for (let fatal = 1; fatal <= CHANGES; fatal++) {
        const host = new FakeHost()
        await changeAll(open(host))
        let count = 0
        let isDead = false
        host.around = (change) => {
          isDead ||= ++count === fatal
          if (isDead && !(count === fatal && when === 'after')) throw new Killed()
          change()
          if (isDead) throw new Killed()
        }
        const errors = await open(host).undoAll()
        assert.equal(errors.length, CHANGES - fatal + 1)
        host.around = (change) => change()
        assert.deepEqual(await open(host).undoAll(), [])
        assert.deepEqual(host.state, fresh)
      }
    })
  }

  test('what cannot be put back stays listed, and does not hold up the rest', async () => {
    const host = new FakeHost()
    await changeAll(open(host))
    host.around = (change) => {
      if (host.rules.size === 1) throw new Error('the kernel says no')
      change()
    }
    const errors = await open(host).undoAll()
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['the kernel says no', 'the kernel says no']
    )
    assert.deepEqual(
      onDisk().map(({ kind }) => kind),
      ['nftables', 'rule']
    )
    assert.equal(host.settings.get('net/ipv4/ip_forward'), '0')
  })

  test('settings that have the value, or that the kernel does not have, are not changed', () => {
    const host = new FakeHost()
    const changes = open(host)
    assert.equal(changes.setSysctl('net/ipv4/ip_forward', '0'), false)
    assert.equal(changes.setSysctl('net/ipv9/ip_forward', '1'), false)
    assert.equal(HostJournal.open(directory, 'boot/1').changes.length, 0)
  })

  test('a file that is no journal is refused by name', () => {
    const file = path.join(directory, JOURNAL_FILE)
    for (const text of ['{', 'null', '[]', '{"version":2,"namespace":"n","changes":[]}', '{"version":1,"changes":[]}']) {
      writeFileSync(file, text)
      assert.throws(() => HostJournal.open(directory, 'boot/1'), { name: 'SyntaxError', message: /host-uplink\.json is no journal/ })
    }
  })
})
