/** `netloom capture` against the routes of captures, with a recording behind them. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Client } from '../../src/client/client.ts'
import { FakeCaptures, POINTS } from './fake-captures.ts'
import { type Ran, runHere, TextSink } from './fake-world.ts'

const daemon = new FakeCaptures()
const file = (name: string): string => path.join(daemon.folder, name)
const run = (...args: string[]): Promise<Ran> => runHere(['capture', ...args], { NETLOOM_HOST: daemon.host })

before(() => daemon.start())
after(() => daemon.end())

const LINE = /^\d\d:\d\d:\d\d\.\d{6} \S+ +(In |Out| {3}) (IP|IP6|ARP|02:)/
const SUMMARY = /^capturing lan\/web.*; Ctrl-C ends it\n(\d+) frames captured, 7 dropped, (\d+) bytes\n$/

describe('without a file', () => {
  test('a line a frame', async () => {
    const { code, stdout, stderr } = await run('lan', '-c', '5')
    assert.equal(code, 0, stderr)
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines.length, 5)
    for (const line of lines) assert.match(line, LINE)
    assert.match(stderr, SUMMARY)
  })

  test('a document a frame', async () => {
    const { stdout } = await run('--json', '-c', '2', 'web', '-f', 'tcp port 80', '-s', '96', '--segment', '--no-drops', '--comment', 'why')
    const documents = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(documents.length, 2)
    assert.match(String(documents[0]!['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
    assert.ok(documents.every(({ text, length }) => typeof text === 'string' && typeof length === 'number'))
    assert.deepEqual(daemon.requests.at(-1), {
      targets: ['web'],
      filter: 'tcp port 80',
      format: 'pcapng',
      segment: true,
      everyPort: false,
      drops: false,
      snapLength: 96,
      comment: 'why'
    })
  })

  test('Ctrl-C ends it in order', async () => {
    const interrupt = new AbortController()
    const stdout = new (class extends TextSink {
      override write(text: string): void {
        super.write(text)
        if (this.text.split('\n').length > 10) interrupt.abort()
      }
    })()
    const { code, stderr } = await runHere(['capture'], { NETLOOM_HOST: daemon.host }, { interrupt: interrupt.signal, stdout })
    assert.equal(code, 0)
    assert.match(stderr, SUMMARY)
    assert.deepEqual(daemon.requests.at(-1)!.targets, [])
    assert.deepEqual(daemon.captures(), [])
  })
})

describe('into a file', () => {
  test('so many frames, and the statistics behind them', async () => {
    const { code, stdout, stderr } = await run('-w', file('a.pcapng'), '-c', '9')
    assert.deepEqual([code, stdout], [0, ''])
    const reader = readCapture(file('a.pcapng'))
    assert.equal(Array.from(reader).length, 9)
    assert.equal(reader.truncatedAt, undefined)
    assert.ok(reader.interfaces.some(({ statistics }) => statistics !== undefined))
    const [, frames, bytes] = SUMMARY.exec(stderr) ?? []
    assert.deepEqual([frames, bytes], ['9', String(readFileSync(file('a.pcapng')).length)])
  })

  test('a time that is longer than any timer of Node.js', async () => {
    const { code, stdout } = await run('-w', file('long.pcapng'), '--duration', '40d', '-c', '2000', '--json')
    assert.deepEqual([code, (JSON.parse(stdout) as { frames: number }).frames], [0, 2000])
  })

  test('for a time; --json tells what came of it', async () => {
    const { code, stdout } = await run('-w', file('b.pcapng'), '--duration', '50ms', '--json')
    assert.equal(code, 0)
    const { path: written, frames, dropped, bytes } = JSON.parse(stdout) as Record<string, unknown>
    assert.deepEqual([written, dropped, bytes], [file('b.pcapng'), 7, readFileSync(file('b.pcapng')).length])
    assert.equal(Array.from(readCapture(file('b.pcapng'))).length, frames)
  })

  test('files of a size, the newest ones, each whole', async () => {
    mkdirSync(file('ring'))
    const { code } = await run('-w', path.join(file('ring'), 'run.pcapng'), '--rotate-size', '1kB', '--rotate-files', '3', '-c', '60')
    assert.equal(code, 0)
    const names = readdirSync(file('ring')).sort()
    assert.equal(names.length, 3)
    const last = Number(/run-(\d{5})\.pcapng/.exec(names[2]!)?.[1])
    assert.ok(last > 3)
    assert.deepEqual(
      names,
      [2, 1, 0].map((back) => `run-${String(last - back).padStart(5, '0')}.pcapng`)
    )
    for (const name of names) {
      const reader = readCapture(path.join(file('ring'), name))
      const count = Array.from(reader).length
      const size = readFileSync(path.join(file('ring'), name)).length
      assert.ok(count > 0 && reader.truncatedAt === undefined && (size <= 1024 || count === 1 || name === names[2]), `${name}: ${count}`)
    }
  })

  test('what is before it is not kept', async () => {
    writeFileSync(file('old.pcapng'), Buffer.alloc(100_000))
    await run('-w', file('old.pcapng'), '-c', '1')
    assert.equal(Array.from(readCapture(file('old.pcapng'))).length, 1)
  })

  test('a stream on standard output', async () => {
    const chunks: Uint8Array[] = []
    const stdout = Object.assign(new TextSink(), { write: (chunk: unknown) => void chunks.push(chunk as Uint8Array) })
    const { code } = await runHere(['capture', '-w', '-', '-c', '4'], { NETLOOM_HOST: daemon.host }, { stdout })
    assert.equal(code, 0)
    assert.equal(Array.from(readCapture(Buffer.concat(chunks))).length, 4)
  })
})

test('what can be captured, and what is', async (context) => {
  const { id, stream } = await new Client(daemon.host).captures.open({ targets: ['lan'], filter: 'arp' })
  context.after(() => stream.destroy())
  const { stdout, code } = await run('--list')
  assert.equal(code, 0)
  assert.match(
    stdout,
    /^POINT +KIND +MAC +ADDRESSES +DESCRIPTION\nlan\/web +endpoint +02:cc:00:00:00:01 +192\.0\.2\.2\/24 +container web\n/
  )
  assert.match(stdout, new RegExp(`\\n${id} +lan +arp +pcapng +\\d+ +7 +`))
  const { points, captures } = JSON.parse((await run('-D', '--json')).stdout) as { points: unknown[]; captures: { id: string }[] }
  assert.deepEqual([points.length, captures.map((capture) => capture.id)], [POINTS.length, [id]])
})

describe('what is wrong is told', () => {
  const wrong: readonly (readonly [args: readonly string[], message: RegExp, code: number])[] = [
    [['-s', '10x'], /-s '10x' is not a whole number of bytes, 0 for whole frames, from 0 to 262144/, 2],
    [['-s', '-1'], /-s '-1' is not/, 2],
    [['-c', '0'], /-c '0' is not a whole number of frames, from 1/, 2],
    [['--duration', 'soon'], /--duration 'soon' is not a time such as 10s/, 2],
    [['--duration', '20000d'], /10,000 days at most/, 2],
    [['-w', 'x', '--rotate-size', '10 parsecs'], /--rotate-size '10 parsecs' is not a size/, 2],
    [['-w', 'x', '--rotate-size', '10'], /at least 1024 bytes/, 2],
    [['--rotate-size', '1MB'], /--rotate-size is for a file/, 2],
    [['-w', '-', '--rotate-size', '1MB'], /--rotate-size is for a file/, 2],
    [['-w', 'x', '--rotate-files', '3'], /needs a size/, 2],
    [['-w', ''], /the name of a file/, 2],
    [['--format', 'pcap'], /--format is for a file/, 2],
    [['-w', 'x', '--format', 'erf'], /Allowed choices are pcapng, pcap/, 2],
    [['nobody'], /^Error response from daemon: nothing that can be captured is called nobody\n/, 1],
    [['-f', 'bad ether'], /^Error response from daemon: filter 'bad ether': syntax error\n/, 1],
    [['-w', '/nowhere/at/all.pcapng'], /cannot write the capture file \/nowhere\/at\/all.pcapng: its folder does not exist/, 1],
    [['-w', '/'], /it is a folder/, 1]
  ]
  for (const [args, message, expected] of wrong) {
    test(args.join(' '), async () => {
      const before = daemon.requests.length
      const { code, stderr, stdout } = await run(...args)
      assert.match(stderr, message)
      assert.deepEqual([code, stdout, daemon.requests.length], [expected, '', before])
    })
  }

  test('a terminal is no place for a capture', async () => {
    const { code, stderr } = await runHere(['capture', '-w', '-'], { NETLOOM_HOST: daemon.host }, { stdout: new TextSink({ columns: 80 }) })
    assert.equal(code, 2)
    assert.match(stderr, /standard output is a terminal/)
  })

  test('a folder that may not be written', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false }, async () => {
    mkdirSync(file('closed'))
    chmodSync(file('closed'), 0o500)
    const { code, stderr } = await run('-w', path.join(file('closed'), 'a.pcapng'))
    assert.equal(code, 1)
    assert.match(stderr, /permission denied/)
  })

  test('a full disk', async () => {
    const { code, stderr } = await run('-w', '/dev/full')
    assert.equal(code, 1)
    assert.match(stderr, /cannot write the capture file \/dev\/full: no space left on the device/)
    assert.match(stderr, /0 frames captured/)
  })

  test('no daemon', async () => {
    const { code, stderr } = await runHere(['capture'], { NETLOOM_HOST: 'unix:///nowhere/d.sock' })
    assert.equal(code, 1)
    assert.match(stderr, /Is the netloom daemon running/)
  })

  test('a daemon that goes', async () => {
    const other = new FakeCaptures()
    await other.start()
    const stdout = new TextSink()
    const running = runHere(['capture', '-w', file('cut.pcapng')], { NETLOOM_HOST: other.host }, { stdout })
    const size = (): number => (existsSync(file('cut.pcapng')) ? statSync(file('cut.pcapng')).size : 0)
    while (size() < 10_000) await new Promise((resolve) => setImmediate(resolve))
    await other.end()
    const { code, stderr } = await running
    assert.equal(code, 1)
    assert.match(stderr, /the daemon ended the capture/)
    const reader = readCapture(file('cut.pcapng'))
    assert.ok(Array.from(reader).length > 10 && reader.truncatedAt === undefined)
  })
})

describe('over the API', () => {
  test('a capture is stopped by its id, by anyone, once', async () => {
    const client = new Client(daemon.host)
    const { id, stream } = await client.captures.open({})
    const all = stream.toArray() as Promise<Uint8Array[]>
    const { frames } = await client.captures.stop(id)
    assert.equal(Array.from(readCapture(Buffer.concat(await all))).length, frames)
    await assert.rejects(client.captures.stop(id), { status: 404, message: `no capture ${id} runs` })
  })

  test('a client that goes ends its capture', async () => {
    const { stream } = await new Client(daemon.host).captures.open({})
    stream.destroy()
    while (daemon.captures().length > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  test('a bad request is refused before anything is captured', async () => {
    const client = new Client(daemon.host)
    const bad = (request: unknown): Promise<unknown> => client.captures.open(request as object)
    await assert.rejects(bad({ format: 'erf' }), { status: 400, message: "format 'erf' must be pcapng or pcap" })
    await assert.rejects(bad({ snapLength: -1 }), { status: 400, message: /cannot unmarshal number -1/ })
    await assert.rejects(bad({ targets: 5 }), { status: 400, message: /CaptureRequest.targets/ })
  })
})
