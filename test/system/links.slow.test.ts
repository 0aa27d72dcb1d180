/** Emulated links of containers: by `netloom link`, by options of docker's client, over a restart of the daemon. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { LinkRow } from '../../src/api/link-json.ts'
import { DaemonProcess, daemonMissing, type Finished } from '../docker/daemon-process.ts'

const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')
const hasDocker = spawnSync('docker', ['--version']).status === 0

describe('links of containers', { skip: daemonMissing('busybox', 'ping') }, () => {
  const daemon = new DaemonProcess()

  async function run(program: string, ...args: string[]): Promise<Finished> {
    const host = `unix://${daemon.socket}`
    const words = program === 'netloom' ? [process.execPath, '--', NETLOOM, ...args] : [program, ...args]
    const child = spawn(words[0]!, words.slice(1), { env: { ...process.env, DOCKER_HOST: host, NETLOOM_HOST: host } })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const [status] = (await once(child, 'close')) as [number]
    return { status, stdout, stderr }
  }
  const ok = async (program: string, ...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(program, ...args)
    assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  const links = async (): Promise<LinkRow[]> => JSON.parse(await ok('netloom', 'link', 'ls', '--json')) as LinkRow[]
  /** Echoes from `web` until three are answered or the seconds are over: their least time, milliseconds. Names' answers go over the link too. */
  const ping = async (to: string, seconds = 60): Promise<{ received: number; least: number }> => {
    const { stdout } = await run('netloom', 'exec', 'web', 'ping', '-c', '3', '-i', '0.2', '-w', String(seconds), to)
    return {
      received: Number(/(\d+) packets received|(\d+) received/.exec(stdout)?.slice(1).find(Boolean)),
      least: Number(/= ([\d.]+)\//.exec(stdout)?.[1])
    }
  }

  before(async () => {
    await daemon.start()
    await ok('netloom', 'network', 'create', '--subnet', '192.0.2.0/24', 'front')
    for (const name of ['web', 'db']) await ok('netloom', 'run', '-d', '--name', name, '--network', 'front', 'box', 'sleep', '1000')
  })
  after(() => daemon.down())

  it('set live, listed, cleared', async () => {
    assert.deepEqual(await links(), [])
    assert.equal(await ok('netloom', 'link', 'set', '--out', 'web', 'delay', '30ms', 'rate', '50mbit'), '')
    const slow = await ping('db')
    assert.ok(slow.received >= 3 && slow.least >= 30, JSON.stringify(slow))
    assert.deepEqual(
      (await links()).map(({ network, endpoint, out, in: inward }) => [network, endpoint, out, inward]),
      [['front', 'web', 'delay 30ms rate 50mbit', '']]
    )
    assert.match(await ok('netloom', 'link', 'ls'), /^LINK +OUT +IN +LOST +QUEUE DROPS\nfront\/web +delay 30ms rate 50mbit +- +0 +0$/)
    await ok('netloom', 'link', 'set', 'db', 'down')
    assert.equal((await ping('192.0.2.3', 1)).received, 0)
    await ok('netloom', 'link', 'clear', 'front')
    assert.ok((await ping('db')).received >= 3)
    assert.ok((await links()).every((link) => link.out === '' && link.in === ''))
  })

  it('wrong words and targets are told', async () => {
    for (const [args, message, status] of [
      [['web', 'dealy', '5ms'], /'dealy' is no word of a link/, 1],
      [['web', 'loss', '200%'], /loss.probability 2 must be a number from 0 to 1/, 1],
      [['nobody', 'down'], /no container, endpoint or network is called nobody/, 1],
      [['web'], /no words were given/, 2]
    ] as const) {
      const ran = await run('netloom', 'link', 'set', ...args)
      assert.match(ran.stderr, message)
      assert.equal(ran.status, status)
    }
    assert.equal((await daemon.api('PUT', '/netloom/links', '{"target":"web","direction":"up","words":[]}')).status, 400)
  })

  it("by options of docker's client, and again after the daemon was killed", {
    skip: hasDocker ? false : "docker's client is not installed"
  }, async () => {
    await ok('docker', 'network', 'create', '--subnet', '198.51.100.0/24', '-o', 'netloom.link=delay 10ms', 'back')
    await ok('docker', 'network', 'connect', '--driver-opt', 'netloom.link.in=delay 20ms loss 0%', 'back', 'web')
    await ok('docker', 'run', '-d', '--name', 'far', '--network', 'back', 'box', 'sleep', '1000')
    const expected = [
      ['back', '', 'delay 10ms', 'delay 10ms'],
      ['back', 'far', 'delay 10ms', 'delay 10ms'],
      ['back', 'web', '', 'delay 20ms loss 0%']
    ]
    const seen = async (): Promise<string[][]> =>
      (await links())
        .filter(({ network }) => network === 'back')
        .map(({ network, endpoint, out, in: inward }) => [network, endpoint, out, inward])
    assert.deepEqual(await seen(), expected)
    const there = await ping('far')
    assert.ok(there.received >= 3 && there.least >= 40, JSON.stringify(there))
    await daemon.end('SIGKILL')
    await daemon.start()
    assert.deepEqual(await seen(), expected)
    const again = await ping('far')
    assert.ok(again.received >= 3 && again.least >= 40, JSON.stringify(again))
    for (const args of [
      ['network', 'create', '-o', 'netloom.link=speed 5', 'bad'],
      ['network', 'connect', '--driver-opt', 'netloom.link.out=loss 5x', 'front', 'far']
    ]) {
      const { status, stderr } = await run('docker', ...args)
      assert.equal(status, 1)
      assert.match(stderr, /option netloom.link/)
    }
  })
})
