import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { missing, tsharkFields } from '../capture/judge.ts'
import { expectedFiles, goldenFolders, runGolden } from './golden-case.ts'

const captures = path.resolve(import.meta.dirname, '../../../captures')
const update = process.env['NETLOOM_UPDATE'] === '1'
const folders = goldenFolders(captures)

test('there are golden captures', () => assert.ok(folders.length > 0))

for (const folder of folders) {
  test(`captures/${path.basename(folder)}`, () => {
    const got = runGolden(folder)
    if (update) {
      for (const name of expectedFiles(folder)) rmSync(path.join(folder, name))
      for (const [name, bytes] of got) writeFileSync(path.join(folder, name), bytes)
    }
    assert.deepEqual(expectedFiles(folder).sort(), [...got.keys()].sort(), 'files; run npm test -- --update when they are meant to change')
    for (const [name, bytes] of got) {
      const expected = readFileSync(path.join(folder, name))
      // Text and frames first: they say more about a difference than bytes do.
      if (name.endsWith('.json')) assert.deepEqual(JSON.parse(bytes.toString()), JSON.parse(expected.toString()), name)
      else assert.deepEqual(readable(bytes), readable(expected), name)
      assert.equal(bytes.compare(expected), 0, `${name} differs in its bytes`)
    }
    assert.deepEqual(runGolden(folder), got, 'a second run gives the same bytes')
  })
}

test('tshark reads the same frames at the same times from what we wrote', { skip: missing('tshark') }, () => {
  for (const folder of folders) {
    for (const name of expectedFiles(folder).filter((file) => file.endsWith('.pcapng'))) {
      const file = path.join(folder, name)
      const ours = [...readCapture(readFileSync(file))].map(({ timestampNs, data }) => `${timestampNs} ${data.length}`)
      const theirs = tsharkFields(file, 'frame.time_epoch', 'frame.cap_len').map(([time, length]) => `${nanoseconds(time)} ${length}`)
      assert.deepEqual(theirs, ours, file)
    }
  }
})

/** Of '946684800.000000001', exactly, which a double cannot hold. */
function nanoseconds(seconds: string): bigint {
  const [whole, fraction] = seconds.split('.')
  return BigInt(whole + fraction.padEnd(9, '0'))
}

function readable(capture: Buffer): string[] {
  return [...readCapture(capture)].map(({ timestampNs, data }) => `${timestampNs} ${Buffer.from(data).toString('hex')}`)
}
