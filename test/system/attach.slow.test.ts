import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { AttachedEndpoint } from '../../src/cli/attach/attach-protocol.ts'
import { readCapture } from '../../src/index.ts'
import { eventually } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const PROGRAM = path.resolve('bin/netloom.js')

describe('netloom attach', { skip: namespacesMissing('ping', 'dig', 'ip', 'unshare') }, () => {
  let folder = ''
  let children: ChildProcess[] = []
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-attach-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  beforeEach(() => {
    children = []
  })
  afterEach(() => {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  })

  const env = () => ({ ...process.env, NETLOOM_RUNTIME_DIR: path.join(folder, 'run') })
  const netloom = (...args: string[]) => spawnSync(process.execPath, [PROGRAM, ...args], { env: env(), encoding: 'utf8', timeout: 120_000 })

  /** A process of somebody else's, with an empty network namespace. */
  async function stranger(): Promise<number> {
    const child = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    await once(child.stdout!, 'data')
    return child.pid!
  }

  const inside = (pid: number, ...argv: string[]) => spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, ...argv], { encoding: 'utf8' })

  /** Starts an attach in the foreground; resolves when it has told its endpoint. */
  const attach = (...args: string[]) => attachFrom([], ...args)

  /** The same behind a prefix, such as `nsenter ...`. */
  async function attachFrom(
    prefix: string[],
    ...args: string[]
  ): Promise<{ child: ChildProcess; endpoint: AttachedEndpoint; ended: Promise<unknown[]> }> {
    const [command, ...rest] = [...prefix, process.execPath, PROGRAM, 'attach', ...args, '--json']
    const child = spawn(command, rest, { env: env(), stdio: ['ignore', 'pipe', 'pipe'] })
    children.push(child)
    const ended = once(child, 'close')
    let errors = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    let text = ''
    for await (const part of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      text += part
      if (text.includes('}\n')) return { child, endpoint: JSON.parse(text), ended }
    }
    throw new Error(`attach ended: ${errors}`)
  }

  test('two processes of somebody else reach each other by address and by name', async () => {
    const [one, two] = [await stranger(), await stranger()]
    const file = path.join(folder, 'attach.pcapng')
    const first = await attach('lan', '--pid', String(one), '--name', 'one', '--subnet', '192.0.2.0/24', '--capture', file)
    const second = await attach(
      'lan',
      '--netns',
      `/proc/${two}/ns/net`,
      '--name',
      'two',
      '--ip',
      '192.0.2.40',
      '--alias',
      'db',
      '--ifname',
      'lan0'
    )
    assert.equal(first.endpoint.ip, '192.0.2.2')
    assert.deepEqual([second.endpoint.ip, second.endpoint.mac], ['192.0.2.40', '02:42:c0:00:02:28'])
    assert.match(inside(two, 'ip', '-4', '-o', 'address', 'show', 'lan0').stdout, /192\.0\.2\.40\/24 brd 192\.0\.2\.255/)
    // With -w it goes on until so many are answered.
    const ping = inside(one, 'ping', '-c', '3', '-i', '0.2', '-w', '30', '192.0.2.40')
    assert.equal(ping.status, 0, ping.stdout)
    assert.match(ping.stdout, /ttl=64/)
    for (const name of ['two', 'db', 'TWO']) assert.equal(inside(one, 'dig', '+short', '@127.0.0.11', name).stdout, '192.0.2.40\n')
    assert.equal(inside(two, 'dig', '+short', '+tcp', '@127.0.0.11', 'one').stdout, '192.0.2.2\n')
    assert.equal(inside(two, 'dig', '+short', '@192.0.2.1', 'one').stdout, '192.0.2.2\n')

    const detached = netloom('detach', 'lan', 'two')
    assert.equal(detached.status, 0, detached.stderr)
    assert.deepEqual(await second.ended, [0, null])
    assert.equal(inside(two, 'ip', '-o', 'link', 'show', 'lan0').status, 1)
    assert.match(inside(two, 'ip', 'rule').stdout, /^0:\s+from all lookup local/)

    first.child.kill('SIGINT')
    assert.deepEqual(await first.ended, [0, null])
    assert.equal(inside(one, 'ip', '-o', 'link', 'show', 'eth0').status, 1)
    assert.deepEqual(readdirSync(path.join(folder, 'run')), [])
    const ports = new Set([...readCapture(file)].map((packet) => packet.interface))
    assert.equal(ports.size, 2)
  })

  test('Ctrl-C takes only the own endpoint away; the holder waits for the others', async () => {
    const [one, two] = [await stranger(), await stranger()]
    const first = await attach('pair', '--pid', String(one), '--name', 'one')
    const second = await attach('pair', '--pid', String(two), '--name', 'two')
    first.child.kill('SIGINT')
    await eventually('the endpoint has gone', () => inside(one, 'ip', '-o', 'link', 'show', 'eth0').status === 1)
    assert.equal(inside(two, 'ping', '-c', '1', '-w', '30', second.endpoint.gateway!).status, 0)
    second.child.kill('SIGTERM')
    assert.deepEqual(await second.ended, [0, null])
    assert.deepEqual(await first.ended, [0, null])
  })

  test('when the holder is killed the others say so, and the network can be made again', async () => {
    const [one, two] = [await stranger(), await stranger()]
    const first = await attach('frail', '--pid', String(one), '--name', 'one')
    const second = await attach('frail', '--pid', String(two), '--name', 'two')
    first.child.kill('SIGKILL')
    const [code] = await second.ended
    assert.equal(code, 1)
    await eventually('interfaces went with their process', () => inside(two, 'ip', '-o', 'link', 'show', 'eth0').status === 1)
    const again = await attach('frail', '--pid', String(two), '--name', 'two')
    again.child.kill('SIGINT')
    await again.ended
  })

  test('a second network leaves the default route and the resolver of the first, and goes without them', async () => {
    const pid = await stranger()
    const first = await attach('north', '--pid', String(pid), '--subnet', '192.0.2.0/24', '--name', 'n')
    const second = await attach('south', '--pid', String(pid), '--subnet', '198.51.100.0/24', '--name', 's', '--ifname', 'eth1')
    const routes = () => inside(pid, 'ip', 'route', 'show', 'default').stdout
    assert.match(routes(), /^default via 192\.0\.2\.1 dev eth0 .*\n$/)
    assert.equal(inside(pid, 'ping', '-c', '1', '-w', '30', second.endpoint.gateway!).status, 0)
    second.child.kill('SIGINT')
    await second.ended
    assert.match(routes(), /^default via 192\.0\.2\.1 dev eth0 .*\n$/)
    assert.equal(inside(pid, 'dig', '+short', '@127.0.0.11', 'n').stdout, '192.0.2.2\n')
    first.child.kill('SIGINT')
    await first.ended
  })

  test('a TAP for a virtual machine stands in the namespace of who asks, owned by its user, and goes again', async () => {
    const namespace = new TestNamespace()
    try {
      const { child, endpoint, ended } = await attachFrom(
        ['nsenter', `--net=${namespace.path}`],
        'vms',
        '--tap',
        'tap7,user=1234',
        '--mtu',
        '9000'
      )
      assert.equal(endpoint.name, 'tap7')
      const [link] = namespace.ip('link', 'show', 'tap7')
      const { info_data: tun } = link['linkinfo'] as { info_data: Record<string, unknown> }
      assert.equal(link['mtu'], 9000)
      assert.deepEqual([tun['type'], tun['persist'], String(tun['user'])], ['tap', true, '1234'])
      child.kill('SIGINT')
      assert.deepEqual(await ended, [0, null])
      assert.equal(
        namespace.ip('link').some(({ ifname }) => ifname === 'tap7'),
        false
      )
    } finally {
      namespace.close()
    }
  })

  test('refusals name what was wrong and how to mend it, and leave nothing', async () => {
    const pid = await stranger()
    writeFileSync(path.join(folder, 'file'), '')
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['lan'], 2, /one of --pid, --netns and --tap/],
      [['lan', '--tap', 'tap7,owner=me'], 2, /--tap tap7,owner=me is not NAME/],
      [['lan', '--pid', 'x'], 2, /--pid x is not a process id/],
      [['lan', '--pid', '4194304'], 1, /no process 4194304/],
      [['lan', '--netns', '/nowhere'], 1, /\/nowhere/],
      [['lan', '--netns', path.join(folder, 'file')], 1, /not a network namespace/],
      [['-x-', '--pid', String(pid)], 2, /-x-/],
      [['a/b', '--pid', String(pid)], 2, /network name 'a\/b' is invalid/],
      [['lan', '--pid', String(pid), '--subnet', '192.0.2.0/40'], 1, /192\.0\.2\.0\/40/],
      [['lan', '--pid', String(pid), '--ip', '203.0.113.9', '--subnet', '192.0.2.0/24'], 1, /203\.0\.113\.9/],
      [['lan', '--pid', String(pid), '--ifname', 'much-too-long-a-name'], 1, /much-too-long-a-name/],
      [['lan', '--pid', String(pid), '--mtu', 'big'], 2, /--mtu big/],
      [['lan', '--pid', String(pid), '--ifname', 'lo'], 1, /lo/]
    ]
    for (const [args, code, message] of cases) {
      const { status, stderr } = netloom('attach', ...args)
      assert.equal(status, code, `${args.join(' ')}: ${stderr}`)
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /internal error|\n\s+at /)
    }
    assert.equal(inside(pid, 'ip', '-o', 'link').stdout.trim().split('\n').length, 1)
    const nobody = netloom('detach', 'lan', 'x')
    assert.equal(nobody.status, 1)
    assert.match(nobody.stderr, /no process holds a network 'lan'/)
    assert.ok(!existsSync(path.join(folder, 'run', 'lan.sock')))
  })

  test('a name or address that is taken is refused by the holder', async () => {
    const [one, two] = [await stranger(), await stranger()]
    const first = await attach('busy', '--pid', String(one), '--name', 'one', '--subnet', '192.0.2.0/24')
    for (const [args, message] of [
      [['--name', 'one'], /endpoint with name one already exists/],
      [['--name', 'two', '--ip', '192.0.2.2'], /192\.0\.2\.2.*in use/],
      [['--name', 'two', '--subnet', '192.0.2.0/24'], /network busy is there already/]
    ] as [string[], RegExp][]) {
      const { status, stderr } = netloom('attach', 'busy', '--pid', String(two), ...args)
      assert.notEqual(status, 0)
      assert.match(stderr, message)
    }
    const unknown = netloom('detach', 'busy', 'two')
    assert.match(unknown.stderr, /nothing named 'two' is attached to busy\n {2}fix: attached are: one/)
    first.child.kill('SIGINT')
    await first.ended
  })
})
