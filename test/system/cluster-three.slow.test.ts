// Three daemons and an etcd of three members, each a process in a namespace of its own on one LAN: what is killed, cut off and started
// again leaves the others' traffic alone, loses nothing that was acknowledged and gives no address twice.
// NETLOOM_FUZZ=long: the store is cut off for a minute.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sleep } from '../../src/engine/clock.ts'
import { DaemonProcess, docker } from './daemon-process.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const CUT_MS = process.env['NETLOOM_FUZZ'] === 'long' ? 60_000 : 8000
const STORE = [1, 2, 3].map((number) => `192.0.2.2${number}`)

describe('three daemons and three members of etcd', { skip: namespacesMissing('docker', 'ip', 'bridge', 'etcd', 'ping') }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-three-'))
  const lan = new TestNamespace()
  const hosts = STORE.map(() => new TestNamespace())
  const stores = STORE.map(() => new TestNamespace())
  const daemons: DaemonProcess[] = []
  const members: ChildProcess[] = []
  const socket = (number: number): string => path.join(folder, `d${number}.sock`)
  const on = (number: number, ...args: string[]): string => docker(socket(number), ...args)

  const plug = (namespace: TestNamespace, name: string, address: string): void => {
    lan.run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'up0', 'netns', namespace.path)
    lan.run('ip', 'link', 'set', name, 'master', 'br0', 'up')
    namespace.run('ip', 'addr', 'add', `${address}/24`, 'dev', 'up0')
    for (const link of ['lo', 'up0']) namespace.run('ip', 'link', 'set', link, 'up')
    namespace.run('ip', 'route', 'add', 'default', 'via', '192.0.2.1')
  }
  const startMember = (number: number): void => {
    const at = STORE[number - 1]
    const all = STORE.map((address, index) => `m${index + 1}=http://${address}:2380`).join(',')
    members[number - 1] = stores[number - 1].start(
      'etcd',
      ...['--name', `m${number}`, '--data-dir', path.join(folder, `etcd${number}`), '--log-level', 'error', '--unsafe-no-fsync'],
      ...['--listen-client-urls', `http://${at}:2379`, '--advertise-client-urls', `http://${at}:2379`],
      ...['--listen-peer-urls', `http://${at}:2380`, '--initial-advertise-peer-urls', `http://${at}:2380`, '--initial-cluster', all]
    )
    members[number - 1].stderr?.resume()
    members[number - 1].stdout?.resume()
  }
  const startDaemon = async (number: number): Promise<void> => {
    const daemon = new DaemonProcess(hosts[number - 1], [
      ...['--host', `unix://${socket(number)}`, '--state-dir', path.join(folder, `state${number}`)],
      ...['--cluster-store', `etcd://${STORE.map((address) => `${address}:2379`).join(',')}/three`],
      ...['--cluster-advertise', `192.0.2.1${number}:2376`, '--underlay', 'udp']
    ])
    daemons[number - 1] = daemon
    await daemon.ready()
  }
  /** What must become so; the limit only keeps a failing test from hanging. */
  const eventually = async (what: string, isSo: () => boolean): Promise<void> => {
    for (let tries = 0; ; tries++) {
      try {
        if (isSo()) return
      } catch (error) {
        if (tries === 150) throw error
      }
      if (tries === 150) assert.fail(`never: ${what}`)
      await sleep(200)
    }
  }
  const reaches = (number: number, from: string, to: string): boolean => {
    const answer = on(number, 'exec', from, 'sh', '-c', `ping -c 1 -W 1 -w 2 ${to} 2>&1 || true`)
    return / 0% packet loss/.test(answer)
  }
  /** Runs a container as soon as that is possible; one that is refused stays behind as created. */
  const runSoon = (number: number, name: string): Promise<void> =>
    eventually(`${name} runs`, () => {
      try {
        return on(number, 'run', '-d', '--name', name, '--net', 'net', 'alpine', 'sleep', '10000') !== ''
      } catch (error) {
        on(number, 'rm', '-f', name)
        throw error
      }
    })
  const addresses = (number: number): string[] =>
    on(number, 'network', 'inspect', '-f', '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{"\\n"}}{{end}}', 'net')
      .split('\n')
      .filter((line) => line !== '')
      .sort()

  before(async () => {
    lan.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    lan.run('ip', 'link', 'set', 'br0', 'up')
    for (const number of [1, 2, 3]) {
      plug(hosts[number - 1], `d${number}`, `192.0.2.1${number}`)
      plug(stores[number - 1], `s${number}`, STORE[number - 1])
      startMember(number)
    }
    for (const number of [1, 2, 3]) await startDaemon(number)
    await eventually('the store answers', () => on(1, 'network', 'create', '-d', 'overlay', '--subnet', '10.9.0.0/24', 'net') !== '')
    for (const number of [1, 2, 3]) on(number, 'run', '-d', '--name', `c${number}`, '--net', 'net', 'alpine', 'sleep', '10000')
  })
  after(async () => {
    for (const [index, daemon] of daemons.entries()) {
      const names = on(index + 1, 'ps', '-aq')
        .split('\n')
        .filter(Boolean)
      if (names.length > 0) on(index + 1, 'rm', '-f', ...names)
      await daemon.stop()
    }
    for (const member of members) member.kill('SIGKILL')
    for (const namespace of [...hosts, ...stores, lan]) namespace.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('names and pings across all; then deaths, a cut and returns, under traffic that never stops', async () => {
    for (const from of [1, 2, 3]) {
      for (const to of [1, 2, 3]) if (from !== to) await eventually(`c${from} reaches c${to}`, () => reaches(from, `c${from}`, `c${to}`))
    }
    const acknowledged = addresses(1)
    assert.equal(acknowledged.length, 3)

    // Between two that live, all the time.
    const ping = spawn('docker', ['-H', `unix://${socket(1)}`, 'exec', 'c1', 'ping', '-i', '0.2', 'c2'], {
      stdio: ['ignore', 'pipe', 'ignore']
    })
    let replies: number[] = []
    ping.stdout.setEncoding('utf8').on('data', (text: string) => {
      replies = replies.concat(Array.from(text.matchAll(/(?:icmp_)?seq=(\d+)/g), (match) => Number(match[1])))
    })

    members[0].kill('SIGKILL')
    await runSoon(2, 'c4')
    assert.ok(reaches(1, 'c1', 'c4'))
    startMember(1)

    daemons[2].signal('SIGKILL')
    await daemons[2].ended
    await eventually('c3 has no name any more', () =>
      /bad address|not known|resolution/i.test(on(1, 'exec', 'c1', 'sh', '-c', 'ping -c 1 -W 1 c3 2>&1 || true'))
    )
    assert.deepEqual(
      addresses(1).filter((line) => line.startsWith('c3 ')),
      acknowledged.filter((line) => line.startsWith('c3 '))
    )
    assert.throws(
      () => on(1, 'run', '-d', '--name', 'c3', '--net', 'net', 'alpine', 'sleep', '10000'),
      /endpoint with name c3 already exists/
    )
    on(1, 'rm', '-f', 'c3')
    await startDaemon(3)
    await eventually('c3 is back', () => reaches(1, 'c1', 'c3'))

    for (const number of [1, 2, 3]) lan.run('ip', 'link', 'set', `s${number}`, 'down')
    await sleep(CUT_MS)
    assert.ok(reaches(1, 'c1', 'c2') && reaches(3, 'c3', 'c1'), 'what runs goes on without the store')
    assert.throws(() => on(2, 'network', 'create', '-d', 'overlay', 'lost'))
    for (const number of [1, 2, 3]) lan.run('ip', 'link', 'set', `s${number}`, 'up')
    await runSoon(3, 'c5')
    await eventually('c5 is reached', () => reaches(1, 'c1', 'c5'))

    for (const number of [1, 2, 3]) {
      const found = addresses(number)
      for (const line of acknowledged) assert.ok(found.includes(line), `${line} is in ${found}`)
      assert.equal(found.length, 5)
      assert.equal(new Set(found.map((line) => line.split(' ')[1])).size, 5, `an address twice: ${found}`)
    }
    ping.kill('SIGINT')
    const sent = replies.at(-1)! - replies[0] + 1
    assert.ok(replies.length > 20 && sent - replies.length <= 2, `${sent - replies.length} of ${sent} replies are missing`)
  })
})
