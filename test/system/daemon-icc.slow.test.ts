// `netloom daemon --icc=false`: containers of the default bridge reach each other by legacy links alone, and only exposed ports.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** Answers at 80 and at 81. */
const SERVER = [
  process.execPath,
  '-e',
  `for (const port of [80, 81]) require('http').createServer((request, answer) => answer.end('port ' + port)).listen(port)
   console.log('listening')`
] as const

describe('netloom daemon --icc=false', { skip: namespacesMissing('docker', 'ip', 'curl', 'ping') }, () => {
  const host = new TestNamespace()
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-icc-'))
  const socket = path.join(folder, 'd.sock')
  let daemon: DaemonProcess
  const launch = async (...flags: string[]): Promise<void> => {
    daemon = new DaemonProcess(host, ['--host', `unix://${socket}`, '--state-dir', path.join(folder, 'state'), ...flags])
    await daemon.ready()
  }
  const curl = (container: string, limit: string, url: string): string =>
    docker(socket, 'exec', container, 'sh', '-c', `curl -sS ${limit} ${url} 2>&1 || true`)
  /** What a server answers that is reached. */
  const get = (container: string, url: string): string => curl(container, '--max-time 50', url)
  /** What curl says of one that is not. */
  const tryInVain = (container: string, url: string): string => curl(container, '--connect-timeout 1', url)
  const runServer = (name: string, ...options: string[]): void => {
    docker(socket, 'run', '-d', '--name', name, ...options, 'alpine', ...SERVER)
    while (!docker(socket, 'logs', name).includes('listening')) {
      assert.equal(docker(socket, 'inspect', '-f', '{{.State.Running}}', name), 'true')
    }
  }

  before(async () => {
    host.run('ip', 'link', 'set', 'lo', 'up')
    await launch('--icc=false')
    runServer('web', '--expose', '80', '-p', '8080:80')
    docker(socket, 'run', '-d', '--name', 'stranger', 'alpine', 'sleep', '1000')
    docker(socket, 'run', '-d', '--name', 'client', '--link', 'web:w', 'alpine', 'sleep', '1000')
  })
  after(async () => {
    docker(socket, 'rm', '-f', 'web', 'stranger', 'client')
    await daemon.stop()
    host.close()
    rmSync(folder, { recursive: true })
  })

  test('it shows at the network', () => {
    const option = '{{index .Options "com.docker.network.bridge.enable_icc"}}'
    assert.equal(docker(socket, 'network', 'inspect', '-f', option, 'bridge'), 'false')
  })

  test('a link opens the exposed port, and nothing else', () => {
    assert.equal(get('client', 'http://w/'), 'port 80')
    assert.match(tryInVain('client', 'http://w:81/'), /timed out|Timeout/i)
    assert.match(docker(socket, 'exec', 'client', 'sh', '-c', 'ping -c 1 -W 1 -w 1 w || true'), /100% packet loss/)
    assert.match(tryInVain('stranger', 'http://172.17.0.2/'), /timed out|Timeout/i)
    assert.match(tryInVain('web', 'http://172.17.0.4:80/'), /timed out|Timeout/i, 'a link has a direction')
  })

  test('published ports and the gateway are reached as ever', () => {
    assert.equal(get('stranger', 'http://172.17.0.1:8080/'), 'port 80')
    assert.match(docker(socket, 'exec', 'stranger', 'ping', '-c', '1', '-W', '50', '172.17.0.1'), / 0% packet loss/)
  })

  test('the target comes back elsewhere: the link follows, and who has its old address gains nothing', () => {
    docker(socket, 'stop', '-t', '0', 'web')
    runServer('other', '--expose', '80')
    assert.equal(docker(socket, 'inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'other'), '172.17.0.2')
    assert.match(tryInVain('client', 'http://172.17.0.2/'), /timed out|Timeout/i)
    docker(socket, 'start', 'web')
    assert.equal(docker(socket, 'inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'web'), '172.17.0.5')
    assert.equal(
      docker(socket, 'exec', 'client', 'curl', '-sS', '--retry', '40', '--retry-delay', '1', '--retry-all-errors', 'http://w/'),
      'port 80'
    )
    docker(socket, 'rm', '-f', 'other')
  })

  test('a daemon that was killed: the next one has the same openings; without the flag all are open', async () => {
    daemon.signal('SIGKILL')
    await daemon.ended
    await launch('--icc=false')
    assert.equal(get('client', 'http://w/'), 'port 80')
    assert.match(tryInVain('client', 'http://w:81/'), /timed out|Timeout/i)
    daemon.signal('SIGKILL')
    await daemon.ended
    await launch()
    assert.equal(get('client', 'http://w:81/'), 'port 81')
    assert.equal(get('stranger', 'http://172.17.0.5/'), 'port 80')
  })
})
