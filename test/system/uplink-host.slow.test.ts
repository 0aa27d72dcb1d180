// `netloom daemon --uplink host` with real programs in containers, on its host and outside.
//
//   containers | daemon's host 192.0.2.50 --- 192.0.2.60 world --- (MTU 1300) --- far 198.51.100.10
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

/** HTTP: says who asked, after having read all that was sent, and how much that was. */
const WHOAMI = `
  require('node:http').createServer((request, response) => {
    let length = 0
    request.on('data', (data) => { length += data.length })
    request.on('end', () => response.end(request.socket.remoteAddress.replace('::ffff:', '') + ' ' + length))
  }).listen(Number(process.argv[1]), '::', 4096, () => console.log('listening'))`

/** Opens connections, all at once, and asks on each when all are there; prints how many got an answer. */
const CROWD = `
  const [host, port, count] = process.argv.slice(1)
  const net = require('node:net')
  let connected = 0, answered = 0, ended = 0
  const sockets = []
  for (let i = 0; i < count; i++) {
    const socket = net.connect({ host, port })
    sockets.push(socket)
    socket.on('connect', () => {
      if (++connected === Number(count)) for (const each of sockets) each.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
    })
    socket.once('data', () => { answered++ })
    socket.on('error', (error) => console.error(error.message))
    socket.on('close', () => { if (++ended === Number(count)) console.log(answered) })
  }`

describe('daemon with the uplink host', { skip: namespacesMissing('docker', 'ip', 'nft', 'curl', 'ping') }, () => {
  let host: TestNamespace
  let world: TestNamespace
  let far: TestNamespace
  let folder: string
  let socket: string
  let daemon: DaemonProcess

  const ip = (netns: TestNamespace, ...commands: string[]): void => {
    for (const command of commands) netns.run('ip', ...command.split(' '))
  }
  const launch = async (): Promise<void> => {
    daemon = new DaemonProcess(host, ['--uplink', 'host', '--host', `unix://${socket}`, '--state-dir', path.join(folder, 'state')])
    await daemon.ready()
  }
  const serve = (netns: TestNamespace, port: number): Promise<void> =>
    new Promise((resolve) => {
      netns.start(process.execPath, '-e', WHOAMI, String(port)).stdout!.once('data', () => resolve())
    })
  const outside = async (netns: TestNamespace, ...args: string[]): Promise<string> => {
    const { status, stdout } = await netns.exec('curl', '-sS', '-m', '60', ...args)
    return status === 0 ? stdout : `curl ended with ${status}`
  }
  const inside = (container: string, ...args: string[]): string => docker(socket, 'exec', container, 'curl', '-sS', '-m', '60', ...args)
  const runWeb = (name: string, ...options: string[]): void => {
    docker(socket, 'run', '-d', '--name', name, ...options, 'busybox', process.execPath, '-e', WHOAMI, '80')
    while (!docker(socket, 'logs', name).includes('listening')) {}
  }

  before(async () => {
    ;[host, world, far] = [new TestNamespace(), new TestNamespace(), new TestNamespace()]
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-uplink-'))
    socket = path.join(folder, 's.sock')
    for (const netns of [host, world, far]) ip(netns, 'link set lo up')
    ip(host, `link add eth0 type veth peer name lan0 netns ${world.path}`, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0')
    ip(host, 'address add 2001:db8::50/64 dev eth0 nodad')
    ip(world, 'link set lan0 up', 'address add 192.0.2.60/24 dev lan0', 'address add 2001:db8::60/64 dev lan0 nodad')
    ip(host, 'route add default via 192.0.2.60', 'route add default via 2001:db8::60')
    ip(world, `link add wan0 mtu 1300 type veth peer name eth0 netns ${far.path}`, 'link set wan0 up')
    ip(
      world,
      'address add 198.51.100.1/24 dev wan0',
      'route add 172.16.0.0/12 via 192.0.2.50',
      'route add 2001:db8:20::/64 via 2001:db8::50'
    )
    ip(far, 'link set eth0 up', 'address add 198.51.100.10/24 dev eth0', 'route add default via 198.51.100.1')
    native.writeFileInNetns(world.fd, '/proc/sys/net/ipv4/ip_forward', '1')
    await Promise.all([serve(world, 7777), serve(far, 7777), launch()])
    runWeb('web', '-p', '8080:80')
    docker(socket, 'network', 'create', '--ipv6', '--subnet', '172.20.0.0/24', '--subnet', '2001:db8:20::/64', 'six')
    runWeb('six', '--network', 'six', '-p', '8086:80')
  })
  after(async () => {
    docker(socket, 'rm', '-f', 'web', 'six')
    daemon.signal('SIGKILL')
    await daemon.ended
    for (const netns of [host, world, far]) netns.close()
    rmSync(folder, { recursive: true })
  })

  test('out: TCP and echo, from the host’s address; router and host are one hop', () => {
    assert.equal(inside('web', 'http://192.0.2.60:7777'), '192.0.2.50 0')
    assert.match(docker(socket, 'exec', 'web', 'ping', '-c', '1', '-W', '60', '192.0.2.60'), /ttl=63/)
    const expired = docker(socket, 'exec', 'web', 'sh', '-c', 'ping -n -c 1 -W 60 -t 1 192.0.2.60 || true')
    assert.match(expired, /From 172\.17\.0\.1 .*Time to live exceeded/i)
    assert.match(docker(socket, 'exec', 'web', 'ping', '-c', '1', '-W', '60', '192.0.2.50'), /ttl=64/)
  })

  test('path MTU: a hop outside is narrower, and tells the container through both NATs', () => {
    assert.equal(inside('web', '--data-binary', '@/proc/self/exe', 'http://198.51.100.10:7777').split(' ')[0], '192.0.2.50')
    assert.match(docker(socket, 'exec', 'web', 'ip', 'route', 'get', '198.51.100.10'), /mtu 1300/)
    const refused = docker(socket, 'exec', 'web', 'sh', '-c', 'ping -n -c 1 -W 60 -M do -s 1400 198.51.100.10 2>&1 || true')
    assert.match(refused, /mtu.?=.?1300/i)
  })

  test('in: a published port, from every side', async () => {
    assert.equal(await outside(world, 'http://192.0.2.50:8080'), '192.0.2.60 0')
    assert.equal(await outside(host, 'http://192.0.2.50:8080'), '192.0.2.50 0')
    assert.equal(await outside(host, 'http://127.0.0.1:8080'), '172.17.0.1 0')
    assert.equal(await outside(host, 'http://[::1]:8080'), '172.17.0.1 0')
    assert.equal(inside('web', 'http://192.0.2.50:8080'), '172.17.0.1 0', 'from the container itself')
    assert.equal(inside('six', 'http://192.0.2.50:8080'), '172.17.0.1 0', 'from another network')
    assert.equal(inside('six', 'http://172.20.0.1:8080'), '172.17.0.1 0')
    assert.match(await outside(world, '--data-binary', `@${import.meta.filename}`, 'http://192.0.2.50:8080'), /^192\.0\.2\.60 [1-9]\d{3,}$/)
  })

  test('between networks, and to what is not published, nothing passes', async () => {
    assert.match(await outside(world, '-m', '0.5', 'http://172.17.0.2:81'), /^curl ended with (7|28)$/)
    assert.equal(await outside(world, 'http://172.17.0.2:80'), '192.0.2.60 0', 'Docker lets a published target’s own address through')
    const across = docker(socket, 'exec', 'six', 'sh', '-c', 'curl -sS -m 0.5 http://172.17.0.2 2>&1 || true')
    assert.match(across, /timed out|failed/i)
  })

  test('explain: what goes to all, and to link-local addresses, is the host’s too', () => {
    const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
    const explain = (to: string): { verdict: string; text: string } => {
      const argv = [NETLOOM, 'explain', '-H', `unix://${socket}`, '--json', '--from', 'six', '--to', to]
      return JSON.parse(spawnSync(process.execPath, argv, { encoding: 'utf8' }).stdout)
    }
    for (const to of ['224.0.0.1', '172.20.0.255:67/udp', 'ff02::1', 'fe80::1', '172.20.0.1', '192.0.2.50'])
      assert.equal(explain(to).verdict, 'host', `${to}: ${explain(to).text}`)
    assert.equal(explain('fe80::99').verdict, 'unreachable')
    assert.equal(explain('2001:db8::60').verdict, 'leaves')
  })

  test('IPv6: out with its own address, in by a published port', async () => {
    assert.match(inside('six', 'http://[2001:db8::60]:7777'), /^2001:db8:20::2 0$/)
    assert.equal(await outside(world, 'http://[2001:db8::50]:8086'), '2001:db8::60 0')
    assert.match(docker(socket, 'exec', 'six', 'ping', '-c', '1', '-W', '60', '2001:db8::60'), /ttl=63/)
  })

  test('a thousand connections at once', async () => {
    const { stdout, stderr } = await world.exec(process.execPath, '-e', CROWD, '192.0.2.50', '8080', '1000')
    assert.deepEqual([stdout.trim(), stderr], ['1000', ''])
  })

  test('killed, started again, stopped: connections come back, and the host is left as it was', async () => {
    daemon.signal('SIGKILL')
    await daemon.ended
    await launch()
    assert.equal(await outside(world, 'http://192.0.2.50:8080'), '192.0.2.60 0')
    assert.equal(inside('web', 'http://192.0.2.60:7777'), '192.0.2.50 0')
    // Containers end with it; what they were reached by goes.
    docker(socket, 'stop', '-t', '0', 'web', 'six')
    assert.equal((await daemon.stop()).code, 0)
    assert.deepEqual(
      host.ip('link').map(({ ifname }) => ifname),
      ['lo', 'eth0']
    )
    assert.doesNotMatch(host.run('ip', 'rule') + host.run('ip', '-6', 'rule'), /1100/)
    assert.equal(host.run('nft', 'list', 'ruleset'), '')
    assert.equal(native.readFileInNetns(host.fd, '/proc/sys/net/ipv4/ip_forward'), '0\n')
    assert.equal(native.readFileInNetns(host.fd, '/proc/sys/net/ipv6/conf/all/forwarding'), '0\n')
    await launch() // so that `after` finds a daemon
  })
})
