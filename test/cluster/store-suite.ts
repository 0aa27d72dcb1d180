// What every cluster store keeps to. A store's own test imports this and says how to open a client of it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { ClusterStore, StoreChange, StoreEntry } from '../../src/cluster/cluster-store.ts'
import { sleep } from '../../src/engine/clock.ts'

/** Of 10 ms: a minute and more, for a store on a machine that is slow. */
const TRIES = 6000

/** Everything a watch said, and a way to wait for more. */
export class WatchLog {
  readonly lists: string[][] = []
  readonly changes: string[] = []
  readonly lost: ClusterError[] = []
  /** What a copy that follows the watch has. */
  readonly copy = new Map<string, string>()

  onList(entries: readonly StoreEntry[]): void {
    this.lists.push(entries.map(({ key }) => key))
    this.copy.clear()
    for (const { key, value } of entries) this.copy.set(key, value)
  }

  onChanges(changes: readonly StoreChange[]): void {
    for (const change of changes) {
      if ('put' in change) this.copy.set(change.put.key, change.put.value)
      else this.copy.delete(change.remove)
      this.changes.push('put' in change ? `${change.put.key}=${change.put.value}` : `-${change.remove}`)
    }
  }

  onLost(error: ClusterError): void {
    this.lost.push(error)
  }

  async until(condition: (log: WatchLog) => boolean): Promise<void> {
    for (let tries = 0; !condition(this); tries++) {
      if (tries === TRIES) assert.fail(`the watch has said ${JSON.stringify({ ...this, copy: [...this.copy] })}`)
      await sleep(10)
    }
  }
}

export async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries === TRIES) assert.fail(`never: ${what}`)
    await sleep(10)
  }
}

/** `open` gives another client of the same store. */
export function clusterStoreSuite(name: string, open: () => ClusterStore, options: { skip?: string | false } = {}): void {
  describe(name, options, () => {
    let tests = 0
    /** Clients, and a prefix that no other test of this run has. */
    const run =
      (clients: number, work: (prefix: string, ...stores: ClusterStore[]) => Promise<void>): (() => Promise<void>) =>
      async () => {
        const stores = Array.from({ length: clients }, open)
        try {
          await work(`t${process.pid}-${++tests}/`, ...stores)
        } finally {
          await Promise.all(stores.map((store) => store.close()))
        }
      }
    const put = (key: string, value: string) => ({ put: key, value })

    test(
      'what was never written is not there',
      run(1, async (at, store) => {
        assert.equal(await store.get(`${at}a`), undefined)
        assert.deepEqual(await store.list(at), [])
      })
    )

    test(
      'gives back what was put, to the byte, at the version of the commit',
      run(2, async (at, store, other) => {
        const values = ['', '{}', 'ä\n"\u{1f40b}', 'x'.repeat(200_000)]
        let last = 0
        for (const value of values) {
          const version = await store.commit([], [put(`${at}a`, value), put(`${at}deep/er/b`, value)])
          assert.ok(version !== null && version > last)
          last = version
          assert.deepEqual(await other.get(`${at}a`), { key: `${at}a`, value, version })
          assert.deepEqual(await other.get(`${at}deep/er/b`), { key: `${at}deep/er/b`, value, version })
        }
      })
    )

    test(
      'a commit is all or nothing',
      run(1, async (at, store) => {
        const first = (await store.commit([], [put(`${at}a`, '1')]))!
        assert.equal(await store.commit([{ key: `${at}a`, version: first + 1000 }], [put(`${at}a`, '2'), put(`${at}b`, '2')]), null)
        assert.equal(await store.commit([{ key: `${at}a`, version: 0 }], [put(`${at}b`, '2')]), null)
        assert.equal(await store.commit([{ key: `${at}b`, version: first }], [put(`${at}b`, '2')]), null)
        assert.deepEqual(
          (await store.list(at)).map(({ value }) => value),
          ['1']
        )
        const second = (await store.commit(
          [
            { key: `${at}a`, version: first },
            { key: `${at}b`, version: 0 },
            { key: `${at}never`, version: 0 }
          ],
          [put(`${at}b`, '2'), { remove: `${at}a` }, { remove: `${at}never` }]
        ))!
        assert.deepEqual(await store.list(at), [{ key: `${at}b`, value: '2', version: second }])
      })
    )

    test(
      'a key that was removed and made again has another version',
      run(2, async (at, store, other) => {
        const first = (await store.commit([{ key: `${at}a`, version: 0 }], [put(`${at}a`, '1')]))!
        await other.commit([], [{ remove: `${at}a` }])
        const again = (await other.commit([{ key: `${at}a`, version: 0 }], [put(`${at}a`, '1')]))!
        assert.equal(await store.commit([{ key: `${at}a`, version: first }], [put(`${at}a`, '2')]), null)
        assert.notEqual(await store.commit([{ key: `${at}a`, version: again }], [put(`${at}a`, '2')]), null)
      })
    )

    test(
      'lists by prefix, in order, however many',
      run(1, async (at, store) => {
        const names = Array.from({ length: 700 }, (_, index) => `${at}n/${String(index).padStart(4, '0')}`)
        for (let from = 0; from < names.length; from += 50)
          await store.commit(
            [],
            names.slice(from, from + 50).map((key) => put(key, key))
          )
        await store.commit([], [put(`${at}n0`, ''), put(`${at}m/z`, ''), put(`${at}n/0001/below`, '')])
        const listed = await store.list(`${at}n/`)
        assert.deepEqual(
          listed.map(({ key }) => key),
          [...names, `${at}n/0001/below`].sort()
        )
        assert.deepEqual(await store.list(`${at}x/`), [])
      })
    )

    test(
      'of clients that change one key at once each change counts once',
      run(4, async (at, ...stores) => {
        const key = `${at}counter`
        const each = 12
        const numbers = await Promise.all(
          stores.map(async (store) => {
            const mine: number[] = []
            while (mine.length < each) {
              const entry = await store.get(key)
              const next = Number(entry?.value ?? 0) + 1
              if ((await store.commit([{ key, version: entry?.version ?? 0 }], [put(key, String(next))])) !== null) mine.push(next)
            }
            return mine
          })
        )
        assert.deepEqual(
          numbers.flat().sort((a, b) => a - b),
          Array.from({ length: stores.length * each }, (_, index) => index + 1)
        )
      })
    )

    test(
      'a watch lists, then tells what changes, in order, below its prefix',
      run(2, async (at, store, other) => {
        await store.commit([], [put(`${at}w/a`, '1'), put(`${at}x`, '1')])
        const log = new WatchLog()
        const watch = store.watch(`${at}w/`, log)
        await log.until(({ lists }) => lists.length === 1)
        assert.deepEqual(log.lists, [[`${at}w/a`]])
        await other.commit([], [put(`${at}w/b`, '1'), put(`${at}x`, '2')])
        await other.commit([], [{ remove: `${at}w/a` }])
        await store.commit([], [put(`${at}w/c/d`, '3')])
        await log.until(({ copy }) => copy.get(`${at}w/c/d`) === '3')
        assert.deepEqual([...log.copy].sort(), [
          [`${at}w/b`, '1'],
          [`${at}w/c/d`, '3']
        ])
        watch.close()
        const said = log.changes.length
        await store.commit([], [put(`${at}w/e`, '1')])
        await sleep(50)
        assert.equal(log.changes.length, said)
        assert.deepEqual(log.lost, [])
      })
    )

    test(
      'a watch ends where the store does, through many changes',
      run(3, async (at, store, ...others) => {
        const log = new WatchLog()
        store.watch(at, log)
        for (let round = 0; round < 30; round++) {
          await Promise.all(
            others.map((other, index) => {
              const changed = (round * 7 + index) % 5
              const steps = [put(`${at}k${changed}`, `${round}`), { remove: `${at}k${(changed + 1 + (round % 3)) % 5}` }]
              return other.commit([], steps)
            })
          )
        }
        await store.commit([], [put(`${at}end`, '')])
        await log.until(({ copy }) => copy.has(`${at}end`))
        assert.deepEqual(
          [...log.copy].sort(),
          (await store.list(at)).map(({ key, value }) => [key, value])
        )
      })
    )

    test(
      'what is put under a lease goes with it, unless it was put again since',
      run(2, async (at, store, other) => {
        const lease = await store.lease(60)
        await store.commit(
          [],
          [
            { put: `${at}mine`, value: '1', lease },
            { put: `${at}kept`, value: '1', lease }
          ]
        )
        await other.commit([], [put(`${at}kept`, '2')])
        assert.equal((await other.get(`${at}mine`))?.value, '1')
        const log = new WatchLog()
        other.watch(at, log)
        await log.until(({ lists }) => lists.length === 1)
        await lease.close()
        await log.until(({ copy }) => !copy.has(`${at}mine`))
        assert.deepEqual(
          (await other.list(at)).map(({ key }) => key),
          [`${at}kept`]
        )
        const next = await store.lease(60)
        await store.commit([], [{ put: `${at}kept`, value: '3', lease: next }])
        await next.close()
        await log.until(({ copy }) => copy.size === 0)
      })
    )

    test(
      'who comes back takes over what is under the lease of its former life',
      run(2, async (at, store, other) => {
        const former = await store.lease(60)
        await store.commit([], [{ put: `${at}host`, value: '1', lease: former }])
        const lease = await other.lease(60)
        await other.commit([], [{ put: `${at}host`, value: '2', lease }])
        await former.close()
        await sleep(50)
        assert.equal((await other.get(`${at}host`))?.value, '2')
        await lease.close()
        await eventually('the host is gone', async () => (await other.get(`${at}host`)) === undefined)
      })
    )

    test('a closed store says so', async () => {
      const store = open()
      await store.close()
      await assert.rejects(store.get('a'), { code: 'closed' })
    })
  })
}
