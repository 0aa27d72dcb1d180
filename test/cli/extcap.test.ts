/** `netloom extcap` and `netloom wireshark`: the protocol by hand, over real FIFOs, and by the real tshark. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { constants, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Control } from '../../src/cli/extcap/extcap-answers.ts'
import { daemonPlaces, resolveInterface } from '../../src/cli/extcap/extcap-interfaces.ts'
import { encodeToolbarMessage, ToolbarCommand, ToolbarDecoder, type ToolbarMessage } from '../../src/cli/extcap/toolbar-message.ts'
import { extcapFolder } from '../../src/cli/extcap/wireshark-folder.ts'
import { tsharkCommand, tsharkMissing } from './extcap-tshark.ts'
import { FakeCaptures } from './fake-captures.ts'
import { type Ran, runHere } from './fake-world.ts'

const daemon = new FakeCaptures()
const file = (name: string): string => path.join(daemon.folder, name)
const extcap = (...args: string[]): Promise<Ran> => runHere(['extcap', ...args], { NETLOOM_HOST: daemon.host })

before(() => daemon.start())
after(() => daemon.end())

function fifo(name: string): string {
  assert.equal(spawnSync('mkfifo', [file(name)]).status, 0)
  return file(name)
}

test('interfaces, their link type and settings, and the toolbar', async () => {
  const { stdout, code } = await extcap('--extcap-interfaces', '--extcap-version=4.0')
  assert.equal(code, 0)
  const lines = stdout.split('\n')
  assert.match(lines[0]!, /^extcap \{version=\d+\.\d+\.\d+\}\{display=netloom\}$/)
  assert.deepEqual(
    lines.filter((line) => line.startsWith('interface')),
    [
      'interface {value=netloom:all}{display=netloom everything}',
      'interface {value=netloom:lan}{display=netloom network lan}',
      'interface {value=netloom:front}{display=netloom network front}',
      'interface {value=netloom:office}{display=netloom network office}',
      'interface {value=netloom:lan/web}{display=netloom lan/web (container web, 192.0.2.2/24)}',
      'interface {value=netloom:lan/db}{display=netloom lan/db (container db, 192.0.2.3/24)}',
      'interface {value=netloom:host1/front/api}{display=netloom host1/front/api (container api)}',
      'interface {value=netloom:host2/front/api}{display=netloom host2/front/api (container api)}',
      'interface {value=netloom:host1/eth0}{display=netloom host1/eth0 (cable of host1)}',
      'interface {value=netloom:uplink}{display=netloom uplink (the way out)}'
    ]
  )
  assert.equal(lines.filter((line) => line.startsWith('control')).length, 6)
  assert.equal(
    (await extcap('--extcap-interface', 'netloom:lan', '--extcap-dlts')).stdout,
    'dlt {number=1}{name=EN10MB}{display=Ethernet}\n'
  )
  assert.match((await extcap('--extcap-interface', 'netloom:lan', '--extcap-config')).stdout, /^arg \{number=0\}\{call=--snaplen\}/)
})

test('no daemon, no interfaces, no noise', async () => {
  const { stdout, stderr, code } = await runHere(['extcap', '--extcap-interfaces'], { NETLOOM_HOST: 'unix:///nowhere/d.sock' })
  assert.deepEqual([stderr, code], ['', 0])
  assert.ok(!stdout.includes('netloom:'))
})

test('interfaces by name', async () => {
  const places = daemonPlaces('unix:///home/ada/d.sock')
  assert.deepEqual(resolveInterface('netloom:lan/web', places), { host: 'unix:///home/ada/d.sock', target: 'lan/web' })
  assert.deepEqual(resolveInterface('netloom-system:all', places), { host: 'unix:///run/netloom/netloom.sock', target: 'all' })
  assert.equal(daemonPlaces('unix:///run/netloom/netloom.sock').length, 1)
  for (const name of ['eth0', 'netloom', 'netloom:', ':lan', '', undefined])
    assert.throws(() => resolveInterface(name, places), /is no interface/)
  const { code, stderr } = await extcap('--capture', '--extcap-interface', 'eth0', '--fifo', file('x'))
  assert.equal(code, 1)
  assert.match(stderr, /'eth0' is no interface of netloom's/)
  assert.equal((await extcap('--capture', '--extcap-interface', 'netloom:lan')).code, 2)
  assert.equal((await extcap()).code, 2)
})

describe('captures', () => {
  /** Reads a FIFO until there are so many bytes, then closes it. */
  async function readSome(name: string, least: number): Promise<Buffer> {
    const socket = new Socket({ fd: openSync(name, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false })
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of socket) {
      chunks.push(chunk as Buffer)
      length += (chunk as Buffer).length
      if (length >= least) break
    }
    return Buffer.concat(chunks)
  }

  test("into Wireshark's FIFO, until it closes it", async () => {
    const pipe = fifo('data')
    const wanted = ['--extcap-interface', 'netloom:lan/web', '--extcap-capture-filter', 'arp', '--snaplen', '64', '--segment', 'true']
    const running = extcap('--capture', '--fifo', pipe, ...wanted)
    // As wireshark does, which opens it after the program was started.
    await new Promise((resolve) => setTimeout(resolve, 50))
    const bytes = await readSome(pipe, 20_000)
    const { code, stderr } = await running
    assert.deepEqual([code, stderr], [0, ''])
    assert.ok(Array.from(readCapture(bytes)).length > 50)
    const { targets, filter, snapLength, segment, drops } = daemon.requests.at(-1)!
    assert.deepEqual([targets, filter, snapLength, segment, drops], [['lan/web'], 'arp', 64, true, true])
  })

  test('until a signal, also when nobody reads', async () => {
    const stop = new AbortController()
    const wanted = ['extcap', '--capture', '--extcap-interface', 'netloom:all', '--fifo', fifo('unread')]
    const running = runHere(wanted, { NETLOOM_HOST: daemon.host }, { interrupt: stop.signal })
    setTimeout(() => stop.abort(), 30)
    assert.equal((await running).code, 0)
  })

  test('what the daemon refuses is told', async () => {
    const { code, stderr } = await extcap('--capture', '--extcap-interface', 'netloom:nobody', '--fifo', file('refused.pcapng'))
    assert.equal(code, 1)
    assert.match(stderr, /nothing that can be captured is called nobody/)
  })
})

describe('the toolbar', () => {
  /** Wireshark's side of it. */
  class Wireshark {
    readonly heard: ToolbarMessage[] = []
    private readonly out: Socket
    private readonly in: Socket
    private wake = (): void => {}

    constructor(paths: { in: string; out: string }) {
      const decoder = new ToolbarDecoder()
      const open = (name: string, readable: boolean): Socket =>
        new Socket({ fd: openSync(name, constants.O_RDWR | constants.O_NONBLOCK), readable, writable: !readable })
      this.out = open(paths.in, false)
      this.in = open(paths.out, true)
      this.in.on('data', (chunk) => {
        this.heard.push(...decoder.push(chunk))
        this.wake()
      })
    }

    say(control: number, command: number, payload = ''): void {
      this.out.write(encodeToolbarMessage({ control, command, payload }))
    }

    /** Until the texts of the fields are these. */
    async shows(...fields: string[]): Promise<void> {
      for (;;) {
        const shown = [Control.delay, Control.loss, Control.rate].map(
          (control) => this.heard.findLast((message) => message.control === control && message.command === ToolbarCommand.set)?.payload
        )
        if (shown.every((text, index) => text === fields[index])) return
        await this.next()
      }
    }

    async hears(command: number): Promise<ToolbarMessage> {
      for (;;) {
        const message = this.heard.find((one) => one.command === command)
        if (message !== undefined) return message
        await this.next()
      }
    }

    close(): void {
      this.out.destroy()
      this.in.destroy()
    }

    private next(): Promise<void> {
      return new Promise((resolve) => {
        this.wake = resolve
      })
    }
  }

  async function withToolbar(name: string, target: string, use: (wireshark: Wireshark) => Promise<void>): Promise<void> {
    const paths = { in: fifo(`${name}.in`), out: fifo(`${name}.out`) }
    const stop = new AbortController()
    const wireshark = new Wireshark(paths)
    const args = ['--fifo', file(`${name}.pcapng`), '--extcap-control-in', paths.in, '--extcap-control-out', paths.out]
    const running = runHere(
      ['extcap', '--capture', '--extcap-interface', `netloom:${target}`, ...args],
      { NETLOOM_HOST: daemon.host },
      { interrupt: stop.signal }
    )
    await use(wireshark)
    stop.abort()
    assert.deepEqual(await running, { code: 0, stdout: '', stderr: '' })
    wireshark.close()
  }
  const link = (): { in: string; out: string } => daemon.links.get('lan/web')!

  test('shows how the link is, and changes it while it is captured', { timeout: 120_000 }, async () => {
    Object.assign(link(), { out: 'delay 20ms limit 50', in: 'delay 20ms limit 50' })
    await withToolbar('change', 'lan/web', async (wireshark) => {
      wireshark.say(0, ToolbarCommand.initialized)
      await wireshark.shows('20ms', '', '')
      wireshark.say(Control.loss, ToolbarCommand.set, '1%')
      await wireshark.shows('20ms', '1%', '')
      assert.deepEqual(link(), { out: 'delay 20ms loss 1% limit 50', in: 'delay 20ms loss 1% limit 50' })
      wireshark.say(Control.direction, ToolbarCommand.set, 'in')
      wireshark.say(Control.rate, ToolbarCommand.set, 'rate 10mbit')
      await wireshark.shows('20ms', '1%', '10mbit')
      assert.deepEqual(link(), { out: 'delay 20ms loss 1% limit 50', in: 'delay 20ms loss 1% rate 10mbit limit 50' })
      wireshark.say(Control.direction, ToolbarCommand.set, 'both')
      wireshark.say(Control.delay, ToolbarCommand.set, '')
      await wireshark.shows('', '1%', '')
      assert.deepEqual(link(), { out: 'loss 1% limit 50', in: 'loss 1% rate 10mbit limit 50' })
      wireshark.say(Control.clear, ToolbarCommand.set)
      await wireshark.shows('', '', '')
      assert.deepEqual(link(), { out: '', in: '' })
      assert.match((await wireshark.hears(ToolbarCommand.statusBar)).payload, /^lan\/web: out delay 20ms loss 1% limit 50, in /)
    })
  })

  test('what was typed before the capture holds from its start', { timeout: 120_000 }, async () => {
    await withToolbar('early', 'lan/web', async (wireshark) => {
      wireshark.say(Control.direction, ToolbarCommand.set, 'out')
      wireshark.say(Control.delay, ToolbarCommand.set, '50ms 5ms')
      wireshark.say(Control.rate, ToolbarCommand.set, '1mbit')
      wireshark.say(0, ToolbarCommand.initialized)
      await wireshark.shows('50ms 5ms', '', '1mbit')
      assert.deepEqual(link(), { out: 'delay 50ms 5ms rate 1mbit', in: '' })
      link().out = ''
    })
  })

  test('what cannot be is told, and the field goes back', { timeout: 120_000 }, async () => {
    link().out = 'loss 2%'
    await withToolbar('wrong', 'lan/web', async (wireshark) => {
      wireshark.say(0, ToolbarCommand.initialized)
      await wireshark.shows('', '2%', '')
      for (const [control, text, told] of [
        [Control.loss, 'plenty', /^lan\/web: .*plenty/],
        [Control.loss, '1% rate 5mbit', /says more than the loss/]
      ] as const) {
        wireshark.heard.length = 0
        wireshark.say(control, ToolbarCommand.set, text)
        assert.match((await wireshark.hears(ToolbarCommand.warning)).payload, told)
        await wireshark.hears(ToolbarCommand.set)
        assert.equal(wireshark.heard.findLast((message) => message.control === Control.loss && message.command === 1)?.payload, '2%')
      }
      assert.equal(link().out, 'loss 2%')
      link().out = ''
    })
  })

  test('what words cannot say is left alone', { timeout: 120_000 }, async () => {
    link().out = 'delay 5ms [schedule of 3 points]'
    await withToolbar('trace', 'lan/web', async (wireshark) => {
      wireshark.say(0, ToolbarCommand.initialized)
      assert.match((await wireshark.hears(ToolbarCommand.warning)).payload, /has a trace file or a table/)
      wireshark.heard.length = 0
      wireshark.say(Control.loss, ToolbarCommand.set, '1%')
      await wireshark.hears(ToolbarCommand.warning)
      assert.equal(link().out, 'delay 5ms [schedule of 3 points]')
      link().out = ''
    })
  })

  test('is cleared all the same; a filter is no table', { timeout: 120_000 }, async () => {
    const filtered = "loss 1% filter 'tcp[13]=2'"
    Object.assign(link(), { out: filtered, in: 'delay 5ms [schedule of 3 points]' })
    await withToolbar('clear', 'lan/web', async (wireshark) => {
      wireshark.say(Control.direction, ToolbarCommand.set, 'out')
      wireshark.say(0, ToolbarCommand.initialized)
      await wireshark.shows('', filtered.slice(5), '')
      wireshark.say(Control.direction, ToolbarCommand.set, 'in')
      await wireshark.hears(ToolbarCommand.warning)
      wireshark.say(Control.clear, ToolbarCommand.set)
      await wireshark.shows('', '', '')
      assert.deepEqual(link(), { out: filtered, in: '' })
      link().out = ''
    })
  })

  test('links of a lab: an endpoint of the host, a cable, a LAN', { timeout: 120_000 }, async () => {
    for (const [target, name] of [
      ['host1/front/api', 'front/api'],
      ['host1/eth0', 'host1/eth0'],
      ['office', 'office']
    ] as const) {
      await withToolbar(name.replace('/', '-'), target, async (wireshark) => {
        wireshark.say(0, ToolbarCommand.initialized)
        await wireshark.shows('', '', '')
        wireshark.say(Control.delay, ToolbarCommand.set, '7ms')
        await wireshark.shows('7ms', '', '')
        assert.deepEqual(daemon.links.get(name), { out: 'delay 7ms', in: 'delay 7ms' })
      })
    }
  })

  test('what is no link, or one of another host, has no controls', { timeout: 120_000 }, async () => {
    for (const target of ['uplink', 'host2/front/api']) {
      await withToolbar(`none-${target.length}`, target, async (wireshark) => {
        wireshark.say(0, ToolbarCommand.initialized)
        await wireshark.hears(ToolbarCommand.disable)
      })
    }
  })

  test('messages in pieces, and what is none', () => {
    const messages = [
      { control: 1, command: 1, payload: '1%' },
      { control: 0, command: 0, payload: '' },
      { control: 4, command: 1, payload: '長い'.repeat(100) }
    ]
    const bytes = Buffer.concat(messages.map(encodeToolbarMessage))
    assert.deepEqual([...bytes.subarray(0, 8)], [0x54, 0, 0, 4, 1, 1, 0x31, 0x25])
    const decoder = new ToolbarDecoder()
    assert.deepEqual(Array.from(bytes, (byte) => decoder.push(Uint8Array.of(byte))).flat(), messages)
    for (const bad of ['HTTP/1.1', 'T\x00\x00\x00aa', 'T\xff\xff\xffaa']) {
      assert.throws(() => new ToolbarDecoder().push(Buffer.from(bad, 'latin1')), /no message of its protocol/)
    }
  })
})

describe('wireshark install', () => {
  const install = (...args: string[]): Promise<Ran> => runHere(['wireshark', ...args], { NETLOOM_HOST: daemon.host })

  test('the folder that this Wireshark looks at', () => {
    const world = (folders: string, writable: boolean) => ({ home: '/home/ada', folders, isWritable: () => writable })
    const older = 'Temp:\t/tmp\nExtcap path:         \t/usr/lib/wireshark/extcap\n'
    const newer = 'Personal Extcap path:\t/home/ada/.local/lib/wireshark/extcap\nGlobal Extcap path:\t/usr/lib/wireshark/extcap\n'
    assert.equal(extcapFolder(world(newer, false)), '/home/ada/.local/lib/wireshark/extcap')
    assert.equal(extcapFolder(world(older, true)), '/usr/lib/wireshark/extcap')
    assert.equal(extcapFolder(world('', false)), '/home/ada/.local/lib/wireshark/extcap')
    assert.throws(() => extcapFolder(world(older, false)), { code: 'ERR_WIRESHARK_FOLDER' })
  })

  test('puts a program there, and takes only that away', async () => {
    const dir = file('plugins/extcap')
    assert.equal((await install('install', '--dir', dir)).stdout, `installed ${dir}/netloom\n`)
    assert.equal(statSync(`${dir}/netloom`).mode & 0o777, 0o755)
    const ask = (...args: string[]): string => spawnSync(`${dir}/netloom`, args, { encoding: 'utf8', env: {} }).stdout
    assert.equal(ask('--extcap-interface', 'netloom:lan', '--extcap-dlts'), (await extcap('--extcap-dlts')).stdout)
    assert.equal(ask('--extcap-interface', 'netloom:lan', '--extcap-config'), (await extcap('--extcap-config')).stdout)
    // Again: over the one before.
    assert.equal((await install('install', '--dir', dir)).code, 0)
    assert.equal((await install('uninstall', '--dir', dir)).stdout, `removed ${dir}/netloom\n`)
    assert.equal(existsSync(`${dir}/netloom`), false)
    assert.match((await install('uninstall', '--dir', dir)).stdout, /is not there/)
    writeFileSync(`${dir}/netloom`, '#!/bin/sh\n')
    for (const command of ['install', 'uninstall']) {
      const { code, stderr } = await install(command, '--dir', dir)
      assert.equal(code, 1)
      assert.match(stderr, /is there, and not netloom's/)
    }
    assert.equal(readFileSync(`${dir}/netloom`, 'utf8'), '#!/bin/sh\n')
  })
})

describe('the real tshark', { skip: tsharkMissing() }, () => {
  async function tshark(...args: string[]): Promise<string> {
    const env = { ...process.env, WIRESHARK_EXTCAP_DIR: file('extcap'), HOME: daemon.folder, XDG_CONFIG_HOME: file('config') }
    const [program, ...words] = tsharkCommand(file('extcap'))
    const child = spawn(program!, [...words, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const [code] = (await once(child, 'close')) as [number]
    assert.equal(code, 0, stderr)
    return stdout
  }

  before(async () => {
    mkdirSync(file('config'))
    assert.equal((await runHere(['wireshark', 'install', '--dir', file('extcap')], { NETLOOM_HOST: daemon.host })).code, 0)
  })

  test('lists the networks and points, in its own order', { timeout: 180_000 }, async () => {
    const listed = (await tshark('-D')).split('\n').filter((line) => line.includes('netloom:'))
    assert.deepEqual(
      listed.map((line) => line.replace(/^\d+\. /, '')),
      [
        'netloom:all (netloom everything)',
        'netloom:front (netloom network front)',
        'netloom:host1/eth0 (netloom host1/eth0 (cable of host1))',
        'netloom:host1/front/api (netloom host1/front/api (container api))',
        'netloom:host2/front/api (netloom host2/front/api (container api))',
        'netloom:lan (netloom network lan)',
        'netloom:lan/db (netloom lan/db (container db, 192.0.2.3/24))',
        'netloom:lan/web (netloom lan/web (container web, 192.0.2.2/24))',
        'netloom:office (netloom network office)',
        'netloom:uplink (netloom uplink (the way out))'
      ]
    )
  })

  test('captures', { timeout: 180_000 }, async () => {
    const stdout = await tshark('-i', 'netloom:lan/web', '-c', '20', '-T', 'fields', '-e', 'frame.number', '-e', 'frame.protocols')
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines.length, 20)
    assert.match(lines[19]!, /^20\teth:/)
    assert.deepEqual(daemon.requests.at(-1)!.targets, ['lan/web'])
  })
})
