// `netloom daemon` as root with nothing said of an uplink: what a new user has, and a second daemon beside it.
//
//   containers | daemon's host 192.0.2.50 --- 192.0.2.60 world
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** A server at port 80 that answers with the client's address. */
const WHO_ASKS = [
  process.execPath,
  '-e',
  `require('http').createServer((request, answer) => answer.end(request.socket.remoteAddress.replace('::ffff:', ''))).listen(80)`
] as const
const FETCH = ['curl', '-sS', '--retry', '60', '--retry-all-errors', '--retry-delay', '1', '--max-time', '20'] as const

describe('netloom daemon with no uplink asked for', { skip: namespacesMissing('docker', 'ip', 'nft', 'curl') }, () => {
  const host = new TestNamespace()
  const world = new TestNamespace()
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-default-'))
  const socketOf = (name: string): string => path.join(folder, `${name}.sock`)
  const begin = async (name: string, ...flags: string[]): Promise<DaemonProcess> => {
    const args = ['--host', `unix://${socketOf(name)}`, '--state-dir', path.join(folder, name), ...flags]
    const daemon = new DaemonProcess(host, args)
    await daemon.ready()
    return daemon
  }
  let first: DaemonProcess

  before(async () => {
    for (const namespace of [host, world]) namespace.run('ip', 'link', 'set', 'lo', 'up')
    host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'lan0', 'netns', world.path)
    host.run('ip', 'address', 'add', '192.0.2.50/24', 'dev', 'eth0')
    host.run('ip', 'link', 'set', 'eth0', 'up')
    host.run('ip', 'route', 'add', 'default', 'via', '192.0.2.60')
    world.run('ip', 'address', 'add', '192.0.2.60/24', 'dev', 'lan0')
    world.run('ip', 'link', 'set', 'lan0', 'up')
    world.start(...WHO_ASKS)
    first = await begin('first')
  })
  after(async () => {
    await first.stop()
    for (const namespace of [host, world]) namespace.close()
    rmSync(folder, { recursive: true })
  })

  test('the host is a station on every network, and containers reach the world', () => {
    assert.deepEqual(
      host.ip('link').map(({ ifname }) => ifname),
      ['lo', 'eth0', 'netloom0', 'docker0']
    )
    assert.equal(docker(socketOf('first'), 'run', '--rm', 'alpine', ...FETCH, 'http://192.0.2.60/'), '192.0.2.50')
    assert.doesNotMatch(first.stderr, /cannot be had/)
    assert.match(first.stderr, /msg=ready uplink=host/)
  })

  test('the MTU of the way out is followed: the gateway tells containers', async () => {
    host.run('ip', 'link', 'set', 'eth0', 'mtu', '1300')
    await first.logged(/the host's way out has another MTU now: 1300 bytes/)
    assert.equal(host.ip('link', 'show', 'netloom0')[0]!['mtu'], 1300)
    const ping = ['sh', '-c', 'ping -n -c 1 -W 60 -M do -s 1400 192.0.2.60 2>&1 || true']
    assert.match(docker(socketOf('first'), 'run', '--rm', 'alpine', ...ping), /From 172\.17\.0\.1 .*mtu.?=.?1300/is)
    host.run('ip', 'link', 'set', 'eth0', 'mtu', '1500')
    await first.logged(/another MTU now: 1500 bytes/)
  })

  test('a second daemon gets what is left, says so, and harms nobody', async () => {
    const second = await begin('second')
    try {
      assert.match(
        second.stderr,
        /the uplink 'host' cannot be had here, 'user' is taken in its place: the interface netloom0 .*\.2|netloom0/s
      )
      await second.logged(/msg=ready uplink=user/)
      const subnets = ['first', 'second'].map((name) =>
        docker(socketOf(name), 'network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'bridge')
      )
      assert.deepEqual(subnets, ['172.17.0.0/16', '172.18.0.0/16'], 'where the host has routes there is no automatic subnet')
      assert.equal(docker(socketOf('second'), 'run', '--rm', 'alpine', ...FETCH, 'http://192.0.2.60/'), '192.0.2.50')
      docker(socketOf('second'), 'run', '-d', '--name', 'web', '-p', '8080:80', 'alpine', ...WHO_ASKS)
      assert.equal(world.run(...FETCH, 'http://192.0.2.50:8080/'), '192.0.2.60')
      // The first one's own port is another: the second sees that the host has it.
      assert.throws(() => docker(socketOf('first'), 'run', '--rm', '-p', '8080:80', 'alpine', 'true'), /address already in use/)
      docker(socketOf('second'), 'rm', '-f', 'web')
    } finally {
      assert.equal((await second.stop()).code, 0)
    }
    assert.equal(docker(socketOf('first'), 'run', '--rm', 'alpine', ...FETCH, 'http://192.0.2.60/'), '192.0.2.50')
    assert.match(host.run('ip', 'rule'), /1100/, 'the rule of the first one stays')
  })

  test('a second daemon that asks for the host by name does not start, and says who has it', async () => {
    await assert.rejects(begin('third', '--uplink', 'host'), new RegExp(`netloom0 on this host is process ${first.pid}'s`))
    assert.match(host.run('ip', 'rule'), /1100/)
    assert.match(host.run('nft', 'list', 'tables'), /inet netloom/)
  })

  test('the next daemon on a host where a network’s interface is taken starts, with the usual name', async () => {
    docker(socketOf('first'), 'network', 'create', '-o', 'com.docker.network.bridge.name=lan7', 'front')
    docker(socketOf('first'), 'run', '-d', '--name', 'web', '--network', 'front', '-p', '8080:80', 'alpine', ...WHO_ASKS)
    first.signal('SIGKILL')
    await first.ended
    host.run('ip', 'link', 'add', 'lan7', 'type', 'veth', 'peer', 'name', 'lan8')
    first = await begin('first')
    assert.match(first.stderr, /network front is br-[0-9a-f]{12} on this host/)
    assert.equal(world.run(...FETCH, 'http://192.0.2.50:8080/'), '192.0.2.60')
    docker(socketOf('first'), 'rm', '-f', 'web')
  })

  test('at its end everything is put back', async () => {
    assert.equal((await first.stop()).code, 0)
    host.run('ip', 'link', 'delete', 'lan7')
    assert.deepEqual(
      host.ip('link').map(({ ifname }) => ifname),
      ['lo', 'eth0']
    )
    assert.doesNotMatch(host.run('ip', 'rule'), /1100/)
    assert.equal(host.run('nft', 'list', 'ruleset'), '')
    first = await begin('first')
  })
})
