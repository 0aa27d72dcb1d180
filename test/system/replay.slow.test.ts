/** `netloom replay` against a daemon: captures of other programs reach real containers, whose kernels judge them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DaemonProcess, daemonMissing, type Finished, until } from '../docker/daemon-process.ts'
import { datagramCapture } from '../replay/datagram-capture.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
describe('captures played into the ports of containers', { skip: daemonMissing('busybox') }, () => {
  const daemon = new DaemonProcess()
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-replay-'))
  const small = path.join(folder, 'small.pcap')
  const large = path.join(folder, 'large.pcap')
  const MAP = ['--map', '10.0.0.1=192.0.2.2', '--map', '10.0.0.2=192.0.2.3']

  async function run(args: readonly string[], input?: string): Promise<Finished> {
    const host = `unix://${daemon.socket}`
    const stdin = input === undefined ? 'ignore' : 'pipe'
    const child = spawn(process.execPath, ['--', NETLOOM, ...args], {
      env: { ...process.env, NETLOOM_HOST: host },
      stdio: [stdin, 'pipe', 'pipe']
    })
    if (input !== undefined) createReadStream(input).pipe(child.stdin!)
    let [stdout, stderr] = ['', '']
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const [status] = (await once(child, 'close')) as [number]
    return { status, stdout, stderr }
  }
  const ok = async (args: readonly string[], input?: string): Promise<string> => {
    const { status, stdout, stderr } = await run(args, input)
    assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  const replay = (file: string, ...args: string[]): string[] => ['replay', file, '--into', 'web', ...args]
  /** What the kernel of `db` has counted of UDP: datagrams to a closed port were good ones. */
  const udp = async (): Promise<{ good: number; bad: number }> => {
    const [names, values] = (await ok(['exec', 'db', 'cat', '/proc/net/snmp']))
      .split('\n')
      .filter((line) => line.startsWith('Udp:'))
      .map((line) => line.split(' '))
    const value = (name: string): number => Number(values![names!.indexOf(name)])
    return { good: value('NoPorts'), bad: value('InCsumErrors') + value('InErrors') }
  }

  before(async () => {
    writeFileSync(small, datagramCapture(50))
    writeFileSync(large, datagramCapture(20_000))
    await daemon.start()
    await ok(['network', 'create', '--subnet', '192.0.2.0/24', 'front'])
    for (const name of ['web', 'db']) await ok(['run', '-d', '--name', name, '--network', 'front', 'box', 'sleep', '1000'])
  })
  after(async () => {
    await daemon.down()
    rmSync(folder, { recursive: true })
  })

  it('under the addresses of the network, from a file and from standard input', async () => {
    // Once, so that the bridge knows where everybody is: copies that it floods are dropped elsewhere.
    const first = await udp()
    await ok([...replay(small), ...MAP])
    await until('all have come', async () => (await udp()).good >= first.good + 50)
    const before = await udp()
    assert.deepEqual(JSON.parse(await ok([...replay(small), ...MAP, '--json'])), { sent: 50, bytes: 50 * 74, refused: {}, dropped: {} })
    const text = await ok([...replay('-', '--speed', '10'), ...MAP], small)
    assert.equal(text, '50 frames (3.7kB) sent into web, 0 refused, 0 dropped\n')
    // The last ones may be on their way.
    await until('all have come', async () => (await udp()).good >= before.good + 100)
    assert.deepEqual(await udp(), { good: before.good + 100, bad: before.bad })
  })

  it('as fast as possible, over and over: nothing is lost on the way, and all are told apart by their reasons', async () => {
    const before = await udp()
    const text = await ok([...replay(large, '--as-fast-as-possible', '--loop', '3'), ...MAP])
    assert.match(text, /^replay: .*\n(.*\n)*60000 frames \(4\.44MB\) sent into web, 0 refused, 0 dropped\n$/)
    await until('most have come', async () => (await udp()).good - before.good > 30_000)
    const { good, bad } = await udp()
    // The kernel's own queue may be full now and then.
    assert.ok(good - before.good > 30_000 && bad === before.bad, `${good - before.good} arrived`)
  })

  it('frames from foreign addresses end at the filter, which is told', async () => {
    const { status, stdout } = await run(replay(small, '--limit', '7'))
    assert.equal(status, 0)
    assert.match(stdout, /^7 frames \(518B\) sent into web, 0 refused, 7 dropped\n {2}dropped 7: filter\.\w+\. [A-Z].*\.\n$/m)
  })

  it('what cannot be is told', async () => {
    const page = path.join(folder, 'page.html')
    writeFileSync(page, '<!doctype html><title>no capture</title>')
    const cut = path.join(folder, 'cut.pcap')
    const bytes = datagramCapture(3)
    for (let at = 24; at < bytes.length; at += 16 + 60) bytes.writeUInt32LE(1500, at + 12)
    writeFileSync(cut, bytes)
    for (const [args, message, status] of [
      [replay(page), /neither pcap nor pcapng: it begins with 3c 21 64 6f/, 1],
      [replay(path.join(folder, 'none.pcap')), /none\.pcap: .*ENOENT/, 1],
      [replay(cut), /no frame of the capture could be sent\n.*3: cut by the snap length/, 1],
      [['replay', small, '--into', 'nobody'], /no endpoint is called nobody/, 1],
      [replay(small, '--map', '10.0.0.1=web'), /'web' is no MAC, no IPv4 or IPv6 address/, 1],
      [replay(small, '--interface', 'eth7'), /the capture has no interface eth7/, 1],
      [replay(small, '--speed', 'fast'), /--speed 'fast' is no number above 0/, 2],
      [replay(small, '--speed', '2', '--as-fast-as-possible'), /contradict each other/, 2],
      [replay('-', '--loop', '2'), /--loop needs a file/, 2],
      [['replay', small], /--into/, 2]
    ] as const) {
      const ran = await run(args)
      assert.match(ran.stderr, message)
      assert.equal(ran.status, status, ran.stderr)
    }
  })

  it('who goes away ends his replay, and the daemon goes on', async () => {
    const host = `unix://${daemon.socket}`
    const slow = spawn(process.execPath, ['--', NETLOOM, ...replay(large, '--speed', '0.001'), ...MAP], {
      env: { ...process.env, NETLOOM_HOST: host },
      stdio: 'ignore'
    })
    // Until frames come in.
    const before = await udp()
    while ((await udp()).good === before.good) assert.equal(slow.exitCode, null)
    slow.kill('SIGKILL')
    await once(slow, 'close')
    assert.equal((JSON.parse(await ok([...replay(small), ...MAP, '--json'])) as { sent: number }).sent, 50)
    await ok(['rm', '-f', 'web'])
    assert.doesNotMatch(daemon.log, /error/i)
  })
})
