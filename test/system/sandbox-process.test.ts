import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { buffer, text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxError } from '../../src/sandbox/sandbox-error.ts'
import type { SandboxProcess } from '../../src/sandbox/sandbox-process.ts'
import { noSandbox, run, withSandbox, zombiesOf } from './sandbox-set-up.ts'

/** Waits until the process has printed a line that has `word`. */
async function printed(process: SandboxProcess, word: string): Promise<void> {
  let seen = ''
  for await (const chunk of process.stdout!.iterator({ destroyOnReturn: false })) {
    seen += chunk
    if (seen.includes(word)) return
  }
  assert.fail(`'${word}' is not in '${seen}'`)
}

describe('processes in a sandbox', { skip: noSandbox }, () => {
  test('every exit code arrives', () =>
    withSandbox({}, async (sandbox) => {
      for (let code = 0; code < 256; code++) {
        const process = await sandbox.spawn({ argv: ['sh', '-c', `exit ${code}`], stdio: 'null' })
        assert.deepEqual(await process.wait(), { code, signal: null })
        assert.deepEqual(process.exitStatus, { code, signal: null })
      }
    }))

  test('signals are forwarded and told apart', () =>
    withSandbox({}, async (sandbox) => {
      for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGKILL', 'SIGUSR1', 'SIGPIPE', 'SIGALRM'] as const) {
        const process = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
        await process.kill(signal)
        assert.deepEqual(await process.wait(), { code: null, signal })
        await process.kill(signal) // after its end: nothing
      }
      const handler = await sandbox.spawn({ argv: ['sh', '-c', 'trap "exit 42" USR2; echo set; while :; do sleep 0.05; done'] })
      await printed(handler, 'set')
      await handler.kill(constants.signals.SIGUSR2)
      assert.deepEqual(await handler.wait(), { code: 42, signal: null })
      await assert.rejects((await sandbox.spawn({ argv: ['true'] })).kill('SIGNONE' as NodeJS.Signals), /unknown signal 'SIGNONE'/)
    }))

  test('10 MiB of binary data go in and come out unchanged, stderr apart', () =>
    withSandbox({}, async (sandbox) => {
      const sent = randomBytes(10 * 1024 * 1024)
      const process = await sandbox.spawn({ argv: ['sh', '-c', 'echo begins >&2; cat; echo ends >&2'] })
      process.stdin!.end(sent)
      const [got, errors, status] = await Promise.all([buffer(process.stdout!), text(process.stderr!), process.wait()])
      assert.equal(got.length, sent.length)
      assert.equal(createHash('sha256').update(got).digest('hex'), createHash('sha256').update(sent).digest('hex'))
      assert.equal(errors, 'begins\nends\n')
      assert.deepEqual(status, { code: 0, signal: null })
    }))

  test('the end of stdin arrives, and a reader that has gone is no crash', () =>
    withSandbox({}, async (sandbox) => {
      const reader = await sandbox.spawn({ argv: ['sh', '-c', 'cat >/dev/null; echo eof'] })
      reader.stdin!.end()
      assert.equal(await text(reader.stdout!), 'eof\n')
      const deaf = await sandbox.spawn({ argv: ['true'] })
      await deaf.wait()
      const failure = await new Promise<Error | null | undefined>((resolve) => deaf.stdin!.write('x', resolve))
      assert.equal((failure as NodeJS.ErrnoException).code, 'EPIPE')
    }))

  test('descriptors of ours can be given', () =>
    withSandbox({}, async (sandbox) => {
      const file = `/tmp/netloom-test-${process.pid}-given`
      const fd = openSync(file, 'w+')
      try {
        const writer = await sandbox.spawn({ argv: ['sh', '-c', 'echo out; echo err >&2'], stdio: ['null', fd, fd] })
        await writer.wait()
        assert.equal(readFileSync(file, 'utf8'), 'out\nerr\n')
      } finally {
        closeSync(fd)
        rmSync(file)
      }
    }))

  test('a terminal: its size, its changes of size, its end', () =>
    withSandbox({}, async (sandbox) => {
      const script =
        'trap "stty size; exit 3" WINCH; stty size; test -t 0 && test -t 1 && test -t 2 && echo ready; while :; do sleep 0.05; done'
      const shell = await sandbox.spawn({ argv: ['sh', '-c', script], tty: { columns: 132, rows: 43 } })
      await printed(shell, 'ready\r\n')
      await shell.resize({ columns: 60, rows: 20 })
      assert.equal(await text(shell.stdout!), '20 60\r\n')
      assert.deepEqual(await shell.wait(), { code: 3, signal: null })

      // Many times: what is written just before the end comes in one read with the echo, or in one more.
      for (let times = 0; times < 60; times++) {
        const typed = await sandbox.spawn({ argv: ['cat'], tty: true })
        typed.stdin!.write('hello\n\x04') // Ctrl-D
        assert.equal(await text(typed.stdout!), 'hello\r\nhello\r\n')
        assert.deepEqual(await typed.wait(), { code: 0, signal: null })
      }

      const interrupted = await sandbox.spawn({ argv: ['sh', '-c', 'echo ready; exec sleep 1000'], tty: true })
      await printed(interrupted, 'ready')
      interrupted.stdin!.write('\x03') // Ctrl-C: it is the controlling terminal
      assert.deepEqual(await interrupted.wait(), { code: null, signal: 'SIGINT' })

      const plain = await sandbox.spawn({ argv: ['true'] })
      await assert.rejects(plain.resize({ columns: 1, rows: 1 }), { code: 'ENOTTY' })
    }))

  test('what is typed into a terminal waits for its program, and holds nobody else', () =>
    withSandbox({}, async (sandbox) => {
      const typed = randomBytes(65536)
      const script = 'trap go=1 USR1; stty raw -echo; printf ready; until [ "$go" ]; do sleep 0.05; done; head -c 65536 | sha1sum'
      const reader = await sandbox.spawn({ argv: ['sh', '-c', script], tty: true })
      await printed(reader, 'ready')
      let isTaken = false
      reader.stdin!.write(typed, () => {
        isTaken = true
      })
      await run(sandbox, ['true'])
      assert.equal(isTaken, false)
      await reader.kill('SIGUSR1')
      assert.match(await text(reader.stdout!), new RegExp(createHash('sha1').update(typed).digest('hex')))
      assert.equal(isTaken, true)
      assert.deepEqual(await reader.wait(), { code: 0, signal: null })

      const deaf = await sandbox.spawn({ argv: ['sh', '-c', 'stty raw -echo; printf ready; exec sleep 1000'], tty: true })
      await printed(deaf, 'ready')
      deaf.stdin!.write(typed)
      const closed = once(deaf.stdin!, 'close')
      await deaf.kill('SIGKILL')
      assert.equal(await text(deaf.stdout!), '')
      await closed
    }))

  test('100 orphans leave no zombie', () =>
    withSandbox({}, async (sandbox) => {
      // Each subshell leaves its sleep behind, which PID 1 of the sandbox adopts.
      const result = await run(sandbox, ['sh', '-c', 'for i in $(seq 100); do (sleep 0.1 & ); done; echo $(cat /proc/1/comm)'])
      assert.equal(result.stdout, 'netloom-init\n')
      const left = async (): Promise<string> => (await run(sandbox, ['sh', '-c', 'ps -eo stat,comm | grep -E "sleep|^Z" | wc -l'])).stdout
      for (let attempt = 0; attempt < 3000 && (await left()) !== '0\n'; attempt++);
      assert.equal(await left(), '0\n')
      assert.deepEqual(zombiesOf(sandbox.shimPid), [])
    }))

  test('without init the first process is PID 1, and its end ends the others', async () => {
    const sandbox = await Sandbox.create({ name: 'test', init: false })
    try {
      assert.equal(sandbox.pid, sandbox.shimPid)
      const first = await sandbox.spawn({ argv: ['sh', '-c', 'echo $$; read line; exit 5'] })
      assert.equal(sandbox.pid, first.pid)
      await printed(first, '1\n')
      const second = await sandbox.spawn({ argv: ['sleep', '1000'] })
      const ended = new Promise<void>((resolve) => sandbox.onExit(resolve))
      await first.kill('SIGTERM') // PID 1 without a handler ignores it, as in Docker
      first.stdin!.end('\n')
      assert.deepEqual(await first.wait(), { code: 5, signal: null })
      assert.deepEqual(await second.wait(), { code: null, signal: 'SIGKILL' })
      await ended
      await assert.rejects(sandbox.spawn({ argv: ['true'] }), { code: 'ESRCH' })
      assert.deepEqual(
        (await sandbox.list()).map((state) => state.exitStatus),
        [first.exitStatus, second.exitStatus]
      )
    } finally {
      await sandbox.close()
    }
  })

  test('what cannot be started says why in Docker’s words', () =>
    withSandbox({}, async (sandbox) => {
      const failing = async (argv: string[], options: object, code: string, message: string | RegExp): Promise<void> => {
        await assert.rejects(sandbox.spawn({ argv, ...options }), (error: SandboxError) => {
          assert.equal(error.code, code)
          if (typeof message === 'string') assert.equal(error.message, message)
          else assert.match(error.message, message)
          return true
        })
      }
      await failing(['nonesuch'], {}, 'ENOENT', 'exec: "nonesuch": executable file not found in $PATH')
      await failing(['sh'], { env: { PATH: '/nonesuch' } }, 'ENOENT', 'exec: "sh": executable file not found in $PATH')
      await failing(['/nonesuch'], {}, 'ENOENT', 'exec: "/nonesuch": stat /nonesuch: no such file or directory')
      await failing(['/etc/passwd'], {}, 'EACCES', 'exec: "/etc/passwd": permission denied')
      await failing(['true'], { cwd: '/nonesuch' }, 'ENOENT', /^chdir to cwd \("\/nonesuch"\) failed/)
      await failing(['true'], { user: 'nonesuch' }, 'EINVAL', 'unable to find user nonesuch: no matching entries in passwd file')
      await failing([], {}, 'EINVAL', 'no command')
      await failing(['a\0b'], {}, 'EINVAL', /NUL/)
      await failing(['true', 'x'.repeat(200_000)], {}, 'E2BIG', /spawn: 200\d\d\d bytes of arguments/)
      await failing(['true'], { log: '../x' }, 'EINVAL', /log '..\/x' must be/)
      await failing(['true'], { stdio: 'kept' }, 'EINVAL', 'an owner-bound sandbox keeps no logs')
      assert.equal((await run(sandbox, ['echo', 'still', 'here'])).stdout, 'still here\n')
      assert.deepEqual(zombiesOf(sandbox.shimPid), [])
    }))

  test('environment, directory, user and umask are what was asked for', () =>
    withSandbox({ hostname: 'web' }, async (sandbox) => {
      const given = await run(sandbox, ['sh', '-c', 'env | sort; pwd; umask'], {
        env: { A: '1 = "x"', PATH: '/usr/bin:/bin' },
        cwd: '/usr'
      })
      assert.equal(given.stdout, 'A=1 = "x"\nHOME=/root\nPATH=/usr/bin:/bin\nPWD=/usr\n/usr\n0022\n')
      const standard = await run(sandbox, ['env'])
      assert.match(standard.stdout, /^HOSTNAME=web$/m)
      const user = await run(sandbox, ['sh', '-c', 'id -u; id -g; id -G'], { user: '1234:2345' })
      assert.equal(user.stdout, '1234\n2345\n2345\n')
      const named = await run(sandbox, ['id', '-un'], { user: 'nobody' })
      assert.equal(named.stdout, 'nobody\n')
    }))

  test('processes of one sandbox see each other, not ours', () =>
    withSandbox({}, async (sandbox) => {
      const sleeper = await sandbox.spawn({ argv: ['sleep', '1000'], stdio: 'null' })
      const listing = await run(sandbox, ['ps', '-eo', 'comm='])
      assert.deepEqual(listing.stdout.trim().split('\n').sort(), ['netloom-init', 'ps', 'sleep'])
      const inside = await run(sandbox, ['pkill', '-x', 'sleep'])
      assert.equal(inside.code, 0)
      assert.deepEqual(await sleeper.wait(), { code: null, signal: 'SIGTERM' })
      const fds = await run(sandbox, ['ls', '/proc/self/fd'])
      assert.equal(fds.stdout, '0\n1\n2\n3\n', 'nothing of the shim is inherited (3 is the directory being listed)')
    }))

  test('a process that writes for ever does not hinder close', async () => {
    const sandbox = await Sandbox.create({ name: 'test' })
    const loud = await sandbox.spawn({ argv: ['yes'] })
    await once(loud.stdout!, 'readable')
    await sandbox.close()
    assert.deepEqual(await loud.wait(), { code: null, signal: 'SIGKILL' })
    await sandbox.close()
    await assert.rejects(sandbox.spawn({ argv: ['true'] }), { code: 'ERR_SANDBOX_CLOSED' })
  })
})
