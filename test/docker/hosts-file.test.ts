import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addHosts, hostsText, moveHost, removeHosts } from '../../src/docker/network/hosts-file.ts'
import { STANDARD_HOSTS } from '../../src/sandbox/hosts-file.ts'

describe('/etc/hosts of a container', () => {
  let folder = ''
  let file = ''
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-hosts-'))
    file = path.join(folder, 'hosts')
  })
  after(() => rmSync(folder, { recursive: true }))

  const numbers = Array.from({ length: 50 }, (_, number) => number)
  const line = (number: number): { address: string; names: string } => ({ address: `192.0.2.${number}`, names: `name${number}` })

  test('changes at the same time are all made', async () => {
    writeFileSync(file, hostsText(numbers.map(line)))
    const { ino } = statSync(file)
    const added = numbers.map((number) => addHosts(file, [{ address: '198.51.100.1', names: `more${number}` }]))
    const moved = numbers.slice(0, 20).map((number) => moveHost(file, `name${number}`, '203.0.113.1'))
    const removed = numbers.slice(20).map((number) => removeHosts(file, new Set([`name${number}`])))
    await Promise.all([...added, ...moved, ...removed])
    const expected = [
      ...numbers.slice(0, 20).map((number) => ({ address: '203.0.113.1', names: `name${number}` })),
      ...numbers.map((number) => ({ address: '198.51.100.1', names: `more${number}` }))
    ]
    assert.equal(readFileSync(file, 'utf8'), hostsText(expected))
    // It is mounted: another file in its place would not be seen.
    assert.equal(statSync(file).ino, ino)
  })

  test('who reads meanwhile finds what does not change, and never an empty file', async () => {
    const text = hostsText(numbers.map(line))
    writeFileSync(file, text)
    // One line is away at a time, before a longer one comes.
    const least = text.length - '192.0.2.49\tname49\n'.length
    let isOver = false
    const work = (async () => {
      for (const number of numbers) {
        await removeHosts(file, new Set([`name${number}`]))
        await addHosts(file, [{ address: '198.51.100.1', names: `a-longer-name-${number}` }])
      }
    })().finally(() => {
      isOver = true
    })
    while (!isOver) {
      for (let i = 0; i < 50; i++) {
        const read = readFileSync(file, 'utf8')
        // No more: of two processors one may read while the other writes, and find lines that are half of each text.
        assert.ok(read.startsWith(STANDARD_HOSTS) && read.length >= least, `read:\n${read}`)
      }
      await new Promise(setImmediate)
    }
    await work
  })

  test('a failed change is told to who made it, and holds up no other; a file that is gone is left alone', async () => {
    const none = path.join(folder, 'none')
    await Promise.all([addHosts(none, [line(1)]), removeHosts(none, new Set(['name1']))])
    assert.equal(existsSync(none), false)
    await assert.rejects(addHosts(folder, [line(1)]), { code: 'EISDIR' })
    writeFileSync(none, STANDARD_HOSTS)
    await addHosts(none, [line(1)])
    assert.equal(readFileSync(none, 'utf8'), hostsText([line(1)]))
  })
})
