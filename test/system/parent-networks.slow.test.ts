// macvlan and ipvlan networks of a daemon on interfaces of a kernel: the recorded packets, VLANs over a real cable, ipvlan's modes, a
// restart under containers that run, a parent that goes away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DockerLab, type Finished, labMissing, ORACLE } from '../docker-lab/docker-lab.ts'

describe('networks on a parent interface', { skip: labMissing('tcpdump', 'ethtool', 'nsenter') }, () => {
  let lab: DockerLab

  before(async () => {
    lab = new DockerLab('mvlan')
    lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--uplink host'
    await lab.up()
  })
  after(() => lab.down())
  afterEach(async () => {
    const left = await lab.ok('ps', '-aq')
    if (left !== '') await lab.ok('rm', '-f', ...left.split('\n'))
    await lab.ok('network', 'prune', '-f')
  })

  const inside = (place: string, command: string): Promise<Finished> =>
    lab.run('nsenter', [`--net=/run/netns/${lab.prefix}${place}`, 'sh', '-c', command])
  const host = (command: string): Promise<Finished> => inside('1', command)
  const outside = (command: string): Promise<Finished> => inside('out', command)
  const container = (name: string, network: string, ...options: string[]): Promise<string> =>
    lab.ok('run', '-d', '--name', name, '--net', network, ...options, 'tools', 'sleep', '1000')
  const exec = async (name: string, command: string): Promise<string> => {
    const { status, stdout, stderr } = await lab.docker('exec', name, 'sh', '-c', command)
    return `${stdout}${stderr}${status === 0 ? '' : `[exit ${status}]`}`
  }
  const pings = async (name: string, address: string, seconds = 60): Promise<boolean> => {
    return (await lab.docker('exec', name, 'ping', '-c', '1', '-w', String(seconds), address)).status === 0
  }
  /** What a tcpdump in a namespace writes until the returned function is called: until it has shown `last`, and half a second longer. */
  const capture = async (place: string, device: string, filter: string, ...how: string[]): Promise<(last?: RegExp) => Promise<string>> => {
    const args = [`--net=/run/netns/${lab.prefix}${place}`, 'tcpdump', '-U', '--immediate-mode', '-Z', 'root', '-i', device, ...how, filter]
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (text: Buffer) => (output += text.toString()))
    let said = ''
    for await (const text of child.stderr.iterator({ destroyOnReturn: false })) if ((said += text).includes('listening on')) break
    return async (last = /^/) => {
      for (let tries = 0; !last.test(output) && tries < 600; tries++) await sleep(100)
      await sleep(500)
      child.stderr.resume()
      child.kill('SIGINT')
      await once(child, 'close')
      return output
    }
  }

  test('macvlan: the packets that Docker was recorded with', async () => {
    const file = path.join(lab.folder, 'macvlan.pcap')
    await lab.ok(
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=up0',
      '--subnet',
      '192.0.2.0/24',
      '--gateway',
      '192.0.2.1',
      '--ip-range',
      '192.0.2.128/28',
      'lan'
    )
    // Neighbors that have been heard of are not asked again: else that would be five seconds later, in the capture or not.
    await outside('sysctl -qw net.ipv4.neigh.lan.delay_first_probe_time=1000')
    const done = await capture('out', 'lan', 'ether host 02:42:c0:00:02:80 or ether host 02:42:c0:00:02:81', '-s', '0', '-w', file)
    await container('aa', 'lan', '-p', '8080:80')
    assert.match(
      readFileSync(lab.log, 'utf8'),
      /warn.*container aa: ports are not published on network lan \(macvlan\), where it is reached directly: 80\/tcp/i
    )
    assert.equal(await lab.ok('port', 'aa'), '')
    await exec('aa', 'ethtool -K eth0 tx off; ping -c 2 192.0.2.60')
    await container('bb', 'lan')
    await exec('aa', 'ping -c 2 bb; wget -qO- http://198.51.100.10/ || curl -s http://198.51.100.10/')
    // No port of this recording was asked for, so none is compared: the kernel may pick any.
    const judged = ['--fixed-ports', '0-0', path.join(ORACLE, 'pcaps/macvlan.pcap'), file]
    const compared = (): Promise<Finished> => lab.run(path.join(ORACLE, 'compare-pcap'), judged)
    // When the last packets are in it.
    for (let tries = 0; tries < 120 && (await compared()).status !== 0; tries++) await sleep(500)
    await done()
    const { stdout, stderr } = await compared()
    assert.match(stdout, /^[1-9]\d* passed, 0 failed$/m, stdout + stderr)
  })

  test('VLANs of a cable: one LAN each, with tags that others see, and whole super-frames', async () => {
    await host('ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up')
    try {
      for (const [name, driver, parent, subnet] of [
        ['a30', 'macvlan', 'v0.30', '10.30.0.0/24'],
        ['b30', 'ipvlan', 'v1.30', '10.31.0.0/24'],
        ['a40', 'ipvlan', 'v0.40', '10.40.0.0/24']
      ] as const) {
        await lab.ok('network', 'create', '-d', driver, '-o', `parent=${parent}`, '--subnet', subnet, name)
        await container(`c-${name}`, name)
      }
      // Two networks of one LAN have subnets of their own here: each container is told that the other's is on its link.
      const add = async (name: string, last: number): Promise<void> => {
        await lab.run('nsenter', [
          `--net=/proc/${await lab.ok('inspect', '-f', '{{.State.Pid}}', name)}/ns/net`,
          'ip',
          'route',
          'add',
          `10.3${last}.0.0/24`,
          'dev',
          'eth0'
        ])
      }
      await add('c-a30', 1)
      await add('c-b30', 0)
      const done = await capture('1', 'v1', 'arp or icmp or vlan', '-e', '-n', '-l')
      assert.equal(await pings('c-a30', '10.40.0.1', 2), false)
      assert.ok(await pings('c-a30', '10.31.0.1'))
      const ours = /ethertype 802\.1Q.*vlan 30.*10\.30\.0\.1 > 10\.31\.0\.1: ICMP echo request/
      const seen = await done(ours)
      assert.match(seen, ours)
      assert.doesNotMatch(seen, /vlan 40/)
      await lab.ok('exec', '-d', 'c-b30', 'iperf3', '-s', '-1')
      let told = { error: 'none has run' as string | undefined, end: {} as { sum_sent?: { bytes: number } } }
      // Until it listens.
      for (let tries = 0; tries < 200 && told.error !== undefined; tries++)
        told = JSON.parse((await lab.docker('exec', 'c-a30', 'iperf3', '-J', '-n', '20M', '-c', '10.31.0.1')).stdout)
      assert.ok(told.end.sum_sent!.bytes >= 20e6, JSON.stringify(told))
      assert.doesNotMatch((await host('ip -o link')).stdout, /v0\.30|v1\.30/, 'no interface is made for a VLAN')
    } finally {
      await host('ip link delete v0')
    }
  })

  test("ipvlan l2: stations under the host's MAC, which its own kernel leaves alone; a restart changes nothing", async () => {
    await lab.ok(
      'network',
      'create',
      '-d',
      'ipvlan',
      '-o',
      'parent=up0',
      '--subnet',
      '192.0.2.0/24',
      '--gateway',
      '192.0.2.1',
      '--ip-range',
      '192.0.2.128/28',
      'l2'
    )
    await container('aa', 'l2')
    await container('bb', 'l2')
    // /sys is that of the test's own namespace.
    const mac = /link\/ether (\S+)/.exec((await host('ip link show up0')).stdout)![1]
    assert.equal((await exec('aa', 'cat /sys/class/net/eth0/address')).trim(), mac)
    for (const address of ['bb', '192.0.2.60', 'google.com']) assert.ok(await pings('aa', address), address)
    assert.match(await exec('aa', 'curl -s http://198.51.100.10/'), /you are 192\.0\.2\.128/)
    const check = async (): Promise<void> => {
      const done = await capture('out', 'lan', 'icmp or arp', '-n', '-l')
      assert.equal((await outside('ping -c 2 -w 60 192.0.2.128')).status, 0)
      // A host that forwards would say that there is a better way, or that there is nobody.
      const seen = await done(/echo reply.* seq 2/)
      assert.match(seen, /echo reply.* seq 2/)
      assert.doesNotMatch(seen, /redirect|unreachable|who-has 192\.0\.2\.128 tell 192\.0\.2\.50/i)
    }
    await check()
    assert.equal((await host('ping -c 1 -w 1 192.0.2.128')).status, 1, 'host and container do not reach each other')
    assert.equal(await pings('aa', '192.0.2.50', 2), false)
    const journal = path.join(lab.stateDirectory, 'host-parents.json')
    assert.match(readFileSync(journal, 'utf8'), /netloom-parents/)
    await lab.kill()
    await lab.start()
    assert.ok(await pings('aa', '192.0.2.60'), 'after SIGKILL and a new start')
    await check()
    await lab.ok('rm', '-f', 'aa', 'bb')
    await lab.ok('network', 'rm', 'l2')
    assert.doesNotMatch(existsSync(journal) ? readFileSync(journal, 'utf8') : '', /netloom-parents/)
  })

  test("ipvlan l3: routed by the host's routes, with no ARP and no gateway", async () => {
    await lab.ok(
      'network',
      'create',
      '-d',
      'ipvlan',
      '-o',
      'parent=up0',
      '-o',
      'ipvlan_mode=l3',
      '--subnet',
      '10.9.0.0/24',
      '--subnet',
      '10.9.1.0/24',
      'l3'
    )
    await container('aa', 'l3')
    await container('bb', 'l3', '--ip', '10.9.1.7')
    assert.match(await exec('aa', 'ip route'), /^default dev eth0/)
    assert.match(await exec('aa', 'ip link show eth0'), /NOARP/)
    await outside('ip route add 10.9.0.0/23 via 192.0.2.50')
    try {
      for (const address of ['bb', '192.0.2.60', '198.51.100.10']) assert.ok(await pings('aa', address), address)
      assert.equal((await outside('ping -c 1 -w 60 10.9.1.7')).status, 0)
      assert.match(await exec('bb', 'curl -s http://198.51.100.10/'), /you are 10\.9\.1\.7/)
      assert.match(await exec('aa', 'ping -c 1 -w 1 -b 10.9.0.255'), /\[exit 1\]/)
    } finally {
      await outside('ip route del 10.9.0.0/23')
    }
  })

  test('a second container of a passthru network is refused; ipvlan refuses a MAC', async () => {
    await lab.ok('network', 'create', '-d', 'macvlan', '-o', 'parent=up0.7', '-o', 'macvlan_mode=passthru', 'pass')
    await container('aa', 'pass')
    const second = await lab.docker('run', '-d', '--name', 'bb', '--net', 'pass', 'tools', 'true')
    assert.match(second.stderr, /failed to create the macvlan port: invalid argument/)
    await lab.ok('network', 'create', '-d', 'ipvlan', '-o', 'parent=up0.8', 'ipv')
    const body = JSON.stringify({ Image: 'tools', Cmd: ['true'], MacAddress: '02:42:c0:00:02:99', HostConfig: { NetworkMode: 'ipv' } })
    const made = await lab.run('curl', [
      '-s',
      '--unix-socket',
      lab.socket,
      '-H',
      'Content-Type: application/json',
      '-d',
      body,
      'http://d/containers/create'
    ])
    const { Id } = JSON.parse(made.stdout) as { Id: string }
    assert.match((await lab.docker('start', Id)).stderr, /ipvlan interfaces do not support custom mac address assignment/)
  })

  test('a parent that goes down, comes up and is deleted is told', async () => {
    await host('ip link add v2 type veth peer name v3; ip link set v2 up; ip link set v3 up')
    await lab.ok('network', 'create', '-d', 'macvlan', '-o', 'parent=v2', 'gone')
    const told = async (text: RegExp): Promise<void> => {
      for (let attempt = 0; attempt < 600; attempt++) {
        if (text.test(readFileSync(lab.log, 'utf8'))) return
        await sleep(100)
      }
      assert.match(readFileSync(lab.log, 'utf8'), text)
    }
    await host('ip link set v3 down')
    await told(/parent interface v2 is down/)
    await host('ip link set v3 up')
    await told(/parent interface v2 is up/)
    await host('ip link delete v2')
    await told(/parent interface v2 was deleted/)
    await lab.ok('network', 'rm', 'gone')
  })
})
