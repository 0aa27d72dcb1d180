// A process that writes for as long as it lives and tells what was acknowledged: `node writer-process.js FILE CRASH?`.
// Each write puts its number under two keys and removes a third, so that half a write shows.
import { writeSync } from 'node:fs'
import { CrashingStore, parseCrashPoint } from '../../src/store/crashing-store.ts'
import { LmdbStore } from '../../src/store/lmdb-store.ts'
import type { Store } from '../../src/store/store.ts'

const [file, crash] = process.argv.slice(2)
const onDisk = LmdbStore.open(file!)
const point = parseCrashPoint(crash)
const store: Store = point === undefined ? onDisk : new CrashingStore(onDisk, point)

for (let number = (store.get<number>('left') ?? 0) + 1; ; number++) {
  const value = number
  await store.write([
    { put: 'left', value },
    { put: `log/${String(number).padStart(9, '0')}`, value: 'x'.repeat((number * 37) % 5000) },
    { remove: `log/${String(number - 20).padStart(9, '0')}` },
    { put: 'right', value }
  ])
  // Straight to the pipe: what is buffered in the process dies with it.
  writeSync(1, `${number}\n`)
}
