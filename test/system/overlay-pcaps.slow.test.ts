// The packets that Docker's recordings show of overlay networks (test/oracle/pcaps, vxlan-kv-*), made by the same commands on two hosts
// with an etcd: on the wire between them, and on interfaces of containers of either. test/oracle/compare-pcap is the judge.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DockerLab, type Finished, labMissing, ORACLE } from '../docker-lab/docker-lab.ts'
import { KEEP_RECORDED_PORTS } from '../docker-lab/recorded-packets.ts'

/** Here names are asked by packets on eth0 (DESIGN.md, section 6), there by the loopback. */
const NO_NAMES = 'not host 127.0.0.11'

describe('recorded packets of overlay networks', { skip: labMissing('tcpdump', 'ethtool', 'nsenter', 'etcd') }, () => {
  let lab: DockerLab
  const captures: ChildProcess[] = []

  before(async () => {
    lab = new DockerLab('ovpc', 'netloom', { cluster: true })
    lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--live-restore=false --uplink host'
    await lab.up()
  })
  after(() => lab.down())

  const file = (name: string): string => path.join(lab.folder, `${name}.pcap`)
  const docker = (host: 1 | 2, ...args: string[]): Promise<Finished> => lab.run('docker', ['-H', `unix://${lab.socketOf(host)}`, ...args])
  const ok = async (host: 1 | 2, ...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await docker(host, ...args)
    assert.equal(status, 0, `docker ${args.join(' ')} on host ${host}: ${stderr}`)
    return stdout.trim()
  }
  const sh = (host: 1 | 2, container: string, command: string): Promise<Finished> => docker(host, 'exec', container, 'sh', '-c', command)
  const within = async (host: 1 | 2, container: string): Promise<string> =>
    `--net=/proc/${await ok(host, 'inspect', '-f', '{{.State.Pid}}', container)}/ns/net`
  const run = async (host: 1 | 2, name: string, image: string, network: string, ...options: string[]): Promise<void> => {
    await ok(host, 'run', '-itd', '--name', name, '--net', network, ...KEEP_RECORDED_PORTS, ...options, image)
    await lab.must('nsenter', await within(host, name), 'ethtool', '-K', 'eth0', 'tx', 'off') // so that checksums are finished
  }
  const capture = async (name: string, namespace: string, device: string, filter: string): Promise<void> => {
    const tcpdump = ['tcpdump', '-U', '--immediate-mode', '-s', '0', '-Z', 'root', '-i', device, '-w', file(name), filter]
    const child = spawn('nsenter', [namespace, ...tcpdump], { stdio: ['ignore', 'ignore', 'pipe'] })
    captures.push(child)
    let said = ''
    for await (const text of child.stderr!.iterator({ destroyOnReturn: false })) if ((said += text).includes('listening on')) return
    throw new Error(`tcpdump of ${name}: ${said}`)
  }
  /**
   * Neighbors that this container has heard of are not asked again: else it would do so five seconds after it answered them, which is
   * before the end of a capture or not, as fast as the machine is.
   */
  const asksNoMore = async (host: 1 | 2, container: string): Promise<void> => {
    const setting = 'net.ipv4.neigh.eth0.delay_first_probe_time=1000'
    await lab.must('nsenter', await within(host, container), 'sysctl', '-qw', setting)
  }
  /** What compare-pcap finds different; '' when nothing is. */
  const differences = async (name: string): Promise<string> => {
    const { stdout, stderr } = await lab.run(path.join(ORACLE, 'compare-pcap'), [path.join(ORACLE, `pcaps/${name}.pcap`), file(name)])
    const last = /^(\d+) passed, (\d+) failed$/m.exec(stdout)
    return last !== null && Number(last[1]) > 0 && Number(last[2]) === 0 ? '' : `${name}:\n${stdout}${stderr}`
  }
  /** Ends the captures, named as their recordings, when the last packets are in them: some are sent in their own time. */
  const compare = async (...names: string[]): Promise<void> => {
    await sleep(700) // what should not come has that long to come
    for (const name of names) for (let tries = 0; tries < 120 && (await differences(name)) !== ''; tries++) await sleep(500)
    for (const child of captures.splice(0)) {
      child.kill('SIGINT')
      child.stderr!.resume()
      await once(child, 'close')
    }
    for (const name of names) assert.equal(await differences(name), '')
  }

  test('one network: between the hosts, and in containers of both', async () => {
    const [up0, other] = [`--net=/run/netns/${lab.prefix}1`, '10.0.9.3']
    await ok(1, 'network', 'create', '-d', 'overlay', '--subnet', '10.0.9.0/24', 'multihost')
    await run(1, 'c1', 'tools', 'multihost', '--cap-add', 'NET_ADMIN')
    await run(2, 'c2', 'nginx', 'multihost')
    await run(1, 'c3', 'tools', 'multihost')
    await run(2, 'c4', 'tools', 'multihost')
    // What c3 asks of c1 then is in the recording.
    await asksNoMore(1, 'c1')
    for (const container of ['c2', 'c4']) await asksNoMore(2, container)
    await sleep(500) // what a new interface says of itself
    await capture('vxlan-kv-underlay', up0, 'up0', 'udp port 4789')
    await capture('vxlan-kv-inner', await within(1, 'c1'), 'eth0', NO_NAMES)
    await capture('vxlan-kv-remote', await within(2, 'c4'), 'eth0', `not host ${other} and ${NO_NAMES}`)
    await capture('vxlan-kv-local', await within(1, 'c3'), 'eth0', '')
    for (const command of [
      'ping -c 2 c2',
      'ping -c 1 -s 2000 c2',
      'ping -c 1 -w 2 10.0.9.77',
      'curl -s --local-port 40007 http://c2/',
      'ping -c 1 c3',
      'echo hello | socat -t 1 - UDP-DATAGRAM:10.0.9.255:5000,broadcast,bind=10.0.9.2:40008',
      'echo hello | socat -t 1 - UDP-DATAGRAM:239.1.1.1:5001,bind=10.0.9.2:40009,ip-multicast-if=10.0.9.2',
      // A frame to a MAC address that nobody has.
      '/bin/ip neigh replace 10.0.9.88 lladdr 02:42:0a:00:09:58 dev eth0; ping -c 1 -w 1 10.0.9.88'
    ]) {
      await sh(1, 'c1', command)
    }
    await sh(2, 'c4', 'ping -c 1 c1')
    await compare('vxlan-kv-underlay', 'vxlan-kv-inner', 'vxlan-kv-remote', 'vxlan-kv-local')
  })

  test('a second network has the next VNI', async () => {
    await ok(1, 'network', 'create', '-d', 'overlay', '--subnet', '10.0.10.0/24', 'second')
    await run(1, 'd1', 'busybox', 'second')
    await run(2, 'd2', 'busybox', 'second')
    await asksNoMore(1, 'd1')
    await asksNoMore(2, 'd2')
    await capture('vxlan-kv-second', `--net=/run/netns/${lab.prefix}1`, 'up0', 'udp port 4789')
    await sh(1, 'd1', 'ping -c 1 d2')
    await compare('vxlan-kv-second')
  })
})
