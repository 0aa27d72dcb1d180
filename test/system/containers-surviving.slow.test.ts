// Containers over the end of their daemon: killed at any moment, or told to go.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DaemonProcess, daemonMissing, until } from '../docker/daemon-process.ts'

describe('containers and the end of their daemon', { skip: daemonMissing() }, () => {
  let daemon: DaemonProcess
  beforeEach(() => {
    daemon = new DaemonProcess()
  })
  afterEach(() => daemon.down())
  const state = (name: string): Promise<string> => daemon.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name)
  /** The kernel takes a moment to end one. */
  const noShim = (): Promise<unknown> => until('no shim is left', () => daemon.shims().length === 0)
  const restart = async (...flags: string[]): Promise<void> => {
    await daemon.end('SIGKILL')
    await daemon.start(...flags)
  }

  test('kill -9: the process, its log, its terminal and its true exit status live on', async () => {
    await daemon.start()
    await daemon.ok('network', 'create', '--subnet', '192.0.2.0/24', 'net')
    // It ends when it is told to: however long daemons take, it runs meanwhile.
    const count = 'i=0; while [ ! -e /tmp/enough ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 33'
    await daemon.ok('run', '-d', '--name', 'counter', '--net', 'net', 'box', 'sh', '-c', count)
    await daemon.ok('run', '-dit', '--name', 'shell', '--net', 'net', '--ip', '192.0.2.50', 'box', 'sh')
    const pid = await daemon.ok('inspect', '-f', '{{.State.Pid}}', 'counter')
    const follower = daemon.docker('logs', '-f', 'counter')
    await restart()
    await follower // it ends with the daemon that it talked to
    assert.equal(await daemon.ok('inspect', '-f', '{{.State.Status}} {{.State.Pid}}', 'counter'), `running ${pid}`)
    await daemon.ok('exec', 'counter', 'touch', '/tmp/enough')
    assert.equal((await daemon.api('POST', '/v1.41/containers/counter/wait')).body, '{"Error":null,"StatusCode":33}\n')
    const lines = (await daemon.ok('logs', 'counter')).split('\n')
    assert.ok(lines.length > 1)
    assert.deepEqual(
      lines,
      Array.from(lines, (_, i) => `line ${i}`)
    )
    assert.equal(await daemon.ok('exec', 'shell', 'cat', '/proc/1/comm'), 'sh')
    assert.equal(await daemon.ok('inspect', '-f', '{{.NetworkSettings.Networks.net.IPAddress}}', 'shell'), '192.0.2.50')
    await daemon.ok('stop', '-t', '0', 'shell')
    assert.equal(await state('shell'), 'exited 137')
  })

  test('what happened while no daemon was there: exits with status and time, restart policies, --rm', async () => {
    await daemon.start()
    await daemon.ok('network', 'create', '--subnet', '192.0.2.0/24', 'net')
    await daemon.ok('run', '-d', '--name', 'unplugged', '--net', 'net', '--restart', 'unless-stopped', 'box', 'sleep', '1000')
    await daemon.ok('stop', '-t', '0', 'unplugged')
    await daemon.ok('network', 'rm', 'net')
    assert.match(await daemon.refused('start', 'unplugged'), /network \w+ not found/)
    await daemon.ok('network', 'create', '--subnet', '192.0.2.0/24', 'net')
    const unplugged = await daemon.ok('inspect', '-f', '{{.Id}}', 'unplugged')
    // When there is no daemon: a file in a folder that all have says so.
    const flags = mkdtempSync(path.join(daemon.folder, 'flags-'))
    const inTime = 'until [ -e /mnt/now ]; do sleep 0.05; done'
    const later = (code: number): string[] => ['-v', `${flags}:/mnt`, 'box', 'sh', '-c', `${inTime}; exit ${code}`]
    await daemon.ok('run', '-d', '--name', 'plain', '--net', 'none', ...later(21))
    const back = ['-v', `${flags}:/mnt`, '--restart', 'always', 'box', 'sh', '-c', `echo run; ${inTime}`]
    await daemon.ok('run', '-d', '--name', 'back', '--net', 'none', ...back)
    await daemon.ok('run', '-d', '--rm', '--name', 'gone', '--net', 'none', ...later(0))
    await daemon.ok('run', '-d', '--name', 'stopped', '--net', 'none', '--restart', 'unless-stopped', 'box', 'sleep', '1000')
    await daemon.ok('stop', '-t', '0', 'stopped')
    await daemon.end('SIGKILL')
    writeFileSync(path.join(flags, 'now'), '')
    const ids = readdirSync(path.join(daemon.state, 'containers')).filter((id) => id !== unplugged)
    const folders = ids.map((id) => path.join(daemon.state, 'containers', id))
    await until('all have ended', () => folders.every((folder) => existsSync(path.join(folder, 'status'))))
    const before = Date.now()
    await daemon.start()
    assert.equal(await state('plain'), 'exited 21')
    const [started, finished] = (await daemon.ok('inspect', '-f', '{{.State.StartedAt}} {{.State.FinishedAt}}', 'plain'))
      .split(' ')
      .map((text) => Date.parse(text))
    assert.ok(finished! > started! && finished! <= before, 'it ended before the daemon came')
    await until('the restart policy has brought it back', async () => (await daemon.ok('logs', 'back')).split('\n').length > 1)
    assert.equal(await state('stopped'), 'exited 137')
    assert.match(await state('unplugged'), /^exited /)
    assert.equal(await daemon.refused('start', 'gone'), 'No such container: gone')
  })

  test('a lost shim is an exit with 137; a stale socket does no harm', async () => {
    await daemon.start()
    await daemon.ok('run', '-d', '--name', 'lost', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.end('SIGKILL')
    for (const pid of daemon.shims()) process.kill(pid, 'SIGKILL')
    await until('the shim is gone', () => daemon.shims().length === 0)
    await daemon.start()
    assert.equal(await state('lost'), 'exited 137')
    await daemon.ok('start', 'lost')
    assert.equal(await state('lost'), 'running 0')
    // The same while the daemon looks on.
    for (const pid of daemon.shims()) process.kill(pid, 'SIGKILL')
    await until('the end is noticed', async () => (await state('lost')) === 'exited 137')
  })

  test('paused containers stay paused', async () => {
    await daemon.start()
    await daemon.ok('run', '-d', '--name', 'held', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.ok('pause', 'held')
    await restart()
    assert.equal(await state('held'), 'paused 0')
    await daemon.ok('unpause', 'held')
    assert.equal(await daemon.ok('exec', 'held', 'echo', 'awake'), 'awake')
  })

  test('--live-restore=false: what a killed daemon left is ended by the next', async () => {
    await daemon.start('--live-restore=false')
    await daemon.ok('run', '-d', '--name', 'left', '--net', 'none', 'box', 'sleep', '1000')
    await restart('--live-restore=false')
    assert.match(await state('left'), /^exited/)
    await noShim()
  })

  test('SIGTERM: containers are stopped, and those with a policy come back with the next daemon', async () => {
    await daemon.start('--live-restore=false')
    const script = 'trap "echo bye; exit 6" TERM; echo up; while :; do sleep 0.05; done'
    const run = ['run', '-d', '--net', 'none', '--stop-timeout', '40']
    await daemon.ok(...run, '--name', 'ends', 'box', 'sh', '-c', script)
    await daemon.ok(...run, '--name', 'returns', '--restart', 'unless-stopped', 'box', 'sh', '-c', script)
    for (const name of ['ends', 'returns']) await until(`${name} is up`, async () => (await daemon.ok('logs', name)) === 'up')
    await daemon.end('SIGTERM')
    await noShim()
    await daemon.start('--live-restore=false')
    assert.equal(await state('ends'), 'exited 6')
    assert.equal(await state('returns'), 'running 0')
    assert.equal(await daemon.ok('logs', 'ends'), 'up\nbye')
  })

  test('killed in the middle of starts, stops and removals: every container is there or not, and nothing else', async () => {
    await daemon.start()
    for (let round = 0; round < 6; round++) {
      const work = Array.from({ length: 8 }, async (_, i) => {
        const { body } = await daemon.api('POST', '/v1.41/containers/create', {
          Image: 'box',
          Cmd: ['sleep', '1000'],
          HostConfig: { NetworkMode: i % 2 ? 'bridge' : 'none' }
        })
        const { Id } = JSON.parse(body) as { Id: string }
        await daemon.api('POST', `/v1.41/containers/${Id}/start`)
        await daemon.api('POST', `/v1.41/containers/${Id}/stop?t=0`)
        await daemon.api('DELETE', `/v1.41/containers/${Id}`)
      })
      const outcome = Promise.allSettled(work)
      await new Promise((resolve) => setTimeout(resolve, 40 + 60 * round))
      await restart()
      await outcome
      const all = (await daemon.ok('ps', '-aq', '--no-trunc')).split('\n').filter((id) => id !== '')
      const running = (await daemon.ok('ps', '-q', '--no-trunc')).split('\n').filter((id) => id !== '')
      assert.deepEqual(readdirSync(path.join(daemon.state, 'containers')).sort(), [...all].sort())
      assert.deepEqual(readdirSync(path.join(daemon.state, 'run')).sort(), running.map((id) => `${id.slice(0, 12)}.sock`).sort())
      await until('as many shims as containers', () => daemon.shims().length === running.length)
      if (all.length > 0) await daemon.ok('rm', '-f', ...all)
    }
    await noShim()
  })
})
