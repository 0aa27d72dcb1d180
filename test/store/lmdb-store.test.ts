import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { LmdbStore } from '../../src/store/lmdb-store.ts'
import { checkSchema } from '../../src/store/schema.ts'
import { StoreError } from '../../src/store/store-error.ts'
import { storeSuite } from './store-suite.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-store-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const newFile = (): string => path.join(folder, `${files++}.mdb`)

storeSuite('LmdbStore', () => LmdbStore.open(newFile()))

test('what was written is there when it is opened again', async () => {
  const file = newFile()
  const value = { text: 'x'.repeat(100_000) }
  const first = LmdbStore.open(file)
  await first.write([
    { put: 'a', value },
    { put: 'b', value: 1 }
  ])
  await first.write([{ remove: 'b' }])
  await first.close()
  const second = LmdbStore.open(file)
  assert.deepEqual([...second.list('')], [['a', value]])
  await second.close()
})

test('close waits for writes under way', async () => {
  const file = newFile()
  const first = LmdbStore.open(file)
  const writes = Array.from({ length: 50 }, (_, index) => first.write([{ put: `k/${index}`, value: index }]))
  await Promise.all([...writes, first.close()])
  const second = LmdbStore.open(file)
  assert.equal([...second.list('k/')].length, 50)
  await second.close()
})

test('a file of something else is refused, and says which', () => {
  const file = newFile()
  writeFileSync(file, 'no database '.repeat(1000))
  assert.throws(
    () => LmdbStore.open(file),
    (error: StoreError) => error instanceof StoreError && error.code === 'ERR_STORE_OPEN' && error.message.includes(file)
  )
})

test('keys of no length or too many bytes are refused, and nothing is written', async () => {
  const store = LmdbStore.open(newFile())
  for (const key of ['', 'ä'.repeat(600)]) {
    await assert.rejects(
      store.write([
        { put: 'good', value: 1 },
        { put: key, value: 1 }
      ]),
      { code: 'ERR_STORE_KEY' }
    )
  }
  await store.write([{ put: 'k'.repeat(1024), value: 1 }])
  assert.deepEqual([...store.list('')], [['k'.repeat(1024), 1]])
  await store.close()
})

test('a new store is marked with our version; one of another version is refused', async () => {
  const store = LmdbStore.open(newFile())
  await checkSchema(store)
  await checkSchema(store)
  await store.write([{ put: 'meta/schema', value: 99 }])
  await assert.rejects(checkSchema(store), { code: 'ERR_STORE_SCHEMA', message: /version 99/ })
  await store.close()
})
