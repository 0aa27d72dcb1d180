/** `netloom capture` and Wireshark's plugin on a real daemon: live pipes, a hundred clients, slow and closed readers, a full disk. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { CaptureStream } from '../../src/capture/capture-stream.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Control } from '../../src/cli/extcap/extcap-answers.ts'
import { encodeToolbarMessage, ToolbarCommand } from '../../src/cli/extcap/toolbar-message.ts'
import { Client } from '../../src/client/client.ts'
import { tsharkCommand, tsharkMissing } from '../cli/extcap-tshark.ts'
import { DaemonProcess, daemonMissing } from '../docker/daemon-process.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
const CLIENTS = 100
/** Of one test: it only ends what hangs. */
const PATIENCE = { timeout: 240_000 }

/** A program with what it has said so far. */
class Running {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly ended: Promise<number | null>
  private wake = (): void => {}

  constructor(command: readonly string[], host: string) {
    this.child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NETLOOM_HOST: host } })
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name]!.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text
        this.wake()
      })
    }
    this.ended = once(this.child, 'close').then(([code]) => {
      this.wake()
      return code as number | null
    })
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.child.exitCode !== null) assert.fail(`it ended with ${this.child.exitCode}:\n${this.stdout}\n${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }
}

describe('captures of a daemon', { skip: daemonMissing('busybox', 'ping', 'tshark') }, () => {
  const daemon = new DaemonProcess()
  const host = `unix://${daemon.socket}`
  const client = new Client(host)
  const file = (name: string): string => path.join(daemon.folder, name)

  const netloom = (...args: string[]): Running => new Running([process.execPath, NETLOOM, ...args], host)
  const shell = (script: string): Running => new Running(['bash', '-c', script], host)
  async function ok(...args: string[]): Promise<string> {
    const running = netloom(...args)
    assert.equal(await running.ended, 0, `${args.join(' ')}: ${running.stderr}`)
    return running.stdout
  }
  /** So many from `web` to `db`, one after the other, each when the one before is answered; how many were. */
  async function ping(count: number): Promise<number> {
    // ping itself waits for its last answer no longer than the others took, and with a deadline sends more than it was told.
    const script = `for i in $(seq ${count}); do ping -c 1 -W 60 192.0.2.3; done`
    const running = netloom('exec', 'web', 'sh', '-c', script)
    await running.ended
    return running.stdout.match(/1 (?:packets )?received/g)?.length ?? 0
  }
  /** One that gets no answer. */
  async function pingInVain(): Promise<void> {
    const running = netloom('exec', 'web', 'ping', '-c', '1', '-W', '1', '192.0.2.3')
    assert.equal(await running.ended, 1)
    assert.match(running.stdout, /\b0 (?:packets )?received/)
  }
  /** Large ones, as they come; how many came back. */
  async function flood(count: number): Promise<number> {
    // Few enough at once for the queues of the machine's own stack, also when it is busy.
    const running = netloom('exec', 'web', 'ping', '-c', String(count), '-i', '0.005', '-W', '1', '-s', '60000', '192.0.2.3')
    await running.ended
    return Number(/(\d+) (?:packets )?received/.exec(running.stdout)?.[1])
  }
  const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))
  const noneRuns = async (): Promise<void> => {
    while ((await client.captures.list()).length > 0) await moment()
  }

  before(async () => {
    await daemon.start()
    await ok('network', 'create', '--subnet', '192.0.2.0/24', 'front')
    await ok('run', '-d', '--name', 'web', '--network', 'front', '--ip', '192.0.2.2', 'box', 'sleep', '1000')
    await ok('run', '-d', '--name', 'db', '--network', 'front', '--ip', '192.0.2.3', 'box', 'sleep', '1000')
    assert.equal(await ping(1), 1)
  })
  afterEach(async () => {
    for (const { id } of await client.captures.list()) await client.captures.stop(id).catch(() => {})
  })
  after(() => daemon.down())

  it('a line a frame, where it comes in, until Ctrl-C', async () => {
    const capture = netloom('capture', 'front', '-f', 'icmp')
    await capture.until(() => capture.stderr.includes('capturing'))
    assert.match(capture.stderr, /^capturing front\/web, front\/db.* \(icmp\); Ctrl-C ends it\n/)
    assert.equal(await ping(2), 2)
    await capture.until(() => capture.stdout.split('\n').length > 4)
    capture.child.kill('SIGINT')
    assert.equal(await capture.ended, 0)
    const said = capture.stdout.split('\n').map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{6} /, '').replace(/id \d+/, 'id N'))
    assert.deepEqual(said.slice(0, 2), [
      'front/web In  IP 192.0.2.2 > 192.0.2.3: ICMP echo request, id N, seq 1, length 64',
      'front/db  In  IP 192.0.2.3 > 192.0.2.2: ICMP echo reply, id N, seq 1, length 64'
    ])
    assert.match(capture.stderr, /\n4 frames captured, 0 dropped, \d+ bytes\n$/)
  })

  it('a live pipe into tshark', PATIENCE, async () => {
    const live = shell(
      `"${process.execPath}" "${NETLOOM}" capture front -f icmp -w - | tshark -l -i - -T fields -e frame.interface_name -e icmp.type; echo "$? \${PIPESTATUS[0]}" >&2`
    )
    await live.until(() => live.stderr.includes('capturing front') && live.stderr.includes('Capturing on'))
    // tshark stays, so what it shows it shows live.
    assert.equal(await ping(2), 2)
    await live.until(() => live.stdout.split('\n').length > 4)
    assert.deepEqual(live.stdout.split('\n').slice(0, 2), ['front/web\t8', 'front/db\t0'])
    for (const { id } of await client.captures.list()) await client.captures.stop(id)
    assert.equal(await live.ended, 0)
  })

  it('a pipe that is closed ends it quietly', PATIENCE, async () => {
    const closed = shell(`"${process.execPath}" "${NETLOOM}" capture -w - | head -c 4 > /dev/null; echo "\${PIPESTATUS[0]}"`)
    // Until it has something to write that the pipe does not take.
    let isOver = false
    void closed.ended.then(() => {
      isOver = true
    })
    while (!isOver) assert.equal(await ping(5), 5)
    assert.equal(await closed.ended, 0)
    assert.equal(closed.stdout, '0\n')
    assert.ok(!/EPIPE|rror/.test(closed.stderr), closed.stderr)
    await noneRuns()
  })

  it('a dropped frame says why', async () => {
    await ok('link', 'set', '--out', 'web', 'loss', '100%')
    const capture = netloom('capture', 'web', '-f', 'icmp', '-c', '2')
    await capture.until(() => capture.stderr.includes('capturing'))
    await pingInVain()
    assert.equal(await capture.ended, 0)
    await ok('link', 'clear', 'web')
    const [passed, dropped] = capture.stdout.split('\n')
    assert.match(passed!, /ICMP echo request, id \d+, seq 1, length 64$/)
    assert.match(dropped!, /ICMP echo request, id \d+, seq 1, length 64 \[dropped at front\/web\/link: netem\.loss: .+\]$/)
  })

  it(`${CLIENTS} clients at once see every frame, and traffic does not mind them`, PATIENCE, async () => {
    const opened = await Promise.all(Array.from({ length: CLIENTS }, () => client.captures.open({ targets: ['front'], filter: 'icmp' })))
    assert.equal((await client.captures.list()).length, CLIENTS)
    const seen = opened.map(async ({ stream }) => {
      const reader = new CaptureStream()
      let frames = 0
      for await (const chunk of stream) for (const _frame of reader.push(chunk as Uint8Array)) frames++
      return frames
    })
    assert.equal(await ping(10), 10)
    while ((await client.captures.list()).some(({ frames }) => frames < 20)) await moment()
    const summaries = await Promise.all(opened.map(({ id }) => client.captures.stop(id)))
    assert.deepEqual(new Set(await Promise.all(seen)), new Set([20]))
    assert.ok(summaries.every(({ frames, dropped }) => frames === 20 && dropped === 0))
    assert.deepEqual(await client.captures.list(), [])
  })

  it('a slow reader loses frames of its own, counted, and nobody else does', PATIENCE, async () => {
    const slow = await client.captures.open({ targets: ['front'] })
    slow.stream.pause()
    const quick = netloom('capture', 'front', '-w', file('quick.pcapng'))
    await quick.until(() => quick.stderr.includes('capturing'))
    // Until there is more than sockets and rings hold for a reader who takes nothing. Each time less than a ring holds, which the quick
    // one has in its file before more comes: also where its process waits for a core, it is not the one that is slow.
    const statusOf = async (isSlow: boolean) => (await client.captures.list()).find(({ id }) => (id === slow.id) === isSlow)!
    do {
      assert.ok((await flood(100)) > 0)
      while (statSync(file('quick.pcapng')).size < (await statusOf(false)).bytes) await moment()
    } while ((await statusOf(true)).dropped === 0)
    quick.child.kill('SIGINT')
    assert.equal(await quick.ended, 0)
    const stopping = client.captures.stop(slow.id)
    const reader = new CaptureStream()
    let frames = 0
    for await (const chunk of slow.stream) for (const _frame of reader.push(chunk as Uint8Array)) frames++
    const summary = await stopping
    assert.equal(frames, summary.frames)
    assert.ok(summary.dropped > 0, JSON.stringify(summary))
    const whole = Array.from(readCapture(file('quick.pcapng'))).length
    const [, droppedByQuick] = / (\d+) dropped/.exec(quick.stderr)!
    assert.equal(droppedByQuick, '0')
    // It began later; what it has not is what came before.
    assert.ok(whole > summary.frames && whole <= summary.frames + summary.dropped + 50, `${whole}, ${JSON.stringify(summary)}`)
  })

  it('a container and its host, recorded at every port, come out of the same elements as they were', PATIENCE, async () => {
    const recording = netloom('capture', '--every-port', '-w', file('recorded.pcapng'))
    await recording.until(() => recording.stderr.includes('capturing'))
    await ok('network', 'create', '--subnet', '198.51.100.0/24', 'back')
    await ok('run', '-d', '--name', 'inner', '--network', 'back', '--network-alias', 'other', 'box', 'sleep', '1000')
    // The host's station on the network answers: its bridge interface.
    await ok('exec', 'inner', 'ping', '-c', '3', '-i', '0.2', '-w', '60', '198.51.100.1')
    await ok('exec', 'inner', 'ping', '-c', '1', 'other')
    recording.child.kill('SIGINT')
    assert.equal(await recording.ended, 0)
    const said = await ok('replay', file('recorded.pcapng'), '--verify')
    assert.match(said, /\nback\/host +(\d+) +\1 +\1 +yes\n/)
    assert.match(said, /\nback\/inner +(\d+) +\1 +\1 +yes\n/)
    assert.match(said, /\nthe same: /)
    await ok('rm', '-f', 'inner')
  })

  it('a full disk ends it with a whole file', PATIENCE, async () => {
    mkdirSync(file('disk'))
    // A disk of 256 KiB in a mount namespace of its own; the file on it is copied out before it goes.
    const script =
      'mount -t tmpfs -o size=256k netloom-test "$1" && "$2" "$3" capture -w "$1/full.pcapng"; code=$?; cp "$1/full.pcapng" "$4"; exit $code'
    const full = new Running(
      ['unshare', '--mount', 'sh', '-c', script, 'sh', file('disk'), process.execPath, NETLOOM, file('full.pcapng')],
      host
    )
    await full.until(() => full.stderr.includes('capturing'))
    const traffic = flood(20)
    assert.equal(await full.ended, 1)
    assert.match(full.stderr, /cannot write the capture file .*full\.pcapng: no space left on the device/)
    const reader = readCapture(file('full.pcapng'))
    assert.ok(Array.from(reader).length > 0 && reader.truncatedAt === undefined)
    await traffic
    await noneRuns()
  })

  it('wrong targets and filters are refused, and nothing runs', async () => {
    for (const [args, told] of [
      [['nobody'], /nobody/],
      [['-f', 'tcp prt 80'], /prt|syntax/],
      [['-f', 'host'], /host|syntax|expected/]
    ] as const) {
      const refused = netloom('capture', ...args)
      assert.equal(await refused.ended, 1)
      assert.match(refused.stderr, told)
    }
    assert.deepEqual(await client.captures.list(), [])
  })

  it("tshark lists the daemon's networks and captures on one", { ...PATIENCE, skip: tsharkMissing() }, async () => {
    await ok('wireshark', 'install', '--dir', file('extcap'))
    const tshark = (...args: string[]): Running =>
      new Running(['env', `WIRESHARK_EXTCAP_DIR=${file('extcap')}`, ...tsharkCommand(file('extcap')), ...args], host)
    const listing = tshark('-D')
    assert.equal(await listing.ended, 0, listing.stderr)
    for (const name of ['all', 'front', 'front/web', 'front/db']) assert.match(listing.stdout, new RegExp(`^\\d+\\. netloom:${name} `, 'm'))
    const capture = tshark(
      '-i',
      'netloom:front/web',
      '-f',
      'icmp',
      '-c',
      '2',
      '-T',
      'fields',
      '-e',
      'frame.interface_name',
      '-e',
      'ip.src_host',
      '-N',
      'nN'
    )
    while ((await client.captures.list()).length === 0) await moment()
    assert.equal(await ping(2), 2)
    assert.equal(await capture.ended, 0, capture.stderr)
    assert.equal(capture.stdout, 'front/web\tweb.front\nfront/web\tdb.front\n')
  })

  it("Wireshark's plugin: listed, captured on, its toolbar shapes the link", PATIENCE, async () => {
    const asked = await ok('extcap', '--extcap-interfaces')
    for (const name of ['all', 'front', 'front/web', 'front/db']) assert.ok(asked.includes(`{value=netloom:${name}}`), asked)
    for (const pipe of ['in', 'out']) assert.equal(spawnSync('mkfifo', [file(pipe)]).status, 0)
    const args = ['--fifo', file('extcap.pcapng'), '--extcap-control-in', file('in'), '--extcap-control-out', file('out')]
    const capture = netloom('extcap', '--capture', '--extcap-interface', 'netloom:front/web', '--extcap-capture-filter', 'icmp', ...args)
    const say = (control: number, command: number, payload = ''): void => {
      const message = encodeToolbarMessage({ control, command, payload })
      assert.equal(spawnSync('sh', ['-c', `cat > "${file('in')}"`], { input: message, timeout: 120_000 }).status, 0)
    }
    say(0, ToolbarCommand.initialized)
    say(Control.loss, ToolbarCommand.set, '100%')
    while ((await client.links.list()).every(({ out }) => out !== 'loss 100%')) await moment()
    await pingInVain()
    say(Control.clear, ToolbarCommand.set)
    while ((await client.links.list()).some(({ out }) => out !== '')) await moment()
    assert.equal(await ping(1), 1)
    capture.child.kill('SIGTERM')
    assert.equal(await capture.ended, 0)
    assert.equal(capture.stderr, '')
    assert.ok(existsSync(file('extcap.pcapng')) && Array.from(readCapture(readFileSync(file('extcap.pcapng')))).length >= 2)
  })
})
