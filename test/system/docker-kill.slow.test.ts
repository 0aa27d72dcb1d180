// kill -9 of the daemon in the middle of things: a TCP transfer between two containers goes on over the same connection, what a
// container writes meanwhile is in its log, and its exit status is told by the next daemon.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { until } from '../docker/daemon-process.ts'
import { DockerLab, labMissing } from '../docker-lab/docker-lab.ts'

const LINES = 400

describe('kill -9 of the daemon', { skip: labMissing() }, () => {
  let lab: DockerLab
  before(async () => {
    lab = new DockerLab('kill')
    await lab.up()
  })
  after(() => lab.down())

  /** Local port of the container's connections to port 5201, from the kernel. */
  const localPorts = async (container: string): Promise<string[]> => {
    const pid = await lab.ok('inspect', '-f', '{{.State.Pid}}', container)
    const established = readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
    return established
      .filter(([, , remote, state]) => remote?.endsWith(':1451') && state === '01')
      .map(([, local]) => local!)
      .sort()
  }

  test('a transfer, an attached client, a log and an exit status outlive it', async (context) => {
    await lab.ok('network', 'create', '--subnet', '10.98.0.0/24', 'lane')
    // As a rule the first is long enough; where the machine stands still meanwhile, it is over before the daemon is back.
    for (const seconds of [10, 40, 120]) {
      if (await outlive(seconds, context)) return
      await lab.ok('rm', '-f', 'server', 'writer', 'client')
    }
    assert.fail('each transfer was over before the daemon was back, or nothing was carried at its end')
  })

  /** False: the transfer of so many seconds was over before the daemon was back and its TCP had noticed. */
  const outlive = async (seconds: number, context: TestContext): Promise<boolean> => {
    await lab.ok('run', '-d', '--name', 'server', '--net', 'lane', 'tools', 'iperf3', '-s', '-1', '--forceflush')
    await until('the server listens', async () => (await lab.ok('logs', 'server')).includes('listening'))
    const writer = `i=0; while [ $i -lt ${LINES} ]; do echo "line $i"; i=$((i+1)); usleep 20000; done; exit 7`
    await lab.ok('run', '-d', '--name', 'writer', '--net', 'lane', 'busybox', 'sh', '-c', writer)
    await lab.ok('run', '-d', '--name', 'client', '--net', 'lane', 'tools', 'iperf3', '-J', '-t', String(seconds), '-c', 'server')
    const attached = spawn('docker', ['-H', lab.dockerHost, 'attach', 'writer'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let seen = ''
    attached.stdout.on('data', (data) => {
      seen += data
    })
    const attachedEnded = once(attached, 'close')
    await until('lines come over the attached client', async () => /line \d+\n/.test(seen))
    // iperf3 has a control connection and one of data.
    const before = await until('both connections', async () => {
      const ports = await localPorts('client')
      return ports.length === 2 && ports
    })

    const first = lab.daemonPid
    await lab.kill()
    await attachedEnded
    // The daemon stays away for a while: the containers go on without it.
    await new Promise((resolve) => setTimeout(resolve, 500))
    await lab.start()
    assert.notEqual(lab.daemonPid, first)
    const after = await localPorts('client').catch(() => [])
    if ((await lab.ok('inspect', '-f', '{{.State.Running}}', 'client')) === 'false') return false
    assert.deepEqual(after, before, 'the connections are others')

    assert.equal(await lab.ok('wait', 'client'), '0')
    const result = JSON.parse(await lab.ok('logs', 'client')) as {
      end: { streams: unknown[]; sum_received: { bytes: number } }
      intervals: { sum: { bytes: number } }[]
    }
    assert.equal(result.end.streams.length, 1)
    context.diagnostic(`bytes in each second: ${result.intervals.map(({ sum }) => sum.bytes).join(' ')}`)
    // Each time that TCP finds nobody it waits twice as long for the next: a daemon that was slow to come may be met after the end. The last
    // interval may be no second at all.
    if (result.intervals.slice(-2).every(({ sum }) => sum.bytes === 0)) return false
    assert.equal(await lab.ok('wait', 'server'), '0')

    assert.equal(await lab.ok('wait', 'writer'), '7')
    assert.equal(await lab.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'writer'), 'exited 7')
    const all = Array.from({ length: LINES }, (_, index) => `line ${index}`)
    assert.deepEqual((await lab.ok('logs', 'writer')).split('\n'), all)
    // The attached client saw the lines in order and without a gap until its daemon died; the first may have come before it.
    const lines = seen.trimEnd().split('\n')
    const from = all.indexOf(lines[0]!)
    assert.ok(from >= 0)
    assert.deepEqual(lines.slice(0, -1), all.slice(from, from + lines.length - 1))
    assert.ok(all[from + lines.length - 1]!.startsWith(lines.at(-1)!))
    return true
  }

  test('what ends while there is no daemon has its true status in the next one', async () => {
    // They end by a file in a folder that all have, which comes when there is no daemon.
    const flags = path.join(lab.folder, 'flags')
    mkdirSync(flags)
    const run = async (name: string, script: string, ...options: string[]): Promise<string> => {
      const command = ['busybox', 'sh', '-c', script.replace('WAIT', 'until [ -e /flags/now ]; do usleep 50000; done')]
      const id = await lab.ok('run', '-d', '--name', name, '-v', `${flags}:/flags`, ...options, ...command)
      return path.join(lab.stateDirectory, 'containers', id, 'status')
    }
    const statuses = [
      await run('brief', 'WAIT; echo last words; exit 9'),
      await run('again', 'echo once; WAIT; exit 4', '--restart', 'on-failure:1'),
      await run('gone', 'WAIT', '--rm')
    ]
    await lab.kill()
    writeFileSync(path.join(flags, 'now'), '')
    await until('all have ended', () => statuses.every((file) => existsSync(file)))
    await lab.start()
    assert.equal(await lab.ok('wait', 'brief'), '9')
    assert.equal(await lab.ok('logs', 'brief'), 'last words')
    const ofAgain = ['inspect', '-f', '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}', 'again']
    await until('it has given up', async () => (await lab.ok(...ofAgain)) === '1 exited 4')
    // The start of the next daemon counts as a new beginning, as dockerd's does.
    assert.match(await lab.ok('logs', 'again'), /^once\nonce(\nonce)?$/)
    assert.equal((await lab.docker('inspect', 'gone')).status, 1)
  })
})
