// Two daemons on one ZooKeeper with a user, whose VXLAN has a port of its own: what they share, what dies and comes back, and groups on an
// overlay that is told to carry them. NETLOOM_FUZZ=long: a daemon is killed, too.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { zooKeeperCommand, zooKeeperMissing } from '../cluster/zookeeper-server.ts'
import { ClusterLan, eventually } from './cluster-lan.ts'
import { namespacesMissing, type TestNamespace } from './test-namespace.ts'

const PORT = 14_789
const MDNS = '224.0.0.251'

describe('two daemons on ZooKeeper', {
  skip: zooKeeperMissing || namespacesMissing('docker', 'ip', 'bridge', 'ping', 'socat', 'ss')
}, () => {
  let cluster: ClusterLan
  let server: TestNamespace
  let zooKeeper: ChildProcess

  const startStore = (): void => {
    zooKeeper = server.start('sh', '-c', 'exec "$@"', 'sh', ...zooKeeperCommand(path.join(cluster.folder, 'zk'), '192.0.2.21', 2181))
    for (const stream of [zooKeeper.stdout!, zooKeeper.stderr!]) stream.resume()
  }
  const startDaemon = (number: number, password = 'secret') =>
    cluster.startDaemon(
      number,
      'zk://192.0.2.21:2181/two',
      ...['--cluster-store-opt', 'kv.username=netloom', '--cluster-store-opt', `kv.password=${password}`],
      // As short as ZooKeeper's tick allows: the dead are waited for here.
      ...['--cluster-store-opt', 'discovery.ttl=2'],
      ...['--underlay', 'udp', '--overlay-port', String(PORT), '--uplink', 'none']
    )
  const address = (number: number, name: string): string =>
    cluster.on(number, 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', name)

  before(async () => {
    cluster = new ClusterLan()
    server = cluster.machine(21)
    startStore()
    await Promise.all([startDaemon(1), startDaemon(2)])
    const make = (): string => cluster.on(1, 'network', 'create', '-d', 'overlay', '--subnet', '10.9.0.0/24', 'net')
    await eventually('the store answers', () => make() !== '')
    await cluster.shared('net', 1, 2)
    for (const number of [1, 2]) cluster.run(number, `c${number}`, 'net')
  })
  after(() => cluster?.close())

  test('names and frames cross, at the port that was asked for', async () => {
    for (const [from, to] of [
      [1, 2],
      [2, 1]
    ] as const) {
      await eventually(`c${from} reaches c${to}`, () => cluster.reaches(from, `c${from}`, `c${to}`))
      const listening = cluster.host(from).run('ss', '-Hlun')
      assert.match(listening, new RegExp(`:${PORT} `))
      assert.doesNotMatch(listening, /:4789 /)
    }
  })

  test('groups stay on their host, as with Docker, and cross where the network says so: mDNS', async () => {
    const checkHeard = async (network: string, isLoud: boolean): Promise<void> => {
      for (const number of [1, 2]) cluster.run(number, `${network}${number}`, network)
      const listen = `UDP4-RECVFROM:5353,ip-add-membership=${MDNS}:${address(2, `${network}2`)},fork`
      const answering = spawn('docker', ['-H', `unix://${cluster.socket(2)}`, 'exec', `${network}2`, 'socat', listen, 'SYSTEM:cat'], {
        stdio: 'ignore'
      })
      await eventually('it listens', () => cluster.on(2, 'exec', `${network}2`, 'ss', '-Hlun').includes(':5353'))
      // What was asked is sent back, by nobody when nobody hears it.
      const ask = (to: string): string => cluster.on(1, 'exec', `${network}1`, 'sh', '-c', `echo web.local | socat -t 1 - ${to}`)
      const [from, to] = [address(1, `${network}1`), address(2, `${network}2`)]
      const askGroup = (): string => ask(`UDP4-DATAGRAM:${MDNS}:5353,ip-multicast-if=${from}`)
      // The way is there, so that silence says something.
      await eventually('one alone is heard', () => ask(`UDP4:${to}:5353`) === 'web.local')
      // A busy machine may be late with an answer.
      if (isLoud) await eventually('the group is heard', () => askGroup() === 'web.local')
      else assert.equal(askGroup(), '')
      answering.kill()
    }
    cluster.on(1, 'network', 'create', '-d', 'overlay', 'quiet')
    cluster.on(1, 'network', 'create', '-d', 'overlay', '-o', 'com.docker.network.driver.overlay.bum=flood', 'loud')
    await checkHeard('loud', true)
    await checkHeard('quiet', false)
  })

  test('a wrong password is told, and nothing is shared', async () => {
    const stranger = await startDaemon(3, 'guess')
    assert.throws(
      () => cluster.on(3, 'network', 'create', '-d', 'overlay', 'mine'),
      /the cluster store cannot be reached: .*(denied|refuses|credentials|password)/i
    )
    assert.doesNotMatch(cluster.on(3, 'network', 'ls'), /overlay/)
    await stranger.stop()
  })

  // cluster-three does it on etcd in every run.
  const longTest = process.env['NETLOOM_FUZZ'] === 'long' ? test : () => {}
  longTest('a daemon that is killed: its names go, and come back', async () => {
    cluster.daemon(2).signal('SIGKILL')
    await cluster.daemon(2).ended
    await eventually('c2 has no name any more', () =>
      /bad address|not known|resolution/i.test(cluster.on(1, 'exec', 'c1', 'sh', '-c', 'ping -c 1 -W 1 c2 2>&1 || true'))
    )
    assert.throws(() => cluster.run(1, 'c2', 'net'), /endpoint with name c2 already exists/)
    cluster.on(1, 'rm', '-f', 'c2')
    await startDaemon(2)
    await eventually('c2 is back', () => cluster.reaches(1, 'c1', 'c2'))
  })

  test('a store that is killed, and a daemon with it: what runs goes on', async () => {
    zooKeeper.kill('SIGKILL')
    await eventually('it is noticed', () => !cluster.on(1, 'network', 'ls').includes('overlay'))
    const c2 = address(2, 'c2')
    await eventually('c1 reaches c2 without the store', () => cluster.reaches(1, 'c1', c2))
    cluster.daemon(1).signal('SIGKILL')
    await cluster.daemon(1).ended
    await startDaemon(1)
    assert.match(cluster.on(1, 'exec', 'c1', 'ip', '-4', 'addr', 'show', 'eth0'), /inet 10\.9\.0\.2\/24/, 'a start without the store')
    startStore()
    await eventually('all is there again', () => cluster.on(1, 'network', 'ls').includes('overlay'))
    await eventually('c3 runs', () => {
      try {
        return cluster.run(2, 'c3', 'net') !== ''
      } catch (error) {
        cluster.on(2, 'rm', '-f', 'c3')
        throw error
      }
    })
    // A start that the store was late for may have had the first one that is free, and given it back.
    assert.match(address(2, 'c3'), /^10\.9\.0\.([4-9]|\d\d+)$/, 'none that somebody has')
    for (const name of ['c2', 'c3']) await eventually(`c1 reaches ${name}`, () => cluster.reaches(1, 'c1', name))
  })
})
