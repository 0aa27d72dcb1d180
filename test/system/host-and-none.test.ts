// The networks `host` and `none` by the real docker client. What they look like from within is walked through in document 002, and the texts
// of connect are compared with Docker's recordings (net-connect-errors); here: whose namespace it is, and whose ports.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, daemonMissing, until } from '../docker/daemon-process.ts'

const ADDRESSES = ['ip', '-o', 'addr']
/** Without those that the kernel makes and checks in its own time. */
const ADDRESSES_4 = ['ip', '-4', '-o', 'addr']
const ECHO = ['socat', 'TCP-LISTEN:8099,fork', 'PIPE']
const TO_HOST = 'container cannot be disconnected from host network or connected to host network'
const SHARED = 'container sharing network namespace with another container or host cannot be connected to any other network'
const PRIVATE = 'container cannot be connected to multiple networks with one of the networks in private (none) mode'

describe('host and none', { skip: daemonMissing('socat', 'busybox') }, () => {
  const daemon = new DaemonProcess()
  const inDaemon = (...command: string[]) => spawnSync('nsenter', [`--net=/proc/${daemon.pid}/ns/net`, ...command], { encoding: 'utf8' })
  before(async () => {
    await daemon.start()
    inDaemon('ip', 'link', 'set', 'lo', 'up')
    inDaemon('ip', 'addr', 'add', '192.0.2.77/32', 'dev', 'lo')
    await daemon.ok('network', 'create', 'other')
    await daemon.ok('run', '-d', '--name', 'hosted', '--net', 'host', '-p', '8080:80', 'box', ...ECHO)
    await daemon.ok('run', '-d', '--name', 'alone', '--net', 'none', 'box', 'sleep', '1000')
    await daemon.ok('run', '-d', '--name', 'plain', '--net', 'other', 'box', 'sleep', '1000')
  })
  after(() => daemon.down())

  test('host: the namespace of the daemon, with interfaces and addresses that come and go', async () => {
    const pid = await daemon.ok('inspect', '-f', '{{.State.Pid}}', 'hosted')
    assert.equal(readlinkSync(`/proc/${pid}/ns/net`), readlinkSync(`/proc/${daemon.pid}/ns/net`))
    const first = await daemon.ok('exec', 'hosted', ...ADDRESSES_4)
    assert.match(first, /lo +inet 192\.0\.2\.77\/32/)
    assert.match(first, /docker0 +inet 172\.17\.0\.1\/16/)
    inDaemon('ip', 'addr', 'add', '192.0.2.78/32', 'dev', 'lo')
    const second = await daemon.ok('exec', 'hosted', ...ADDRESSES_4)
    assert.match(second, /192\.0\.2\.78/)
    assert.equal(second, inDaemon(...ADDRESSES_4).stdout.trimEnd())
  })

  test('host: published ports are discarded, and a port that is taken is taken', async () => {
    const ports = (await daemon.ok('ps', '--format', '{{.Names}}:{{.Ports}}')).split('\n').sort()
    assert.deepEqual(ports, ['alone:', 'hosted:', 'plain:'])
    assert.equal(await daemon.ok('inspect', '-f', '{{json .NetworkSettings.Ports}}', 'hosted'), '{}')
    await until('it listens', () => /:8099 /.test(inDaemon('ss', '-ltnH').stdout))
    assert.doesNotMatch(inDaemon('ss', '-ltnH').stdout, /:8080 /)
    // By a process of the daemon's namespace, by another host container, and by a published port.
    assert.equal(inDaemon('sh', '-c', 'echo heard | busybox nc -w 60 192.0.2.77 8099').stdout, 'heard\n')
    const second = await daemon.docker('run', '--rm', '--net', 'host', 'box', 'busybox', 'nc', '-l', '-p', '8099')
    assert.deepEqual([second.status, second.stderr], [1, 'nc: bind: Address already in use\n'])
    const published = await daemon.docker('run', '--rm', '--net', 'other', '-p', '8099:80', 'box', 'true')
    assert.equal(published.status, 125)
    assert.match(published.stderr, /listen tcp4 0\.0\.0\.0:8099: bind: address already in use/)
    await daemon.ok('rm', '-f', 'hosted')
    await daemon.ok('run', '--rm', '--net', 'other', '-p', '8099:80', 'box', 'true')
    const again = await daemon.docker('run', '-d', '--name', 'hosted', '--net', 'host', '-p', '8080:80', 'box', 'sleep', '1000')
    // Client 20.10 gives up its own request to wait for the container as it ends, and tells so when it has the time.
    const told = again.stderr.split('\n').filter((line) => !line.includes('error waiting for container: context canceled'))
    assert.deepEqual(told, ['WARNING: Published ports are discarded when using host network mode', ''])
  })

  test('host: neither connected later nor connected to others', async () => {
    assert.equal(await daemon.refused('network', 'connect', 'other', 'hosted'), SHARED)
    assert.equal(await daemon.refused('network', 'connect', 'host', 'plain'), TO_HOST)
    assert.equal(await daemon.refused('network', 'connect', 'host', 'alone'), TO_HOST)
    assert.equal(await daemon.refused('network', 'disconnect', 'host', 'hosted'), TO_HOST)
  })

  test('none: only lo, and no other network beside it', async () => {
    assert.deepEqual(
      (await daemon.ok('exec', 'alone', ...ADDRESSES)).split('\n').filter((line) => !/ lo +inet6? (127\.0\.0\.1\/8|::1\/128) /.test(line)),
      []
    )
    assert.equal(await daemon.ok('exec', 'alone', 'ls', '/sys/class/net'), 'lo')
    assert.equal(await daemon.ok('exec', 'alone', 'ip', 'route'), '')
    assert.equal(await daemon.refused('network', 'connect', 'other', 'alone'), PRIVATE)
    assert.equal(await daemon.refused('network', 'connect', 'none', 'plain'), PRIVATE)
  })
})
