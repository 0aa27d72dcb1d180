// A file that cannot grow: the write says why, and what was acknowledged before it is there.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { LmdbStore } from '../../src/store/lmdb-store.ts'

const WRITER = path.join(import.meta.dirname, 'writer-process.js')
const folder = mkdtempSync(path.join(tmpdir(), 'netloom-store-full-'))
after(() => rmSync(folder, { recursive: true }))

test('a write that the disk has no room for tells the reason and leaves the state as it was', async () => {
  const file = path.join(folder, 'full.mdb')
  // Files of this shell and its children end at 64 KiB (dash counts in 512 bytes); with the signal ignored the write fails instead.
  const limited = `trap '' XFSZ; ulimit -f 128; exec "$0" "$1" "$2"`
  const writer = spawnSync('sh', ['-c', limited, process.execPath, WRITER, file], { encoding: 'utf8', timeout: 180_000 })
  // EFBIG, or EIO where only a part of the pages had room.
  assert.match(writer.stderr, /StoreError: the state could not be written: (File too large|Input\/output error)\n/)
  assert.match(writer.stderr, /ERR_STORE_WRITE/)
  assert.equal(writer.status, 1)
  const acknowledged = Number(writer.stdout.trimEnd().split('\n').at(-1))
  assert.ok(acknowledged > 0, 'the first writes have room')
  const store = LmdbStore.open(file)
  assert.equal(store.get('left'), acknowledged)
  assert.equal(store.get('right'), acknowledged)
  await store.close()
})

test('on a disk that is full when the daemon starts, records are changed and removed all the same', async () => {
  const file = path.join(folder, 'grown.mdb')
  await LmdbStore.open(file).close()
  // No file may grow beyond what this one has.
  const limited = `trap '' XFSZ; ulimit -f ${Math.floor(statSync(file).size / 512)}; "$0" "$1" "$2" 2>/dev/null | head -n 500 | tail -n 1`
  const writer = spawnSync('sh', ['-c', limited, process.execPath, WRITER, file], { encoding: 'utf8', timeout: 180_000 })
  assert.equal(writer.stdout, '500\n')
})
