// The daemon of an ordinary user, who may open /dev/net/tun and make user namespaces.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** nobody, on every Linux. */
const USER = 65534
const AS_USER = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']

function whyNot(): string | false {
  const missing = namespacesMissing('docker', 'ip', 'busybox', 'setpriv', 'unshare', 'mknod')
  if (missing !== false) return missing
  // What the daemon does for each container, and what it reads.
  const tried = spawnSync('setpriv', [...AS_USER, 'unshare', '-Urn', 'test', '-r', import.meta.filename])
  return tried.status === 0 ? false : 'an ordinary user may make no user namespace here, or cannot read this checkout'
}

describe('netloom daemon of an ordinary user', { skip: whyNot() }, () => {
  let namespace: TestNamespace
  let home: string
  let socket: string
  let daemon: DaemonProcess

  before(async () => {
    namespace = new TestNamespace()
    namespace.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
    home = mkdtempSync(path.join(tmpdir(), 'netloom-rootless-'))
    chmodSync(home, 0o777)
    socket = path.join(home, 'netloom.sock')
    // A TAP driver that everybody may open, for this daemon alone.
    const tun = `mknod -m 666 ${home}/tun c 10 200 && mount --bind ${home}/tun /dev/net/tun && exec setpriv ${AS_USER.join(' ')} "$@"`
    daemon = new DaemonProcess(namespace, [], { HOME: home, XDG_RUNTIME_DIR: home, XDG_DATA_HOME: '' }, [
      'unshare',
      '-m',
      'sh',
      '-c',
      tun,
      'sh'
    ])
    await daemon.ready()
  })
  after(async () => {
    await daemon.stop()
    namespace.close()
    rmSync(home, { recursive: true })
  })

  test('listens in the user’s own place, and belongs to the user', () => {
    assert.equal(daemon.stdout, `netloom daemon listening on unix://${socket}\n`)
    assert.equal(statSync(socket).uid, USER)
    assert.equal(docker(socket, 'info', '-f', '{{.DockerRootDir}}'), path.join(home, '.local/share/netloom'))
  })

  test('containers on a network reach each other by name', () => {
    docker(socket, 'network', 'create', '--subnet', '192.0.2.0/24', 'front')
    docker(socket, 'run', '-d', '--name', 'web', '--network', 'front', '--stop-signal', 'KILL', 'alpine', 'sleep', '1000')
    assert.match(docker(socket, 'run', '--rm', '--network', 'front', 'alpine', 'ping', '-c', '1', 'web'), / 0% packet loss/)
    const pid = docker(socket, 'inspect', '-f', '{{.State.Pid}}', 'web')
    assert.equal(statSync(`/proc/${pid}`).uid, USER)
  })

  test('nginx’s stand-in serves its page though the host’s root cannot be written to', () => {
    docker(socket, 'run', '-d', '--name', 'page', '--stop-signal', 'KILL', 'nginx')
    // The port is open a moment later.
    const ask = 'for i in $(seq 200); do busybox wget -qO- http://127.0.0.1/ 2> /dev/null && break; sleep 0.2; done'
    assert.match(docker(socket, 'exec', 'page', 'sh', '-c', ask), /^Welcome to nginx!/)
  })

  test('an interface of the machine as a parent is refused with what to do; a network on none is made', () => {
    for (const driver of ['macvlan', 'ipvlan']) {
      assert.throws(
        () => docker(socket, 'network', 'create', '-d', driver, '-o', 'parent=eth0', driver),
        /a packet socket on the parent eth0 cannot be opened: EPERM.*run the daemon as root, or with CAP_NET_RAW/
      )
      docker(socket, 'network', 'create', '-d', driver, `${driver}-closed`)
    }
  })
})
