// The whole, without root: a daemon of an ordinary user with `--uplink user`, real `docker`, and a server outside.
//
//   container -- bridge -- NAT -- router -- helper namespace == sockets == 203.0.113.1 ----- 203.0.113.2 server
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** nobody, on every Linux. */
const ID = 65534
const AS_USER = [`--reuid=${ID}`, `--regid=${ID}`, '--clear-groups']

const USER = '203.0.113.1'
const SERVER = '203.0.113.2'
const USER6 = '2001:db8:1::1'
const SERVER6 = '2001:db8:1::2'

/** A server at port 80 that answers with the client's address. */
const WHO_ASKS = [
  process.execPath,
  '-e',
  `for (const host of ['0.0.0.0', '::'])
     require('http').createServer((request, answer) => answer.end(request.socket.remoteAddress)).listen({ port: 80, host, ipv6Only: true })`
] as const

/** Until the server listens. */
const FETCH = ['curl', '-sS', '--retry', '60', '--retry-all-errors', '--retry-delay', '1', '--max-time', '20'] as const

function whyNot(): string | false {
  const missing = namespacesMissing('docker', 'setpriv', 'unshare', 'mknod', 'ip', 'curl')
  if (missing !== false) return missing
  if (!existsSync('build/Release/netloom-uplink')) return 'netloom-uplink is not built'
  const tried = spawnSync('setpriv', [...AS_USER, 'unshare', '-Urn', 'test', '-r', import.meta.filename])
  return tried.status === 0 ? false : 'an ordinary user may make no user namespace here, or cannot read this checkout'
}

describe('netloom daemon --uplink user of an ordinary user', { skip: whyNot() }, () => {
  const user = new TestNamespace()
  const server = new TestNamespace()
  let home: string
  let socket: string
  let daemon: DaemonProcess

  before(async () => {
    for (const namespace of [user, server]) namespace.run('ip', 'link', 'set', 'lo', 'up')
    user.run('ip', 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'lan', 'netns', server.path)
    for (const [namespace, device, address, address6] of [
      [user, 'wan', USER, USER6],
      [server, 'lan', SERVER, SERVER6]
    ] as const) {
      namespace.run('ip', 'address', 'add', `${address}/24`, 'dev', device)
      namespace.run('ip', 'address', 'add', `${address6}/64`, 'dev', device, 'nodad')
      namespace.run('ip', 'link', 'set', device, 'up')
    }
    user.run('sysctl', '-qw', 'net.ipv4.ping_group_range=1 0') // nobody
    server.start(...WHO_ASKS)
    home = mkdtempSync(path.join(tmpdir(), 'netloom-rootless-'))
    chmodSync(home, 0o777)
    socket = path.join(home, 'netloom.sock')
    // A TAP driver that everybody may open, for this daemon alone.
    const tun = `mknod -m 666 ${home}/tun c 10 200 && mount --bind ${home}/tun /dev/net/tun && exec setpriv ${AS_USER.join(' ')} "$@"`
    const env = { HOME: home, XDG_RUNTIME_DIR: home, XDG_DATA_HOME: '' }
    daemon = new DaemonProcess(user, ['--uplink', 'user'], env, ['unshare', '-m', 'sh', '-c', tun, 'sh'])
    await daemon.ready()
    // As the log says, which then holds without another start.
    await daemon.logged(/containers cannot ping the outside: .*ping_group_range/)
    user.run('sysctl', '-qw', 'net.ipv4.ping_group_range=0 2147483647')
    docker(socket, 'network', 'create', 'front')
  })
  after(async () => {
    await daemon.stop()
    for (const namespace of [user, server]) namespace.close()
    rmSync(home, { recursive: true })
  })

  for (const network of ['bridge', 'front']) {
    const run = (...argv: string[]): string => docker(socket, 'run', '--rm', '--network', network, 'alpine', ...argv)

    test(`curl from a container on ${network} to a server outside, which sees the user's address`, () => {
      assert.equal(run(...FETCH, `http://${SERVER}/`), USER)
    })

    test(`ping from a container on ${network} goes one hop further than the user's own`, () => {
      assert.match(run('ping', '-c', '1', '-W', '50', SERVER), / ttl=63 /)
    })
  }

  test('curl over IPv6, and a published port', () => {
    docker(socket, 'network', 'create', '--ipv6', '--subnet', '2001:db8:77::/64', 'six')
    const run = (...argv: string[]): string => docker(socket, 'run', '--rm', '--network', 'six', 'alpine', ...argv)
    assert.equal(run(...FETCH, `http://[${SERVER6}]/`), USER6)
    assert.match(run('ping', '-c', '1', '-W', '50', SERVER6), / ttl=63 /)
    docker(socket, 'create', '--name', 'web6', '--network', 'six', '-p', '8086:80', 'alpine', ...WHO_ASKS)
    docker(socket, 'start', 'web6')
    assert.equal(server.run(...FETCH, `http://[${USER6}]:8086/`), SERVER6)
    docker(socket, 'rm', '-f', 'web6')
  })

  test('a helper that dies comes again: new connections go out, and published ports answer', async () => {
    docker(socket, 'run', '-d', '--name', 'again', '-p', '8087:80', 'alpine', ...WHO_ASKS)
    const helpers = spawnSync('pgrep', ['-P', String(daemon.pid), 'netloom-uplink'], { encoding: 'utf8' }).stdout.split('\n')
    assert.notEqual(helpers[0], '')
    process.kill(Number(helpers[0]), 'SIGKILL')
    await daemon.logged(/the user uplink is there again/)
    assert.match(daemon.stderr, /is started again in 1 s, connections of containers to the outside are lost/)
    assert.equal(docker(socket, 'exec', 'again', ...FETCH, `http://${SERVER}/`), USER)
    assert.equal(server.run(...FETCH, `http://${USER}:8087/`), SERVER)
    docker(socket, 'rm', '-f', 'again')
  })

  test('a closed port outside is refused, an unreachable network is told', () => {
    const why = (url: string): string => docker(socket, 'run', '--rm', 'alpine', 'sh', '-c', `curl -sS --max-time 50 ${url} 2>&1; true`)
    assert.match(why(`http://${SERVER}:81/`), /Connection refused|Couldn't connect|Failed to connect/)
    assert.match(why('http://198.51.100.1/'), /unreachable|No route|Couldn't connect/i)
  })

  test('a published port is reached from outside with the client’s address, and from the user’s loopback', () => {
    docker(socket, 'create', '--name', 'web', '-p', '8080:80', 'alpine', ...WHO_ASKS)
    docker(socket, 'start', 'web')
    assert.match(docker(socket, 'port', 'web'), /80\/tcp -> 0\.0\.0\.0:8080/)
    assert.equal(server.run(...FETCH, `http://${USER}:8080/`), SERVER)
    assert.equal(user.run(...FETCH, 'http://127.0.0.1:8080/'), '192.0.0.1')
    // And from another container, by the host's address.
    assert.notEqual(docker(socket, 'run', '--rm', '--network', 'front', 'alpine', ...FETCH, `http://${USER}:8080/`), '')
    docker(socket, 'rm', '-f', 'web')
    assert.throws(() => server.run('curl', '-sS', '--max-time', '50', `http://${USER}:8080/`), /Failed to connect|refused/)
  })
})
