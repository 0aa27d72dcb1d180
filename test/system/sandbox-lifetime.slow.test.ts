import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { loadNative } from '../../src/io/load-native.ts'
import { Sandbox } from '../../src/sandbox/sandbox.ts'
import { findShim } from '../../src/sandbox/shim-binary.ts'
import { eventually, namespacesOf, noSandbox, processesIn, run, zombiesOf } from './sandbox-set-up.ts'

interface Owner {
  readonly child: ChildProcess
  readonly shimPid: number
  readonly namespaces: string[]
}

/** A node process that owns a sandbox with two processes and a TAP, and then waits. */
async function startOwner(options: { init: boolean; temporary?: string }): Promise<Owner> {
  const script = `
    const { Sandbox } = await import('${path.resolve('dist/src/sandbox/sandbox.js')}')
    const sandbox = await Sandbox.create({ name: 'owned', init: ${options.init} })
    const first = await sandbox.spawn({ argv: ['sh', '-c', 'trap "" TERM INT HUP; while :; do sleep 1000; done'], stdio: 'null' })
    await sandbox.spawn({ argv: ['setsid', 'sleep', '1000'], stdio: 'pipe' })
    await sandbox.openTap({ name: 'eth0' })
    console.log(sandbox.shimPid, first.pid)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: options.temporary ?? tmpdir() }
  })
  try {
    // The first line, or the end of a child that died before it.
    const { value: line = '' } = await createInterface(child.stdout!)[Symbol.asyncIterator]().next()
    assert.match(line, /^\d+ \d+$/, 'the owner died before it had its sandbox')
    const [shimPid, firstPid] = line.split(' ').map(Number)
    const own = new Set(namespacesOf(process.pid))
    const namespaces = [...new Set([...namespacesOf(shimPid), ...namespacesOf(firstPid)])].filter((namespace) => !own.has(namespace))
    assert.equal(namespaces.length, 5)
    // A shell is there before its sleep is, and setsid before what it runs.
    await eventually('the sandbox’s processes run', () => processesIn(namespaces).length >= 4)
    return { child, shimPid, namespaces }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

async function assertGone(owner: Owner): Promise<void> {
  await eventually('no process is in the sandbox’s namespaces', () => processesIn(owner.namespaces).length === 0)
  // Orphaned by its owner, it waits for the machine's own PID 1 to bury it.
  await eventually('the shim is buried', () => !existsSync(`/proc/${owner.shimPid}`))
}

describe('the end of sandboxes', { skip: noSandbox }, () => {
  for (const init of [true, false]) {
    for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM'] as const) {
      test(`${signal} of the owner ends everything (${init ? 'with' : 'without'} init)`, async () => {
        const temporary = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
        try {
          const owner = await startOwner({ init, temporary })
          owner.child.kill(signal)
          await once(owner.child, 'exit')
          await assertGone(owner)
          assert.deepEqual(readdirSync(temporary), [])
        } finally {
          rmSync(temporary, { recursive: true })
        }
      })
    }

    test(`SIGKILL of the shim ends everything (${init ? 'with' : 'without'} init)`, async () => {
      const owner = await startOwner({ init })
      try {
        process.kill(owner.shimPid, 'SIGKILL')
        await assertGone(owner)
      } finally {
        owner.child.kill('SIGKILL')
      }
    })
  }

  test('close with processes running leaves nothing', async () => {
    const sandbox = await Sandbox.create({ name: 'test' })
    const own = new Set(namespacesOf(process.pid))
    const sleeper = await sandbox.spawn({ argv: ['sh', '-c', 'sleep 1000 & sleep 1000'], stdio: 'null' })
    const tap = await sandbox.openTap({})
    const namespaces = [...namespacesOf(sandbox.shimPid), ...namespacesOf(sandbox.pid)].filter((namespace) => !own.has(namespace))
    let exits = 0
    sandbox.onExit(() => exits++)
    await Promise.all([sandbox.close(), sandbox.close()])
    assert.deepEqual(processesIn(namespaces), [])
    assert.deepEqual(await sleeper.wait(), { code: null, signal: 'SIGKILL' })
    assert.equal(exits, 1)
    loadNative().closeFd(tap.fd)
  })

  test('many sandboxes one after the other leave no descriptor and no child', async () => {
    const round = async (): Promise<void> => {
      const sandbox = await Sandbox.create({ name: 'test' })
      const echo = await sandbox.spawn({ argv: ['echo', 'x'], stdio: ['null', 'pipe', 'null'] })
      assert.equal(await text(echo.stdout!), 'x\n')
      const { fd } = await sandbox.openTap({})
      loadNative().closeFd(fd)
      await assert.rejects(sandbox.spawn({ argv: ['nonesuch'] }))
      const shimFds = readdirSync(`/proc/${sandbox.shimPid}/fd`).length
      for (let i = 0; i < 5; i++) await run(sandbox, ['true'])
      await eventually('the shim has closed its own', () => readdirSync(`/proc/${sandbox.shimPid}/fd`).length <= shimFds)
      await sandbox.close()
    }
    await round()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 20; i++) await round()
    await eventually('all descriptors are closed', () => readdirSync('/proc/self/fd').length <= before)
    await eventually('no child is left', () => zombiesOf(process.pid).length === 0)
  })

  test('requests under way when the shim is lost are refused, not forgotten', async () => {
    const sandbox = await Sandbox.create({ name: 'test' })
    const sleeper = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
    const waiting = sleeper.wait()
    process.kill(sandbox.shimPid, 'SIGKILL')
    await assert.rejects(waiting, { code: 'ERR_SANDBOX_CLOSED' })
    await assert.rejects(sandbox.list(), { code: 'ERR_SANDBOX_CLOSED' })
    await sandbox.close()
  })

  test('20 sandboxes at once', async () => {
    const sandboxes = await Promise.all(Array.from({ length: 20 }, (_, i) => Sandbox.create({ name: `box${i}` })))
    try {
      const names = await Promise.all(sandboxes.map(async (sandbox) => (await run(sandbox, ['hostname'])).stdout.trim()))
      assert.deepEqual(
        names,
        sandboxes.map((sandbox) => sandbox.name)
      )
      assert.equal(new Set(sandboxes.map((sandbox) => namespacesOf(sandbox.shimPid)[0])).size, 20)
    } finally {
      await Promise.all(sandboxes.map((sandbox) => sandbox.close()))
    }
    for (const { shimPid } of sandboxes) assert.ok(!existsSync(`/proc/${shimPid}`))
  })

  test('a missing shim is an error that lists the paths', () => {
    const empty = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    try {
      assert.throws(() => findShim(empty), { code: 'ERR_SHIM_MISSING', message: new RegExp(`${empty}/build/Release/netloom-shim`) })
    } finally {
      rmSync(empty, { recursive: true })
    }
  })
})
