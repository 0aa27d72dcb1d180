// What every store keeps to. A store's own test imports this and says how to open one.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Store } from '../../src/store/store.ts'

/** `open` twice on the same `place` gives the same store when it outlives its object. */
export function storeSuite(name: string, open: () => Store): void {
  describe(name, () => {
    const withStore = async (work: (store: Store) => Promise<void>): Promise<void> => {
      const store = open()
      try {
        await work(store)
      } finally {
        await store.close()
      }
    }
    const keys = (store: Store, prefix: string): string[] => Array.from(store.list(prefix), ([key]) => key)

    test('a key that was never written is undefined', () =>
      withStore(async (store) => {
        assert.equal(store.get('network/x'), undefined)
        assert.deepEqual([...store.list('network/')], [])
      }))

    test('gives back what JSON can say, to the byte', () =>
      withStore(async (store) => {
        const value = { text: 'ä\u0000"\u{1f40b}', list: [1, -0.5, 1e21, null, true], nested: { '': {}, __proto__: 1 }, absent: undefined }
        await store.write([{ put: 'a', value }])
        assert.deepEqual(store.get('a'), JSON.parse(JSON.stringify(value)))
        for (const plain of [null, false, 0, '', []]) {
          await store.write([{ put: 'b', value: plain }])
          assert.deepEqual(store.get('b'), plain)
        }
      }))

    test('values are nobody else’s', () =>
      withStore(async (store) => {
        const value = { list: [1] }
        await store.write([{ put: 'a', value }])
        value.list.push(2)
        store.get<typeof value>('a')!.list.push(3)
        assert.deepEqual(store.get('a'), { list: [1] })
      }))

    test('lists by prefix, in the order of bytes', () =>
      withStore(async (store) => {
        const names = ['n/a', 'n/b', 'n/a/b', 'n/', 'n/ä', 'n/\u{1f40b}', 'n/\uffee', 'n/Z', 'n0', 'm/z', 'o']
        await store.write(names.map((put) => ({ put, value: put })))
        const inside = names.filter((key) => key.startsWith('n/')).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        assert.deepEqual(keys(store, 'n/'), inside)
        assert.deepEqual(
          [...store.list('n/a')],
          [
            ['n/a', 'n/a'],
            ['n/a/b', 'n/a/b']
          ]
        )
        assert.equal(keys(store, '').length, names.length)
      }))

    test('a list is of the moment of the call', () =>
      withStore(async (store) => {
        await store.write([
          { put: 'n/1', value: 1 },
          { put: 'n/2', value: 2 }
        ])
        const listed = store.list<number>('n/')
        await store.write([{ remove: 'n/2' }, { put: 'n/1', value: 10 }, { put: 'n/3', value: 3 }])
        assert.deepEqual(
          [...listed],
          [
            ['n/1', 1],
            ['n/2', 2]
          ]
        )
      }))

    test('changes of one write come in order, and removing what is not there is nothing', () =>
      withStore(async (store) => {
        await store.write([{ put: 'a', value: 1 }, { remove: 'a' }, { put: 'b', value: 1 }, { put: 'b', value: 2 }, { remove: 'c' }])
        assert.deepEqual([...store.list('')], [['b', 2]])
        await store.write([])
        assert.deepEqual([...store.list('')], [['b', 2]])
      }))

    test('writes that nobody waited for come in the order of the calls', () =>
      withStore(async (store) => {
        const writes = Array.from({ length: 200 }, (_, value) =>
          store.write([
            { put: 'last', value },
            { put: `each/${value % 7}`, value }
          ])
        )
        await Promise.all(writes)
        assert.equal(store.get('last'), 199)
        assert.deepEqual(
          Array.from(store.list('each/'), ([, value]) => value),
          [196, 197, 198, 199, 193, 194, 195]
        )
      }))

    test('a value that is no JSON fails the whole write', () =>
      withStore(async (store) => {
        await store.write([{ put: 'a', value: 1 }])
        const circle: Record<string, unknown> = {}
        circle['self'] = circle
        for (const bad of [undefined, () => 1, circle, 1n]) {
          await assert.rejects(store.write([{ put: 'a', value: 2 }, { remove: 'b' }, { put: 'c', value: bad }]), TypeError)
        }
        assert.deepEqual([...store.list('')], [['a', 1]])
      }))
  })
}
