// kill -9 of the daemon in the middle of things: a TCP transfer between two containers goes on over the same connection, what a
// container writes meanwhile is in its log, and its exit status is told by the next daemon.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
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
    await lab.ok('run', '-d', '--name', 'server', '--net', 'lane', 'tools', 'iperf3', '-s', '-1')
    const writer = `i=0; while [ $i -lt ${LINES} ]; do echo "line $i"; i=$((i+1)); usleep 20000; done; exit 7`
    await lab.ok('run', '-d', '--name', 'writer', '--net', 'lane', 'busybox', 'sh', '-c', writer)
    await lab.ok('run', '-d', '--name', 'client', '--net', 'lane', 'tools', 'iperf3', '-J', '-t', '10', '-c', 'server')
    const attached = spawn('docker', ['-H', lab.dockerHost, 'attach', 'writer'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let seen = ''
    attached.stdout.on('data', (data) => {
      seen += data
    })
    const attachedEnded = once(attached, 'close')
    for (let tries = 0; tries < 100 && !/line \d+\n/.test(seen); tries++) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.match(seen, /line \d+\n/, 'nothing came over the attached client')
    // iperf3 has a control connection and one of data.
    let before: string[] = []
    for (let tries = 0; tries < 100 && (before = await localPorts('client')).length < 2; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(before.length, 2)

    const first = lab.daemonPid
    await lab.kill()
    await attachedEnded
    // The daemon stays away for a while: the containers go on without it.
    await new Promise((resolve) => setTimeout(resolve, 500))
    await lab.start()
    assert.notEqual(lab.daemonPid, first)
    assert.deepEqual(await localPorts('client'), before, 'the connections are others')

    assert.equal(await lab.ok('wait', 'client'), '0')
    const result = JSON.parse(await lab.ok('logs', 'client')) as {
      end: { streams: unknown[]; sum_received: { bytes: number } }
      intervals: { sum: { bytes: number } }[]
    }
    assert.equal(result.end.streams.length, 1)
    assert.ok(result.intervals.at(-1)!.sum.bytes > 0, 'nothing was carried at the end')
    context.diagnostic(`bytes in each second: ${result.intervals.map(({ sum }) => sum.bytes).join(' ')}`)
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
  })

  test('what ends while there is no daemon has its true status in the next one', async () => {
    await lab.ok('run', '-d', '--name', 'brief', 'busybox', 'sh', '-c', 'sleep 1; echo last words; exit 9')
    await lab.ok('run', '-d', '--name', 'again', '--restart', 'on-failure:1', 'busybox', 'sh', '-c', 'echo once; sleep 1; exit 4')
    await lab.ok('run', '-d', '--rm', '--name', 'gone', 'busybox', 'sleep', '1')
    await lab.kill()
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await lab.start()
    assert.equal(await lab.ok('wait', 'brief'), '9')
    assert.equal(await lab.ok('logs', 'brief'), 'last words')
    for (let tries = 0; tries < 50; tries++) {
      if ((await lab.ok('inspect', '-f', '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}', 'again')) === '1 exited 4') break
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    assert.equal(await lab.ok('inspect', '-f', '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}', 'again'), '1 exited 4')
    // The start of the next daemon counts as a new beginning, as dockerd's does.
    assert.match(await lab.ok('logs', 'again'), /^once\nonce(\nonce)?$/)
    assert.equal((await lab.docker('inspect', 'gone')).status, 1)
  })
})
