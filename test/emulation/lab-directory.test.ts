// Who has a lab's folder, while others start a lab of its name or end one.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabDirectory } from '../../src/emulation/lab-directory.ts'
import { removeLab } from '../../src/emulation/remove-lab.ts'
import { loadNative } from '../../src/io/load-native.ts'

const MODULE = new URL('../../src/emulation/lab-directory.js', import.meta.url).href

let labs: string
let others: ChildProcess[]
beforeEach(() => {
  labs = mkdtempSync(path.join(tmpdir(), 'netloom-lab-directory-'))
  others = []
})
afterEach(async () => {
  for (const other of others) {
    other.kill('SIGKILL')
    if (other.exitCode === null && other.signalCode === null) await once(other, 'exit')
  }
  rmSync(labs, { recursive: true, force: true })
})

/** Another process that runs `body` with `lab`, the directory of `name`; resolves with the first line that it prints. */
async function elsewhere(name: string, body: string): Promise<string> {
  const script = `const { LabDirectory } = await import(${JSON.stringify(MODULE)})
    const lab = new LabDirectory(${JSON.stringify(labs)}, ${JSON.stringify(name)})
    ${body}`
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  others.push(other)
  const [data] = await once(other.stdout!, 'data')
  return String(data).trim()
}

const HOLD = `lab.acquire(); console.log(process.pid); setInterval(() => {}, 1000)`

describe("a lab's folder", () => {
  test('has one holder, whom everybody sees', async () => {
    const pid = Number(await elsewhere('one', HOLD))
    const lab = new LabDirectory(labs, 'one')
    assert.deepEqual(lab.holder, { pid })
    assert.throws(() => lab.acquire(), { code: 'ERR_LAB_RUNNING' })
  })

  test('a lock whose folder was removed by the one before is not the lock: taken again', async () => {
    const native = loadNative()
    const real = native.lockFile
    const lab = new LabDirectory(labs, 'one')
    let attempts = 0
    // The holder removes the folder between our opening the file and our having the lock.
    native.lockFile = (file) => {
      const result = real(file)
      if (attempts++ === 0) rmSync(lab.root, { recursive: true })
      return result
    }
    let release: () => void
    try {
      release = lab.acquire()
    } finally {
      native.lockFile = real
    }
    assert.equal(await elsewhere('one', 'console.log(lab.holder?.pid)'), String(process.pid))
    release()
    assert.equal(await elsewhere('one', 'console.log(lab.holder)'), 'null')
  })

  test('is refused where there can be none', { timeout: 120_000 }, async () => {
    labs = '/proc/netloom'
    const said = await elsewhere('one', `try { lab.acquire() } catch ({ code, message }) { console.log(code, message) }`)
    assert.match(said, /^ERR_LAB_FOLDER a lab cannot be kept in \/proc\/netloom\/one: ENOENT/)
  })

  test('who starts it in the background has its start, once, and not while it runs', async () => {
    const lab = new LabDirectory(labs, 'one')
    const pid = Number(await elsewhere('one', 'lab.acquireStart(); console.log(process.pid); setInterval(() => {}, 1000)'))
    assert.deepEqual([lab.starter, lab.holder], [{ pid }, null])
    assert.throws(() => lab.acquireStart(), { code: 'ERR_LAB_RUNNING' })
    await elsewhere('two', HOLD)
    assert.throws(() => new LabDirectory(labs, 'two').acquireStart(), { code: 'ERR_LAB_RUNNING' })
  })

  test('goes with its lock, whatever is in it', () => {
    const lab = new LabDirectory(labs, 'one')
    const release = lab.acquire()
    writeFileSync(lab.log, 'x')
    lab.remove()
    release()
    assert.equal(existsSync(lab.root), false)
    lab.remove()
  })
})

describe('down', () => {
  /** Looked at in the moment before another process took it. */
  class BeforeUp extends LabDirectory {
    override get holder(): null {
      return null
    }
  }

  test('leaves alone what an up that began meanwhile makes', async () => {
    await elsewhere('one', HOLD)
    const lab = new BeforeUp(labs, 'one')
    writeFileSync(lab.log, 'of the new one')
    await assert.rejects(removeLab(lab, 1000), { code: 'ERR_LAB_RUNNING' })
    assert.equal(existsSync(lab.log), true)
  })

  /** As it was a moment ago. */
  class Ended extends LabDirectory {
    pid = 0
    override get holder(): { pid: number } {
      return { pid: this.pid }
    }
  }

  test('clears up what a process had that has ended since', async () => {
    const lab = new Ended(labs, 'one')
    lab.acquire()()
    writeFileSync(lab.log, 'x')
    lab.pid = spawnSync('true').pid
    await removeLab(lab, 1000)
    assert.equal(existsSync(lab.root), false)
  })

  test('a process that has ended and whom nobody has asked for its status is at its end', async () => {
    const lab = new Ended(labs, 'one')
    lab.acquire()()
    // The shell becomes a program that never waits for its children; the child ends when that has happened, since a
    // shell asks now and then for the children that have ended.
    const parent = spawn('sh', ['-c', 'cat <&3 >/dev/null & echo $!; exec sleep 60 3<&-'], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] })
    others.push(parent)
    const [data] = await once(parent.stdout!, 'data')
    lab.pid = Number(String(data))
    while (readFileSync(`/proc/${parent.pid}/comm`, 'utf8') !== 'sleep\n') await sleep(5)
    ;(parent.stdio[3] as Socket).end()
    const state = (): string => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${lab.pid}/status`, 'utf8'))![1]
    while (state() !== 'Z') await sleep(5)
    await removeLab(lab, 1000)
    assert.equal(existsSync(lab.root), false)
    assert.equal(state(), 'Z')
  })

  test('ends who starts it in the background, and whom that has started', async () => {
    await elsewhere('one', 'lab.acquireStart(); console.log(process.pid); setInterval(() => {}, 1000)')
    await elsewhere('one', HOLD)
    const ended = others.map((other) => once(other, 'exit'))
    await removeLab(new LabDirectory(labs, 'one'), 5000)
    assert.equal(existsSync(path.join(labs, 'one')), false)
    assert.deepEqual(await Promise.all(ended), [
      [null, 'SIGTERM'],
      [null, 'SIGTERM']
    ])
  })

  test('clears up what nobody has, and lets go of it', async () => {
    const lab = new LabDirectory(labs, 'one')
    lab.acquire()()
    writeFileSync(lab.log, 'x')
    await removeLab(lab, 1000)
    assert.equal(existsSync(lab.root), false)
    await elsewhere('one', HOLD)
  })
})
