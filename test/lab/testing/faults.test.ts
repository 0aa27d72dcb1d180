/** Fault scripts: what is broken on purpose, and when. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type Lab, type LabHost, type LabNetwork, readCapture } from '../../../src/index.ts'
import { arp, dns, ethernet, icmp, ipv4, udp, withLab } from '../../../src/testing.ts'

const quiet = { seed: 1, print: () => {} } as const

async function hosts(lab: Lab, names: readonly string[]): Promise<{ lan: LabNetwork; all: LabHost[] }> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const all: LabHost[] = []
  for (const name of names) all.push(await lan.host(name, { udpEcho: [7] }))
  // MACs are known before anything is broken.
  for (const host of all) await host.ping(all[0].address)
  return { lan, all }
}

const ping = async (from: LabHost, to: LabHost, count = 1): Promise<number> =>
  (await from.ping(to.address, { count, intervalMs: 10, timeoutMs: 10 })).received

test('the third of some frames is dropped, and only that', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b', 'c'])
    const [a, b, c] = all
    const fault = lab.faults.drop(ipv4({ src: a.address }), icmp({ type: 8 }), { nth: 3 })
    assert.equal(await ping(c, b, 5), 5)
    assert.equal(await ping(a, b, 5), 4)
    assert.deepEqual(
      fault.frames.map(({ at, way }) => [at, way]),
      [['lan/a', 'out']]
    )
    assert.match(fault.frames[0].text, /ICMP echo request, id \d+, seq 3/)
    assert.equal(lab.report()[0].drops['probe.fault'], 1)
  }))

test('from the second on, two; all until it is removed; at one end only', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b', 'c'])
    const [a, b, c] = all
    lab.faults.drop(icmp({ type: 8 }), { nth: 2, count: 2 })
    assert.equal(await ping(a, b, 5), 3)
    const all8 = lab.faults.drop(icmp({ type: 8 }), { at: b, way: 'in' })
    assert.deepEqual([await ping(a, b, 2), await ping(a, c, 2)], [0, 2])
    all8.remove()
    assert.equal(await ping(a, b, 2), 2)
    assert.equal(all8.frames.length, 2)
  }))

test('a lost answer of the DNS is asked for again after five seconds', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b'])
    lab.faults.drop(dns({ response: true }), { count: 1 })
    const asked = lab.now
    assert.deepEqual(await all[0].resolve('b'), [all[1].address])
    assert.equal(lab.now - asked, 5e9)
  }))

test('duplicates arrive, corrupted frames do not', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b'])
    const [a, b] = all
    const service = await b.udp(9)
    const client = await a.udp()
    lab.faults.duplicate(udp({ dstPort: 9 }), { nth: 2, copies: 2 })
    lab.faults.corrupt(udp({ dstPort: 9 }), { nth: 3 })
    const arrived: string[] = []
    const listen = async (): Promise<void> => {
      for (;;) arrived.push(new TextDecoder().decode((await service.receive()).data))
    }
    listen().catch(() => {})
    for (const text of ['one', 'two', 'three', 'four']) await client.send(b.address, 9, text)
    await lab.wait(1)
    assert.deepEqual(arrived, ['one', 'two', 'two', 'two', 'four'])
    const { drops } = lab.report()[0]
    assert.equal((drops['stack.badChecksum'] ?? 0) + (drops['stack.malformed'] ?? 0) + (drops['stack.notForUs'] ?? 0), 1)
  }))

test('a corrupted frame is in the capture as it was sent and as it arrived', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-faults-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = path.join(folder, 'corrupted.pcapng')
  await withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b'])
    const capture = await lab.capture(file)
    lab.faults.corrupt(icmp({ type: 8 }), { nth: 2 })
    assert.equal(await ping(all[0], all[1], 3), 2)
    await capture.close()
  })
  const byPacket = new Map<unknown, Uint8Array[]>()
  for (const { packetId, data } of readCapture(file)) byPacket.set(packetId, [...(byPacket.get(packetId) ?? []), data])
  const twice = [...byPacket.values()].filter((frames) => frames.length > 1)
  assert.equal(twice.length, 1)
  const [sent, arrived] = twice[0]
  const flipped = [...sent].map((byte, at) => byte ^ arrived[at]).filter((bits) => bits !== 0)
  assert.ok(flipped.length === 1 && Number.isInteger(Math.log2(flipped[0])), `${flipped}`)
})

test('a link is cut at two seconds and whole again at five', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b'])
    const [a, b] = all
    lab.at('2 s', () => a.link.cut())
    lab.at('5 s', () => a.link.restore())
    const arrived: number[] = []
    for (const time of [1, 1.9, 2.1, 3, 4.9, 5.1]) {
      await lab.wait(time * 1000 - lab.now / 1e6)
      if ((await b.ping(a.address, { timeoutMs: 1 })).received === 1) arrived.push(time)
    }
    assert.deepEqual(arrived, [1, 1.9, 5.1])
    assert.ok(lab.report().some(({ drops }) => drops['probe.cut'] === 3))
  }))

test('a partition keeps groups apart, and heals', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b', 'c', 'd'])
    const [a, b, c, d] = all
    const split = lab.faults.partition([a, b], ['lan/c'])
    assert.deepEqual([await ping(a, b), await ping(a, c), await ping(c, b), await ping(c, d), await ping(a, d)], [1, 0, 0, 1, 1])
    assert.deepEqual(await c.resolve('a'), [a.address])
    split.heal()
    // What was asked for in vain is asked for again after a second.
    await lab.wait(1000)
    assert.deepEqual([await ping(a, c), await ping(c, b)], [1, 1])
  }))

test('a rebooted host forgets its neighbors and sockets, refuses what waits, and comes back', () =>
  withLab(quiet, async (lab) => {
    const { all } = await hosts(lab, ['a', 'b'])
    const [a, b] = all
    const socket = await a.udp(5000)
    const waiting = assert.rejects(socket.receive(), { code: 'closed' })
    const pinging = assert.rejects(a.ping(b.address, { count: 3 }), /the host ended before all answers came/)
    await lab.wait(1500)
    const rebooted = lab.faults.reboot(a, { downFor: '10 s' })
    await waiting
    await pinging
    await assert.rejects(a.ping(b.address), { code: 'closed', message: 'a is down' })
    assert.equal(await ping(b, a), 0)
    await rebooted
    assert.equal(lab.now, 11.5e9)
    const asks = lab.expectFrame(ethernet({ src: a.mac }), arp({ operation: 'request', targetIp: b.address }))
    assert.equal(await ping(a, b), 1)
    await asks
    assert.equal((await a.udp(5000)).port, 5000)
    assert.equal(await ping(b, a), 1)
  }))

test('what is done at a set time and fails ends the script', async () => {
  const failing = withLab(quiet, async (lab) => {
    lab.at('3 s', () => {
      throw new Error('no such luck')
    })
    await lab.wait(10_000)
  })
  await assert.rejects(failing, /no such luck/)
  await withLab(quiet, async (lab) => {
    await lab.wait(10)
    assert.throws(() => lab.at('5 ms', () => {}), { code: 'invalid', message: 'at: 0.005 s is past, it is 0.01 s' })
    assert.throws(() => lab.faults.drop(udp(), { nth: 0 }), { code: 'invalid', message: 'nth: 0 is not a whole number from 1' })
    assert.throws(() => lab.faults.partition(['a']), { code: 'invalid' })
  })
})
