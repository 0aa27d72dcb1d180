import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { type LogRecord, readProcessLog } from '../../src/sandbox/process-log.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
const file = path.join(folder, 'log')
after(() => rmSync(folder, { recursive: true }))

function record(time: bigint, stream: number, data: string): Buffer {
  const header = Buffer.alloc(16)
  header.writeBigUInt64LE(time, 0)
  header.writeUInt32LE(Buffer.byteLength(data), 8)
  header.writeUInt32LE(stream, 12)
  return Buffer.concat([header, Buffer.from(data)])
}

async function read(from?: number): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for await (const next of readProcessLog(file, from)) records.push(next)
  return records
}

test('records come in order, and a reader goes on where it was', async () => {
  writeFileSync(file, Buffer.concat([record(1_700_000_000_123_456_789n, 1, 'out'), record(5n, 2, ''), record(6n, 2, 'err\n')]))
  const records = await read()
  assert.deepEqual(
    records.map(({ time, stream, data }) => [time, stream, data.toString()]),
    [
      [1_700_000_000_123_456_789n, 1, 'out'],
      [5n, 2, ''],
      [6n, 2, 'err\n']
    ]
  )
  assert.deepEqual(await read(records[0]!.next), records.slice(1))
  assert.deepEqual(await read(records[2]!.next), [])
})

test('a log that is being written ends before its unfinished record', async () => {
  const first = record(1n, 1, 'whole')
  const second = record(2n, 1, 'half')
  for (let length = 0; length < second.length; length++) {
    writeFileSync(file, Buffer.concat([first, second.subarray(0, length)]))
    assert.equal((await read()).length, 1, `${length} bytes of the second`)
  }
})

test('what is no log is an error', async () => {
  writeFileSync(file, 'a text file of some length\n')
  await assert.rejects(read(), /no log record at 0/)
  await assert.rejects(readProcessLog(path.join(folder, 'nonesuch')).next(), { code: 'ENOENT' })
})
