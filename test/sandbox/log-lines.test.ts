import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { lineStarts } from '../../src/sandbox/log-records.ts'
import { followProcessLog, logEnd, readLogLines } from '../../src/sandbox/process-log.ts'

let folder: string
let log: string
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'netloom-log-'))
  log = path.join(folder, 'log')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Appends a record to file number `segment`. */
function write(segment: number, time: number, stream: 1 | 2, text: string, cut = 0): void {
  const data = Buffer.from(text)
  const header = Buffer.alloc(16)
  header.writeBigUInt64LE(BigInt(time))
  header.writeUInt32LE(data.length, 8)
  header.writeUInt32LE(stream, 12)
  const record = Buffer.concat([header, data])
  appendFileSync(segment === 0 ? log : `${log}.${segment}`, record.subarray(0, record.length - cut))
}

async function lines(options = {}): Promise<string[]> {
  const found: string[] = []
  for await (const { time, stream, data } of readLogLines(log, options)) found.push(`${time} ${stream} ${data}`)
  return found
}

test('lines are put together stream by stream, over records and files', async () => {
  write(0, 1, 1, 'one\ntw')
  write(0, 2, 2, 'err')
  write(3, 3, 1, 'o\n')
  write(3, 4, 2, 'or\nlast')
  assert.deepEqual(await lines(), ['1 1 one\n', '3 1 two\n', '4 2 error\n', '4 2 last'])
  assert.deepEqual(await lines({ tail: 2 }), ['4 2 error\n', '4 2 last'])
  assert.deepEqual(await lines({ tail: 2, isOver: false }), ['3 1 two\n', '4 2 error\n'])
  assert.deepEqual(await lines({ isOver: false }), ['1 1 one\n', '3 1 two\n', '4 2 error\n'])
  assert.deepEqual(await lines({ tail: 1, until: Promise.resolve() }), ['4 2 error\n', '4 2 last'], 'what came after the last ones')
  assert.deepEqual(await lines({ since: 2n, before: 3n }), ['3 1 two\n'])
  assert.deepEqual(await logEnd(log), { segment: 3, offset: 16 + 2 + 16 + 7 })
})

test('a line longer than 16 KiB comes in parts', async () => {
  write(0, 1, 1, 'a'.repeat(20_000))
  write(0, 2, 1, `${'a'.repeat(12_768)}b\n`)
  assert.deepEqual(
    (await lines()).map((line) => line.length),
    [16384 + 4, 16384 + 4, 2 + 4]
  )
})

test('the last lines of a long log are those at the end of all its lines', async () => {
  const random = new Random(11)
  let text = ''
  for (let record = 0; record < 4000; record++) {
    // Lines of few bytes and of many, ended in their record or in a later one.
    const stream = random.below(4) === 0 ? 2 : 1
    text = Array.from({ length: random.below(20) }, () => 'x'.repeat(random.below(random.below(100) === 0 ? 9000 : 60))).join('\n')
    write(Math.floor(record / 1500), record, stream, `${record} ${text}${random.below(3) > 0 ? '\n' : ''}`)
  }
  assert.ok((await lineStarts(log)).length > 3, 'there are places to begin at')
  const all = await lines()
  for (const tail of [1, 2, 10, 500, 3000, all.length - 3, all.length + 5]) {
    const found = await lines({ tail })
    assert.deepEqual(found, all.slice(-tail), `${tail}`)
  }
})

test('a log that does not exist is empty', async () => {
  assert.deepEqual(await lines(), [])
  assert.deepEqual(await logEnd(log), { segment: 0, offset: 0 })
})

test('a follower gets each record once, over rotation and removal, until it is told of the end', async () => {
  let finish = (): void => {}
  const until = new Promise<void>((resolve) => {
    finish = resolve
  })
  write(0, 1, 1, 'before\n')
  const found: string[] = []
  let target = 1
  let reached = (): void => {}
  const reading = (async () => {
    for await (const { data } of followProcessLog(log, { until })) {
      found.push(data.toString())
      if (found.length === target) reached()
    }
  })()
  const have = (count: number) =>
    new Promise<void>((resolve) => {
      target = count
      reached = resolve
      if (found.length >= count) resolve()
    })
  await have(1)
  for (let i = 0; i < 50; i++) {
    write(i, i, 1, `a ${i}\n`)
    write(i + 1, i, 1, `b ${i}\n`)
    await have(3 + 2 * i)
    if (i > 2) unlinkSync(i === 3 ? log : `${log}.${i - 3}`)
  }
  write(50, 1, 1, 'the end\n')
  finish()
  await reading
  const expected = Array.from({ length: 50 }, (_, i) => [`a ${i}\n`, `b ${i}\n`]).flat()
  assert.deepEqual(found, ['before\n', ...expected, 'the end\n'])
})

test('a follower waits for the rest of a half-written record', async () => {
  let finish = (): void => {}
  const until = new Promise<void>((resolve) => {
    finish = resolve
  })
  write(0, 1, 1, 'one\n')
  write(0, 2, 1, 'two\n', 3)
  const found: string[] = []
  for await (const { data } of followProcessLog(log, { until })) {
    found.push(data.toString())
    if (found.length > 1) continue
    appendFileSync(log, 'wo\n')
    finish()
  }
  assert.deepEqual(found, ['one\n', 'two\n'])
})

test('lines are followed after the last ones, and an abort ends it', async () => {
  const gone = new AbortController()
  for (let i = 0; i < 10; i++) write(0, i, 1, `line ${i}\n`)
  const found: string[] = []
  for await (const { data } of readLogLines(log, { tail: 2, until: new Promise(() => {}), signal: gone.signal })) {
    found.push(data.toString())
    if (found.length === 2) write(1, 20, 2, 'more\n')
    if (found.length === 3) gone.abort()
  }
  assert.deepEqual(found, ['line 8\n', 'line 9\n', 'more\n'])
})
