/** `netloom trace` of a daemon's containers: real TAPs, NAT and names, and Ctrl-C. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { FrameWalk } from '../../src/api/trace-json.ts'
import { DaemonProcess, daemonMissing } from '../docker/daemon-process.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')

describe('traces of containers', { skip: daemonMissing('busybox', 'ping') }, () => {
  const daemon = new DaemonProcess()

  class Running {
    stdout = ''
    stderr = ''
    readonly child: ReturnType<typeof spawn>
    readonly ended: Promise<number | null>

    constructor(...args: string[]) {
      const host = `unix://${daemon.socket}`
      this.child = spawn(process.execPath, ['--', NETLOOM, ...args], { env: { ...process.env, NETLOOM_HOST: host }, timeout: 180_000 })
      this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
      this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
      this.ended = once(this.child, 'close').then(([code]) => code as number | null)
    }
  }

  const ok = async (...args: string[]): Promise<string> => {
    const running = new Running(...args)
    assert.equal(await running.ended, 0, `netloom ${args.join(' ')}: ${running.stderr}`)
    return running.stdout.trim()
  }

  before(async () => {
    await daemon.start()
    await ok('network', 'create', '--subnet', '192.0.2.0/24', 'front')
    for (const name of ['web', 'db']) await ok('run', '-d', '--name', name, '--network', 'front', 'box', 'sleep', '1000')
    await ok('exec', '-d', 'web', 'ping', '-i', '0.2', 'db')
  })
  after(() => daemon.down())

  /** The walks of one frame, by their elements. */
  const walk = async (...args: string[]): Promise<FrameWalk> => {
    const { frames } = JSON.parse(await ok('trace', '-n', '1', '--timeout', '120', '--json', ...args)) as { frames: FrameWalk[] }
    assert.equal(frames.length, 1)
    return frames[0]
  }

  it('from TAP to TAP', async () => {
    const { frame, steps } = await walk('web', '-f', 'icmp')
    assert.match(frame, /^IP 192\.0\.2\.2 > 192\.0\.2\.3: ICMP echo request/)
    assert.deepEqual(
      [steps[0].element, steps[0].text, steps.at(-1)!.element, steps.at(-1)!.text],
      ['front/web', 'enters', 'front/db', 'write to tap db/eth0']
    )
    assert.ok(steps.some(({ element, text }) => element === 'front/bridge' && text.startsWith('forward ')))
  })

  it('a question to 127.0.0.11', async () => {
    await ok('exec', '-d', 'db', 'sh', '-c', 'while :; do ping -c 1 -W 1 web; sleep 0.3; done')
    const { steps } = await walk('db', '--filter', 'udp dst port 53')
    assert.deepEqual([steps.at(-1)!.element, steps.at(-1)!.text], ['dns', 'answered'])
  })

  it('Ctrl-C ends it and prints what was seen', async () => {
    const running = new Running('trace', 'front', '-f', 'icmp', '-n', '5000')
    let isOver = false
    running.child.stdout!.on('data', () => {
      // Once: the second Ctrl-C ends a command at once.
      if (isOver || !running.stdout.includes('write to tap')) return
      isOver = true
      running.child.kill('SIGINT')
    })
    assert.equal(await running.ended, 0)
    assert.match(running.stdout, /^frame 1, packet \d+: IP 192\.0\.2\./)
    assert.match(running.stderr, /^\d+ of 5000 frames seen$/m)
  })

  it('what cannot be is told', async () => {
    for (const [args, message] of [
      [['nobody'], /nothing is called nobody: no network, no endpoint and no element/],
      [['-f', 'tcp and'], /filter/]
    ] as const) {
      const running = new Running('trace', ...args)
      assert.equal(await running.ended, 1)
      assert.match(running.stderr, message)
    }
    assert.equal((await daemon.api('POST', '/netloom/trace', '{"count":1,"filter":"port"}')).status, 400)
    assert.equal((await daemon.api('POST', '/netloom/trace', '{"count":-1}')).status, 400)
    assert.equal((await daemon.api('POST', '/netloom/trace', '{"count":"many"}')).status, 400)
  })
})
