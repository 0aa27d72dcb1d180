import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Sandbox } from '../../src/sandbox/sandbox.ts'
import { noRoot, ScratchImage } from './sandbox-root-set-up.ts'
import { eventually, run, withSandbox } from './sandbox-set-up.ts'

const HIERARCHIES = [
  '/sys/fs/cgroup',
  ...(existsSync('/sys/fs/cgroup') ? readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`) : [])
]

/** The cgroups of one shim. */
function cgroupsOf(shim: number): string[] {
  return HIERARCHIES.map((hierarchy) => `${hierarchy}/netloom/${shim}`).filter(existsSync)
}

/** 'S', 'T', ...; '' when it has gone. */
function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '')[0]!
  } catch {
    return ''
  }
}

describe('control of a sandbox', { skip: noRoot }, () => {
  let image: ScratchImage
  before(() => {
    image = new ScratchImage()
  })
  after(() => image.remove())
  const root = () => ({ image: [image.layer], directory: image.container() })

  test('processes() are all of its processes, as seen from outside', () =>
    withSandbox({ root: root(), init: false }, async (sandbox) => {
      const shell = await sandbox.spawn({ argv: ['sh', '-c', 'sleep 1000 & (sleep 1000 & exec sleep 1000) & wait'], stdio: 'null' })
      const exec = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
      let pids: number[] = []
      const names = (): string[] => pids.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()).sort()
      // A subshell is there before it has become its `sleep`.
      await eventually('five processes, each what it is to be', () => {
        sandbox.processes().then((found) => (pids = found))
        return pids.length === 5 && names().join() === 'sh,sleep,sleep,sleep,sleep'
      })
      assert.equal(pids[0], shell.pid)
      assert.ok(pids.includes(exec.pid))
      assert.ok(!pids.includes(sandbox.shimPid))
    }))

  test('pause() stops all of it, unpause() lets it go on, and no cgroup is left', () =>
    withSandbox({ root: root() }, async (sandbox) => {
      const script = 'i=0; while :; do i=$((i+1)); echo $i > /count; (true); done'
      await sandbox.spawn({ argv: ['sh', '-c', script], stdio: 'null' })
      const count = `/proc/${sandbox.pid}/root/count`
      await eventually('it counts', () => existsSync(count) && Number(readFileSync(count, 'utf8')) > 10)
      await sandbox.pause()
      assert.equal(await sandbox.paused(), true)
      await assert.rejects(sandbox.pause(), { code: 'EALREADY' })
      await assert.rejects(run(sandbox, ['true']), { code: 'EBUSY', message: 'the sandbox is paused' })
      assert.equal((await run(sandbox, ['cat', '/count'], { outsideLimits: true })).stdout, readFileSync(count, 'utf8'))
      const first = readFileSync(count, 'utf8')
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal(readFileSync(count, 'utf8'), first)
      await sandbox.unpause()
      await assert.rejects(sandbox.unpause(), { code: 'EALREADY' })
      await eventually('it counts on', () => Number(readFileSync(count, 'utf8')) > Number(first) + 10)
      assert.equal(await sandbox.paused(), false)
      assert.deepEqual(cgroupsOf(sandbox.shimPid), [])
    }))

  test('a paused sandbox can be killed and closed, and leaves no cgroup', async () => {
    let shim = 0
    let sleeper = 0
    await withSandbox({ root: root(), init: false }, async (sandbox) => {
      shim = sandbox.shimPid
      const process = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
      sleeper = process.pid
      await sandbox.pause()
    })
    assert.equal(stateOf(sleeper), '')
    assert.deepEqual(cgroupsOf(shim), [])
  })

  test('usage() grows with what is used', () =>
    withSandbox({ root: root(), init: false }, async (sandbox) => {
      const burn = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'
      await sandbox.spawn({ argv: ['sh', '-c', `${burn}; sleep 1000`], stdio: 'null' })
      const idle = await sandbox.usage()
      assert.ok(idle.pids >= 1 && idle.memory > 0 && idle.memoryLimit === null && idle.pidsLimit === null)
      await run(sandbox, ['sh', '-c', burn])
      const { cpu } = await sandbox.usage()
      assert.ok(cpu >= idle.cpu + 10_000_000n, `${cpu} after ${idle.cpu} ns`)
    }))

  test('limits hold, in cgroups that go with the sandbox', async (context) => {
    const options = { root: root(), limits: { memory: 64 << 20, cpus: 0.5, pids: 10 } }
    let shim = 0
    try {
      await withSandbox(options, async (sandbox) => {
        shim = sandbox.shimPid
        assert.notDeepEqual(cgroupsOf(shim), [])
        // None of them ends before the last one is tried, however slow the machine is.
        const many = await run(sandbox, ['sh', '-c', 'i=0; while [ $i -lt 20 ]; do sleep 1000 > /dev/null 2>&1 & i=$((i+1)); done'])
        assert.match(many.stderr, /fork/)
        const sleepers = (await sandbox.processes()).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n')
        for (const pid of sleepers) process.kill(pid, 'SIGKILL')
        await eventually('there is room again', () => sleepers.every((pid) => stateOf(pid) === ''))
        // dd needs its whole block in memory.
        const big = await run(sandbox, ['dd', 'if=/dev/zero', 'of=/dev/null', `bs=${128 << 20}`, 'count=1'])
        assert.equal(big.signal, 'SIGKILL')
        const { memoryLimit, pidsLimit, memory } = await sandbox.usage()
        assert.deepEqual([memoryLimit, pidsLimit], [64 << 20, 10])
        assert.ok(memory < 64 << 20)
      })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === 'cgroup') return context.skip((error as Error).message)
      throw error
    }
    assert.deepEqual(cgroupsOf(shim), [])
  })

  test('the cgroups of a shim that was killed go when the next one makes some', async (context) => {
    const options = { root: root(), limits: { pids: 100 } }
    const killed = await Sandbox.create({ name: 'killed', ...options }).catch((error: NodeJS.ErrnoException) => error)
    if (killed instanceof Error) return context.skip(killed.message)
    const sleeper = await killed.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
    assert.notDeepEqual(cgroupsOf(killed.shimPid), [])
    process.kill(killed.shimPid, 'SIGKILL')
    // From here on any other shim of this machine may be the one that sweeps.
    await eventually('all of it has ended', () => stateOf(killed.shimPid) === '' && stateOf(sleeper.pid) === '')
    await withSandbox({ ...options, root: root() }, async () => {
      assert.deepEqual(cgroupsOf(killed.shimPid), [])
    })
    await killed.close()
  })

  test('PID 1 without a handler ignores SIGTERM, and its end ends all others', () =>
    withSandbox({ root: root(), init: false }, async (sandbox) => {
      const first = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
      const exec = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
      await first.kill('SIGTERM')
      await run(sandbox, ['true'])
      await eventually('it sleeps on', () => stateOf(first.pid) === 'S')
      await first.kill('SIGKILL')
      assert.deepEqual(await first.wait(), { code: null, signal: 'SIGKILL' })
      assert.deepEqual(await exec.wait(), { code: null, signal: 'SIGKILL' })
    }))
})
