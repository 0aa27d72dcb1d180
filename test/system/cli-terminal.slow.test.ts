/** Our own commands on a terminal (script(1)'s), signals to them, and endpoints for processes that somebody else started. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkResource } from '../../src/api/network-json.ts'
import { DaemonProcess, daemonMissing } from '../docker/daemon-process.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
const DETACH = '\x10\x11'

/** A command on a terminal of 24 rows and 80 columns. */
class Terminal {
  readonly child: ChildProcess
  shown = ''
  private readonly ended: Promise<number>

  constructor(command: string, env: NodeJS.ProcessEnv) {
    this.child = spawn('script', ['-qfec', `stty rows 24 cols 80; exec ${command}`, '/dev/null'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit']
    })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are driven by them
      this.shown += text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '')
    })
    // With all that was shown: it is judged after the end, too.
    this.ended = once(this.child, 'close').then(([status]) => status as number)
  }

  press(keys: string): void {
    this.child.stdin!.write(keys)
  }

  /** Waits until a text that fits has been shown. */
  async until(pattern: RegExp): Promise<void> {
    for (let tries = 0; tries < 1200; tries++) {
      if (pattern.test(this.shown)) return
      await sleep(50)
    }
    throw new Error(`${pattern} was not shown: ${JSON.stringify(this.shown)}`)
  }

  /** Of a shell that was there before: a prompt, which it shows when it is asked. */
  async prompt(pattern: RegExp): Promise<void> {
    for (let tries = 0; tries < 60 && !pattern.test(this.shown); tries++) {
      this.press('\r')
      for (let looks = 0; looks < 20 && !pattern.test(this.shown); looks++) await sleep(50)
    }
    await this.until(pattern)
  }

  async end(): Promise<number> {
    const late = globalThis.setTimeout(() => this.child.kill('SIGKILL'), 120_000)
    const status = await this.ended
    clearTimeout(late)
    return status
  }
}

describe('netloom on a terminal', { skip: daemonMissing('script', 'busybox', 'ip', 'ping') }, () => {
  const daemon = new DaemonProcess()
  let folder: string
  let env: NodeJS.ProcessEnv
  const terminal = (command: string): Terminal => new Terminal(`${process.execPath} ${NETLOOM} ${command}`, env)
  const netloom = (...words: string[]): { status: number | null; out: string; err: string } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [NETLOOM, ...words], { env, encoding: 'utf8', timeout: 120_000 })
    return { status, out: stdout.trimEnd(), err: stderr.trimEnd() }
  }

  before(async () => {
    await daemon.start()
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-cli-'))
    env = { ...process.env, NETLOOM_HOST: `unix://${daemon.socket}`, TERM: 'xterm', HOME: folder }
    netloom('network', 'create', '--subnet', '192.0.2.0/24', 'front')
  })
  after(async () => {
    await daemon.down()
    rmSync(folder, { recursive: true, force: true })
  })

  it('run -it: a shell with the size of the terminal, and its exit code', async () => {
    const shell = terminal("run -it --rm --net none -e PS1='ready> ' box busybox sh")
    await shell.until(/ready> $/)
    // The size is told when it has started, as by Docker's client.
    shell.press('while [ "$(stty size)" != "24 80" ]; do sleep 0.1; done; stty size; tty; exit 5\r')
    assert.equal(await shell.end(), 5)
    assert.match(shell.shown, /24 80\n\/dev\/pts\/\d/)
  })

  it('Ctrl-P Ctrl-Q leaves it running; attach comes back, exec -it goes in beside it', async () => {
    const shell = terminal("run -it --name kept --net none -e PS1='ready> ' box busybox sh")
    await shell.until(/ready> $/)
    shell.press(DETACH)
    assert.equal(await shell.end(), 0)
    assert.equal(netloom('inspect', '-f', '{{.State.Running}}', 'kept').out, 'true')

    const beside = terminal('exec -it kept busybox sh -c "stty size; exit 6"')
    assert.equal(await beside.end(), 6)
    assert.match(beside.shown, /24 80/)

    const again = terminal('attach kept')
    await again.prompt(/ready> $/)
    again.press('echo ba\\ck\r')
    await again.until(/\nback\n/)
    again.press('exit 3\r')
    assert.equal(await again.end(), 3)
    assert.equal(netloom('attach', 'kept').err, 'You cannot attach to a stopped container, start it first')
    netloom('rm', 'kept')
  })

  it('other detach keys; a beginning of them that goes on otherwise is typed', async () => {
    const shell = terminal("run -it --name keys --net none --detach-keys x,y -e PS1='ready> ' box busybox sh")
    await shell.until(/ready> $/)
    shell.press('echo fo')
    shell.press('xz\r')
    await shell.until(/\nfoxz\n/)
    shell.press('xy')
    assert.equal(await shell.end(), 0)
    netloom('rm', '-f', 'keys')
  })

  it('a signal to the command is a signal to the container', async () => {
    const child = spawn(
      process.execPath,
      [NETLOOM, 'run', '--rm', '--net', 'none', 'box', 'sh', '-c', 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done'],
      {
        env,
        stdio: ['ignore', 'pipe', 'inherit']
      }
    )
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [status] = await once(child, 'exit')
    assert.equal(status, 9)
  })

  it('a signal to a command with --sig-proxy=false is not, and the container runs on', { timeout: 120_000 }, async () => {
    const loop = ['box', 'sh', '-c', 'trap "exit 9" TERM; echo up; while :; do echo on; sleep 0.1; done']
    for (const words of [
      ['run', '--sig-proxy=false', '--name', 'deaf', '--net', 'none', ...loop],
      ['attach', '--sig-proxy=false', 'deaf']
    ]) {
      const child = spawn(process.execPath, [NETLOOM, ...words], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM'], words.join(' '))
      assert.equal(netloom('inspect', '-f', '{{.State.Status}}', 'deaf').out, 'running', words.join(' '))
    }
    // And the signal that is passed on, by attach.
    const child = spawn(process.execPath, [NETLOOM, 'attach', 'deaf'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [9, null])
    netloom('rm', '-f', 'deaf')
  })

  it('logs -f follows until the end', async () => {
    netloom('run', '-d', '--name', 'talker', '--net', 'none', 'box', 'sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.2; done')
    assert.equal(netloom('logs', '-f', 'talker').out, '1\n2\n3')
    netloom('rm', 'talker')
  })

  it('attach: a process of somebody else is on a network of the daemon, seen by inspect and by name', async () => {
    const foreign = spawn('unshare', ['--net', 'sh', '-c', 'echo there; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(foreign.stdout, 'data')
      netloom('run', '-d', '--name', 'inside', '--network', 'front', 'box', 'sleep', '1000')
      const { status, out, err } = netloom('attach', 'front', '--pid', String(foreign.pid), '--name', 'guest', '--ip', '192.0.2.40')
      assert.equal(status, 0, err)
      assert.match(out, /^guest is on network front: eth0 192\.0\.2\.40 02:42:c0:00:02:28\n/)
      const [network] = JSON.parse(netloom('network', 'inspect', 'front').out) as NetworkResource[]
      const guest = Object.entries(network!.Containers).find(([, { Name }]) => Name === 'guest')
      assert.match(guest![0], /^ep-[a-f0-9]{64}$/)
      assert.equal(guest![1].IPv4Address, '192.0.2.40/24')
      assert.equal(netloom('exec', 'inside', 'ping', '-c', '1', '-w', '30', 'guest').status, 0)
      assert.equal(netloom('attach', 'front', '--pid', '1', '--subnet', '192.0.2.0/24').status, 2)
      assert.equal(netloom('attach', 'nowhere', '--pid', String(foreign.pid)).err, 'Error response from daemon: network nowhere not found')
      assert.deepEqual(netloom('detach', 'front', 'guest'), { status: 0, out: '', err: '' })
      assert.equal(netloom('network', 'inspect', '-f', '{{len .Containers}}', 'front').out, '1')
    } finally {
      foreign.kill('SIGKILL')
      netloom('rm', '-f', 'inside')
    }
  })
})
