import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { followProcessLog, readLogLines } from '../../src/sandbox/process-log.ts'
import { Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts'
import { noRoot, ScratchImage } from './sandbox-root-set-up.ts'
import { eventually, run } from './sandbox-set-up.ts'

const MODULES = path.resolve('dist/src/sandbox/sandbox.js')

/** PIDs of processes, shims and what they started, whose command line, root or working directory names the folder. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(folder) ||
          readFileSync(`/proc/${pid}/mountinfo`, 'latin1').includes(folder)
        )
      } catch {
        return false
      }
    })
}

async function collect(lines: AsyncIterable<{ data: Buffer }>): Promise<string[]> {
  const texts: string[] = []
  for await (const { data } of lines) texts.push(data.toString())
  return texts
}

describe('surviving sandboxes with a root', { skip: noRoot }, () => {
  let image: ScratchImage
  before(() => {
    image = new ScratchImage()
  })
  after(() => image.remove())

  function options(): SandboxOptions & { root: { directory: string }; mode: { surviving: string; stateDir: string } } {
    const directory = image.container()
    const mode = { surviving: path.join(directory, 'socket'), stateDir: directory }
    const hosts = path.join(directory, 'hosts')
    writeFileSync(hosts, 'first\n')
    return {
      name: 'kept',
      init: false,
      root: { image: [image.layer], directory },
      mounts: [{ type: 'bind', source: hosts, target: '/etc/hosts' }],
      mode
    }
  }

  /** A process that runs `body` with `options` and Sandbox in scope, says 'done' and waits. */
  async function startCreator(given: SandboxOptions, body: string): Promise<ChildProcess> {
    const script = `import { Sandbox } from '${MODULES}'
      const options = ${JSON.stringify(given)}
      ${body}
      console.log('done')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    for await (const chunk of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      output += chunk
      if (output.includes('done\n')) break
    }
    return child
  }

  async function kill(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  test('kill -9 of the client: root, mounts, rotated log and exit status are there for the next one', async () => {
    const given = options()
    const log = path.join(given.mode.stateDir, 'out.log')
    const script =
      'i=0; while [ $i -lt 3000 ]; do echo out $i; [ $((i%10)) = 0 ] && echo err $i >&2; i=$((i+1)); [ $i = 1000 ] && cat > /got; done; exit 7'
    const child = await startCreator(
      given,
      `const sandbox = await Sandbox.create(options)
       await sandbox.spawn({ argv: ['sh', '-c', ${JSON.stringify(script)}], stdio: 'kept', log: { path: '${log}', maxBytes: 20000, maxFiles: 50 } })`
    )
    let ended = (): void => {}
    const until = new Promise<void>((resolve) => {
      ended = resolve
    })
    const followed = (async () => {
      const parts: Record<1 | 2, Buffer[]> = { 1: [], 2: [] }
      for await (const record of followProcessLog(log, { until })) parts[record.stream].push(record.data)
      return [Buffer.concat(parts[1]).toString(), Buffer.concat(parts[2]).toString()]
    })()
    await kill(child)
    const sandbox = await Sandbox.reconnect('kept', given.mode)
    try {
      writeFileSync(given.mounts![0]!.source!, 'second\n')
      assert.equal((await run(sandbox, ['cat', '/etc/hosts'])).stdout, 'second\n')
      const main = await sandbox.process(1)
      const input = await sandbox.openInput(1)
      input.end('a line\n')
      await once(input, 'close')
      await sandbox.closeInput(1)
      assert.deepEqual(await main.wait(), { code: 7, signal: null })
      ended()
      const numbers = Array.from({ length: 3000 }, (_, i) => i)
      const [out, err] = await followed
      assert.equal(out, numbers.map((i) => `out ${i}\n`).join(''))
      assert.equal(err, numbers.flatMap((i) => (i % 10 ? [] : [`err ${i}\n`])).join(''))
      assert.ok(readdirSync(given.mode.stateDir).filter((name) => name.startsWith('out.log')).length > 1, 'it was rotated')
      const lines = async (tail: number) => collect(readLogLines(log, { tail }))
      assert.deepEqual(await lines(2), (await lines(10_000)).slice(-2))
    } finally {
      await sandbox.close()
    }
    assert.deepEqual(processesOf(given.mode.stateDir), [])
    assert.equal(readFileSync(path.join(given.root.directory, 'upper/got'), 'utf8'), 'a line\n')
  })

  test('a log keeps as many files as it may, and the next sandbox goes on with it', async () => {
    const given = options()
    const log = path.join(given.mode.stateDir, 'log')
    const print = async (word: string): Promise<void> => {
      const sandbox = await Sandbox.create(given)
      const argv = ['sh', '-c', `i=0; while [ $i -lt 300 ]; do echo ${word} $i; i=$((i+1)); done`]
      await (await sandbox.spawn({ argv, stdio: 'kept', log: { maxBytes: 1000, maxFiles: 3 } })).wait()
      await sandbox.close()
    }
    await print('first')
    await print('second')
    const files = readdirSync(given.mode.stateDir).filter((name) => name.startsWith('log'))
    assert.ok(files.length > 1 && files.length <= 3, String(files))
    const lines = await collect(readLogLines(log))
    assert.equal(lines.at(-1), 'second 299\n')
    assert.ok(new Set(lines).size === lines.length)
  })

  test('a client killed at any moment before something runs leaves nothing behind', async () => {
    for (let round = 0; round < 24; round++) {
      const given = options()
      const child = await startCreator(
        given,
        `console.log('done')
         const sandbox = await Sandbox.create(options)
         await sandbox.openTap()
         await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'kept' })`
      )
      await new Promise((resolve) => setTimeout(resolve, round))
      await kill(child)
      let left: number[] = []
      const settled = (): boolean => {
        left = processesOf(given.mode.stateDir)
        return left.length === 0 || existsSync(path.join(given.mode.stateDir, 'log'))
      }
      await eventually('it is gone, or its process runs', settled)
      if (left.length > 0) {
        // It was about to start its process: then it goes on, or not, but is one thing or the other.
        const sandbox = await Sandbox.reconnect('kept', given.mode).catch(() => null)
        await sandbox?.close().catch(() => {})
      }
      await eventually('it is gone', () => processesOf(given.mode.stateDir).length === 0)
      assert.ok(!existsSync(given.mode.surviving), 'the socket is gone')
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(given.mode.stateDir))
      rmSync(given.mode.stateDir, { recursive: true })
      mkdirSync(given.mode.stateDir)
    }
  })

  test('one that was left on purpose stays, though nothing runs in it', async () => {
    const given = options()
    await (await Sandbox.create(given)).disconnect()
    const sandbox = await Sandbox.reconnect('kept', given.mode)
    assert.equal((await run(sandbox, ['cat', '/etc/hosts'])).stdout, 'first\n')
    await sandbox.close()
  })
})
