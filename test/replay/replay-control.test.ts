// Captures of one lab, played into ports of another, under the virtual clock.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { CaptureFormatError } from '../../src/capture/capture-error.ts'
import { InlineCaptureFile } from '../../src/capture/inline-capture-file.ts'
import { Lab, readCapture } from '../../src/index.ts'
import { ReplayControl, type ReplayWish } from '../../src/replay/replay-control.ts'
import { captureSource, type ReplaySource, streamSource } from '../../src/replay/replay-source.ts'
import { MemorySink, recordOf, sampleFrame } from '../capture/sample-capture.ts'

let folder = ''
let recorded = ''
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-replay-'))
  recorded = path.join(folder, 'recorded.pcapng')
  await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const a = await lan.host('a')
  await lan.host('b')
  await lab.capture(recorded)
  await lab.run(() => a.ping('192.0.2.3', { count: 4, intervalMs: 250 }))
})
after(() => rm(folder, { recursive: true }))

/** A lab as the recorded one, in which nobody does anything by himself. */
async function quietLab(): Promise<Lab> {
  const lab = await Lab.create({ clock: 'virtual', seed: 2 })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  await lan.host('a')
  await lan.host('b')
  return lab
}

async function played(lab: Lab, wish: Partial<ReplayWish> = {}, source: ReplaySource = captureSource(recorded)) {
  const control = new ReplayControl(lab.controller)
  return lab.run(async () => (await control.start({ into: 'lan/a', ...wish }, source)).done)
}

/** Nanoseconds within the hour and bytes of the frames that came from `port`; not those that are told of again because they were dropped. */
async function capturedFrom(file: string, port: string): Promise<[number, string][]> {
  const reader = readCapture(await readFile(file))
  const frames: [number, string][] = []
  for (const { data, timestampNs, verdict, interface: index } of reader) {
    if (verdict === undefined && reader.interfaces[index].name === port)
      frames.push([Number(timestampNs % 3_600_000_000_000n), Buffer.from(data).toString('hex')])
  }
  return frames
}

test('the port as captures of a lab call it', async () => {
  await using lab = await quietLab()
  const control = new ReplayControl(lab.controller, 'host1')
  const run = (into: string) => lab.run(async () => (await control.start({ into, limit: 1 }, captureSource(recorded))).done)
  assert.equal((await run('host1/lan/a')).sent, 1)
  assert.equal((await run('host1/a')).sent, 1)
  await assert.rejects(run('host2/lan/a'), { code: 'not-found' })
})

test('frames enter with their bytes and distances, are captured as the port’s own, and are answered', async () => {
  const original = await capturedFrom(recorded, 'lan/a')
  for (const speed of [1, 2.5, 0.5]) {
    const file = path.join(folder, `played-${speed}.pcapng`)
    const lab = await quietLab()
    await lab.capture(file)
    const status = await played(lab, { interface: 'lan/a', speed })
    await lab.close()
    const again = await capturedFrom(file, 'lan/a')
    assert.deepEqual(
      again.map(([, bytes]) => bytes),
      original.map(([, bytes]) => bytes)
    )
    assert.deepEqual(
      again.map(([time]) => time - again[0][0]),
      original.map(([time]) => Math.round((time - original[0][0]) / speed))
    )
    assert.deepEqual(await capturedFrom(file, 'lan/b').then((frames) => frames.length), original.length, 'b answers as it did')
    // The gateway hears the ARP question too.
    assert.deepEqual([status.sent, status.refused, status.dropped], [original.length, {}, { 'stack.notForUs': 1 }])
  }
})

test('as fast as possible: all at one instant, in order; a limit ends it', async () => {
  const file = path.join(folder, 'fast.pcapng')
  const lab = await quietLab()
  await lab.capture(file)
  const status = await played(lab, { interface: 'lan/a', speed: Number.POSITIVE_INFINITY, limit: 3 })
  assert.equal(status.sent, 3)
  await lab.close()
  const frames = await capturedFrom(file, 'lan/a')
  assert.deepEqual(new Set(frames.map(([time]) => time)).size, 1)
  assert.deepEqual(
    frames.map(([, bytes]) => bytes),
    (await capturedFrom(recorded, 'lan/a')).slice(0, 3).map(([, bytes]) => bytes)
  )
})

test('under other addresses: the station that has them answers', async () => {
  await using lab = await Lab.create({ clock: 'virtual', seed: 2 })
  const net = await lab.network('net', { subnet: '198.51.100.0/24' })
  const x = await net.host('x', { ip: '198.51.100.10' })
  const y = await net.host('y', { ip: '198.51.100.20' })
  const original = await capturedFrom(recorded, 'lan/a')
  const map = ['192.0.2.2=198.51.100.10', '192.0.2.3=198.51.100.20', `02:42:c0:00:02:02=${x.mac}`, `02:42:c0:00:02:03=${y.mac}`]
  const status = await played(lab, { into: 'x', interface: 'lan/a', map })
  assert.equal(status.sent, original.length)
  // The ARP question, then the echoes: y has heard and answered each.
  assert.equal(y.counters().counters['rxFrames'], original.length)
  assert.equal(y.counters().counters['txFrames'], original.length)
})

test('what is refused and what is dropped is told by its reason', async () => {
  const sink = new MemorySink()
  const file = InlineCaptureFile.into(sink, { snapLength: 100 })
  file.addInterface({ name: 'eth0' })
  file.record(recordOf(sampleFrame(60)))
  file.record(Object.assign(recordOf(sampleFrame(1000)), { captured: 100 }))
  // To a reserved group: no bridge passes that on.
  const reserved = Buffer.from(sampleFrame(60))
  reserved.set([1, 0x80, 0xc2, 0, 0, 0])
  file.record(recordOf(reserved))
  file.close()
  await using lab = await quietLab()
  const status = await played(lab, {}, captureSource(sink.bytes))
  assert.equal(status.sent, 2)
  assert.deepEqual(status.refused, { 'cut by the snap length of the capture': 1 })
  assert.deepEqual(status.dropped, { 'bridge.reserved': 1, 'stack.notForUs': 2 })
  assert.equal(status.bytes, 120)
  assert.equal(status.position, sink.bytes.length)
})

test('a stream is played as a file is', async () => {
  const bytes = await readFile(recorded)
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100)
  }
  await using lab = await quietLab()
  const status = await played(lab, { interface: 'lan/a' }, streamSource(pieces()))
  assert.equal(status.sent, (await capturedFrom(recorded, 'lan/a')).length)
})

test('two replays into one port at a time', async () => {
  await using lab = await quietLab()
  const control = new ReplayControl(lab.controller)
  const results = await lab.run(async () => {
    const runs = [1, 2].map(() => control.start({ into: 'lan/a', interface: 'lan/a' }, captureSource(recorded)))
    return Promise.all(runs.map(async (run) => (await run).done))
  })
  assert.equal(results[0].sent, results[1].sent)
  assert.equal(await lab.framesInUse(), 0)
})

test('ended early, and by an endpoint that goes', async () => {
  await using lab = await quietLab()
  const control = new ReplayControl(lab.controller)
  await lab.run(async () => {
    const run = await control.start({ into: 'lan/a', interface: 'lan/a' }, captureSource(recorded))
    await lab.wait(300)
    await run.stop()
    const { sent } = await run.done
    // The ARP question and two of four echoes.
    assert.equal(sent, 3)
  })
  await lab.run(async () => {
    const run = await control.start({ into: 'lan/a', interface: 'lan/a' }, captureSource(recorded))
    const rejected = assert.rejects(run.done, { code: 'closed', message: /lan\/a was disconnected while the capture was played/ })
    await lab.wait(300)
    await lab.controller.disconnect('lan', 'a')
    await rejected
  })
  assert.ok(![...lab.controller.engine.counters().keys()].some((name) => name.includes('replay')), 'no element is left')
})

test('what cannot be is refused before anything is played', async () => {
  await using lab = await quietLab()
  const other = await lab.network('other', { subnet: '198.51.100.0/24' })
  await other.host('alone')
  const cases: [Partial<ReplayWish>, string, RegExp][] = [
    [{ into: 'nobody' }, 'not-found', /no endpoint is called nobody/],
    [{ into: 'moon/a' }, 'not-found', /moon/],
    [{ speed: 0 }, 'invalid', /speed 0 must be above 0/],
    [{ speed: Number.NaN }, 'invalid', /speed NaN/],
    [{ limit: 1.5 }, 'invalid', /limit 1.5/],
    [{ map: ['a=b'] }, 'invalid', /'a' is no MAC/],
    [{ interface: 'eth9' }, 'not-found', /the capture has no interface eth9/]
  ]
  for (const [wish, code, message] of cases) await assert.rejects(played(lab, wish), { code, message })
  await assert.rejects(
    played(
      lab,
      {},
      streamSource(
        (async function* () {
          yield Buffer.from('<html>')
        })()
      )
    ),
    CaptureFormatError
  )
  await lab.controller.connect('other', { name: 'both', sandbox: 'one' }, (begun) => ({
    type: 'replay',
    options: { isEndpoint: true, mac: begun.mac }
  }))
  await lab.controller.connect('lan', { name: 'both', sandbox: 'one' }, (begun) => ({
    type: 'replay',
    options: { isEndpoint: true, mac: begun.mac }
  }))
  await assert.rejects(played(lab, { into: 'both' }), { code: 'invalid', fix: 'write lan/both or other/both' })
})

test('a capture that is damaged in the middle: the frames before, then the error', async () => {
  const bytes = Buffer.from(await readFile(recorded))
  const reader = readCapture(bytes)
  for (let frame = reader.read(), count = 0; frame !== undefined && count < 3; frame = reader.read()) count++
  bytes.writeUInt32LE(0xfffffff0, reader.position + 4)
  await using lab = await quietLab()
  const control = new ReplayControl(lab.controller)
  const run = await control.start({ into: 'lan/a' }, captureSource(bytes))
  await lab.run(() => assert.rejects(run.done, CaptureFormatError))
  assert.equal(run.status().sent, 4)
})
