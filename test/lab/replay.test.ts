/** Captures as endpoints of a lab, and recordings that come out again as they were. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Lab, readCapture, verifyRecording } from '../../src/index.ts'
import { LinkControl } from '../../src/network/link-control.ts'

let folder = ''
let recorded = ''
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-replay-'))
  recorded = path.join(folder, 'recorded.pcapng')
  await record(recorded, true)
})
after(() => rm(folder, { recursive: true }))

/** Names, echoes, datagrams, fragments, IPv6, a host that comes later. */
async function record(file: string, everyPort: boolean): Promise<void> {
  await using lab = await Lab.create({ clock: 'virtual', seed: 'recorded' })
  await lab.capture(file, { everyPort })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  const alice = await lan.host('alice', { udpEcho: [7] })
  const bob = await lan.host('bob', { udpEcho: [7] })
  await lab.run(async () => {
    await alice.ping('bob', { count: 3, intervalMs: 100 })
    await alice.ping(lan.gateway!, { count: 2, intervalMs: 50 })
    await bob.ping('2001:db8::2', { count: 2, intervalMs: 50 })
    const socket = await alice.udp()
    await socket.send(bob.address, 7, new Uint8Array(4000).fill(1))
    await socket.receive()
    await lab.wait(500)
    const carol = await lan.host('carol')
    await carol.ping('alice', { count: 2 })
    await assert.rejects(carol.resolve('nobody'))
  })
}

describe('a capture as an endpoint', () => {
  test('plays what one interface of it has, at its time and over again, and answers nothing', async () => {
    await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    const bob = await lan.host('bob', { ip: '192.0.2.3' })
    const options = { ip: '192.0.2.2', interface: 'lan/alice', filter: 'icmp and src host 192.0.2.2', delayMs: 250 }
    const player = await lan.replay('player', recorded, { ...options, loop: 3 })
    await lab.run(async () => {
      await lab.wait(240)
      assert.equal(player.status().sent, 0)
    })
    const { sent, refused } = await lab.run(() => player.done)
    assert.deepEqual(refused, {})
    // Three echoes of bob and two of the gateway, and two answers for carol, whose questions came from elsewhere.
    assert.equal(sent, 3 * 7)
    assert.equal(bob.counters().drops['stack.unresolved'] ?? 0, 0)
    await assert.rejects(lan.host('other', { ip: '192.0.2.2' }), 'it has its address')
    await player.remove()
    await lan.host('other', { ip: '192.0.2.2' })
    assert.equal(await lab.framesInUse(), 0)
  })

  test('what it cannot be is told before it is plugged in', async () => {
    await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    await assert.rejects(lan.replay('player', '/nowhere.pcap'), { code: 'ENOENT' })
    await assert.rejects(lan.replay('player', Buffer.from('<html>')), { code: 'CAPTURE_FORMAT' })
    await assert.rejects(lan.replay('player', recorded, { loop: 0 }), { code: 'invalid' })
    await assert.rejects(lan.replay('player', recorded, { speed: -1 }), { code: 'invalid' })
    await assert.rejects(lan.replay('player', recorded, { filter: 'port' }), { code: 'CAPTURE_FILTER' })
    await assert.rejects(lan.replay('player', recorded, { map: ['x'] }), { code: 'invalid' })
    assert.equal(lan.network.endpoints.size, 0)
  })
})

describe('a recording under the virtual clock', () => {
  test('comes out as it was, byte by byte, whatever the seed', async () => {
    for (const seed of [1, 'other']) {
      const { isSame, ports, leftOut, seconds } = await verifyRecording(recorded, { seed })
      assert.deepEqual(
        ports.flatMap(({ differences }) => differences),
        []
      )
      assert.ok(isSame)
      assert.deepEqual(leftOut, [])
      assert.ok(seconds > 1)
      assert.deepEqual(
        ports.map(({ port }) => port),
        ['lan/alice', 'lan/bob', 'lan/carol']
      )
      assert.ok(ports.every(({ recorded, same }) => recorded > 3 && same === recorded))
    }
  })

  test('what comes out otherwise is told in words', async () => {
    const reader = readCapture(await readFile(recorded))
    const bytes = Buffer.from(await readFile(recorded))
    // The last byte of an answer that bob sent: alice gets another one than she got.
    let place = -1
    for (let frame = reader.read(), at = 0; frame !== undefined; at = reader.position, frame = reader.read()) {
      const isFromBob = reader.interfaces[frame.interface].name === 'lan/bob' && (frame.flags! & 3) === 1
      if (isFromBob && frame.data[12] === 8 && frame.data[23] === 1) place = at + 28 + frame.data.length - 1
    }
    assert.ok(place > 0)
    bytes[place] ^= 0xff
    const { isSame, ports } = await verifyRecording(bytes)
    assert.ok(!isSame)
    const differences = ports.flatMap((port) => port.differences)
    assert.deepEqual(
      differences.map(({ port, kind }) => [port, kind]),
      [['lan/alice', 'changed']]
    )
    assert.match(differences[0].recorded!, /192\.0\.2\.3 > 192\.0\.2\.2: ICMP echo reply/)
    assert.equal(differences[0].offset, 97)
  })

  test('elements that are set otherwise show', async () => {
    const prepare = async (lab: Lab): Promise<void> => {
      await new LinkControl(lab.controller).setLink({ target: 'lan', direction: 'out', words: ['loss', 'nth', '2'] })
    }
    const { isSame, ports } = await verifyRecording(recorded, { prepare })
    assert.ok(!isSame)
    assert.ok(ports.some(({ differences }) => differences.some(({ kind, played }) => kind === 'missing' && played === null)))
  })

  test('by the command', async () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [path.resolve('bin/netloom.js'), 'replay', ...args], { encoding: 'utf8' })
    const good = run(recorded, '--verify')
    assert.equal(good.status, 0, good.stderr)
    assert.match(
      good.stdout,
      /^PORT +RECORDED +PLAYED +SAME +IN ORDER\nlan\/alice +(\d+) +\1 +\1 +yes\n(.*\n)+the same: \d\.\d+ s of 3 ports\n$/
    )
    const once = path.join(folder, 'command.pcapng')
    await record(once, false)
    const bad = run(once, '--verify')
    assert.equal(bad.status, 1)
    assert.match(bad.stdout, /lan\/bob 0 unexpected\n {2}\+ .*\n(.*\n)*not the same/)
    assert.equal(run(recorded, '--verify', '--into', 'web').status, 2)
  })

  test('a capture that is no recording is refused, with what to do', async () => {
    const once = path.join(folder, 'once.pcapng')
    await record(once, false)
    const { isSame } = await verifyRecording(once)
    assert.ok(!isSame, 'a capture of ingress alone has not what left')
    const pcap = path.join(folder, 'x.pcap')
    await writeFile(pcap, await readFile(path.resolve('test/capture/data/ping.pcap')))
    await assert.rejects(verifyRecording(pcap), { code: 'invalid', message: /no frames that endpoints of netloom sent/ })
    const kept = path.join(folder, 'kept.pcapng')
    await verifyRecording(recorded, { output: kept })
    assert.ok([...readCapture(kept)].length > 10)
  })
})
