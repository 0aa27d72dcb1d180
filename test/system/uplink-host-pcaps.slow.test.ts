// The packets that Docker's recordings show (test/oracle/pcaps), made by the same commands with `--uplink host`: masquerade on both
// sides, a source port that two want, published ports, ICMP errors. test/oracle/compare-pcap is the judge.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DockerLab, labMissing, ORACLE } from '../docker-lab/docker-lab.ts'

const GATEWAY_MAC = Buffer.from('02420a2c0001', 'hex')
/** Any that is not made from an address: Docker draws the gateways' of user-defined networks, ours follow from the address. */
const DRAWN_MAC = Buffer.from('024270000001', 'hex')

describe('recorded packets with the uplink host', { skip: labMissing('tcpdump', 'ethtool', 'nsenter') }, () => {
  let lab: DockerLab
  const captures: { child: ChildProcess; name: string }[] = []

  before(async () => {
    lab = new DockerLab('pcap')
    lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--live-restore=false --uplink host'
    await lab.up()
  })
  after(() => lab.down())
  beforeEach(async () => {
    await lab.reset()
    await lab.ok('network', 'create', '--subnet', '10.44.0.0/24', 'net')
  })

  const file = (name: string): string => path.join(lab.folder, `${name}.pcap`)
  const host = (...command: string[]): [string, string[]] => ['nsenter', [`--net=/run/netns/${lab.prefix}1`, ...command]]
  const within = async (container: string, ...command: string[]): Promise<[string, string[]]> => {
    const pid = await lab.ok('inspect', '-f', '{{.State.Pid}}', container)
    return ['nsenter', [`--net=/proc/${pid}/ns/net`, ...command]]
  }
  const tcpdump = (name: string, device: string, filter: string): string[] => {
    return ['tcpdump', '-U', '--immediate-mode', '-s', '0', '-Z', 'root', '-i', device, '-w', file(name), filter]
  }
  const capture = async (name: string, [command, args]: [string, string[]]): Promise<void> => {
    const child = spawn(command, args, { env: { ...process.env, ...lab.environment }, stdio: ['ignore', 'ignore', 'pipe'] })
    captures.push({ child, name })
    let said = ''
    for await (const text of child.stderr.iterator({ destroyOnReturn: false })) if ((said += text).includes('listening on')) return
    throw new Error(`tcpdump of ${name}: ${said}`)
  }
  /** Ends the captures when the last packets are in them. */
  const done = async (): Promise<void> => {
    await sleep(700)
    for (const { child } of captures.splice(0)) {
      child.kill('SIGINT')
      child.stderr!.resume()
      await once(child, 'close')
    }
  }
  const compare = async (name: string, differs: readonly string[] = []): Promise<void> => {
    const { stdout, stderr } = await lab.run(path.join(ORACLE, 'compare-pcap'), [path.join(ORACLE, `pcaps/${name}.pcap`), file(name)])
    const flows = (word: string): string[] =>
      [...stdout.matchAll(new RegExp(`^${word} +(.*?)(?: \\(\\d+ lines\\))?$`, 'gm'))].map(([, flow]) => flow)
    assert.deepEqual(flows('FAIL'), differs, stdout + stderr)
    assert.ok(flows('ok').length > 0, stdout + stderr)
  }
  const run = async (name: string, image: string, ...options: string[]): Promise<void> => {
    await lab.ok('run', '-itd', '--name', name, '--net', 'net', ...options, image)
    await lab.run(...(await within(name, 'ethtool', '-K', 'eth0', 'tx', 'off'))) // so that checksums are finished
  }
  /** Commands in a container; some are meant to fail. */
  const sh = (container: string, ...commands: string[]): Promise<unknown> => lab.docker('exec', container, 'sh', '-c', commands.join('; '))
  const outside = (...command: string[]): Promise<unknown> => lab.run('nsenter', [`--net=/run/netns/${lab.prefix}out`, ...command])

  test('masquerade, before and after', async () => {
    await run('aa', 'tools')
    await capture('masquerade-before', await within('aa', ...tcpdump('masquerade-before', 'eth0', 'host 10.44.0.2 and not arp')))
    await capture('masquerade-after', host(...tcpdump('masquerade-after', 'up0', 'host 192.0.2.50 and not arp')))
    await sh(
      'aa',
      'ping -c 2 198.51.100.10',
      'curl -s --local-port 40001 http://198.51.100.10/',
      'echo hello | socat -t 1 - UDP:198.51.100.10:7777,sourceport=40002',
      'nc -w 2 192.0.2.60 9 </dev/null',
      'echo x | socat -t 1 - UDP:192.0.2.60:9'
    )
    await done()
    await compare('masquerade-before')
    await compare('masquerade-after')
  })

  test('a source port that two containers want', async () => {
    await run('aa', 'tools')
    await run('bb', 'tools')
    await capture('masquerade-collision', host(...tcpdump('masquerade-collision', 'up0', 'tcp port 80 or icmp')))
    const first = sh('aa', 'sleep 3 | socat -t 2 - TCP:198.51.100.10:80,sourceport=40003')
    await sleep(1000)
    await sh('bb', 'curl -s --local-port 40003 http://198.51.100.10/')
    await first
    await sh('aa', 'ping -c 1 192.0.2.60')
    await done()
    await compare('masquerade-collision')
  })

  test('a published port, on both sides; one that is not', async () => {
    await run('ww', 'nginx', '-p', '8080:80')
    await capture('published-outside', host(...tcpdump('published-outside', 'up0', 'tcp port 8080')))
    await capture('published-inside', await within('ww', ...tcpdump('published-inside', 'eth0', 'tcp port 80 or tcp port 8080')))
    await outside('curl', '-s', '--local-port', '40004', 'http://192.0.2.50:8080/')
    await done()
    await capture('published-closed', host(...tcpdump('published-closed', 'up0', 'tcp or icmp')))
    await outside('curl', '-s', '-m', '1', 'http://192.0.2.50:8081/')
    await done()
    for (const name of ['published-outside', 'published-inside', 'published-closed']) await compare(name)
  })

  test('ICMP errors', async () => {
    await run('aa', 'tools')
    await capture('icmp-errors', await within('aa', ...tcpdump('icmp-errors', 'eth0', 'icmp or udp')))
    await sh(
      'aa',
      'ping -c 1 -t 1 198.51.100.10',
      'ping -c 1 -w 4 192.0.2.99',
      'ping -c 1 -w 2 203.0.113.9',
      'echo x | socat -t 1 - UDP:10.44.0.1:9',
      'ping -c 1 -s 4000 192.0.2.60',
      'traceroute -n -m 3 -q 1 -w 1 198.51.100.10'
    )
    await done()
    writeFileSync(file('icmp-errors'), replaceAll(readFileSync(file('icmp-errors')), GATEWAY_MAC, DRAWN_MAC))
    // The recording host's bridge shows the fragments of the long request put together (test/oracle/pcaps/README.md).
    await compare('icmp-errors', ['icmp echo ip 10.44.0.2 <> 192.0.2.60 #1'])
  })
})

function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + to.length)) to.copy(bytes, at)
  return bytes
}
