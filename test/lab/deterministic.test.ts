import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Lab, readCapture } from '../../src/index.ts'
import { runScenario, udp } from '../../src/testing.ts'

const RUNS = 100
let folder = ''
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-lab-'))
})
after(() => rm(folder, { recursive: true }))

/** Several hosts, names, pings, UDP in both directions, fragments, a bulk transfer, a host that leaves and one that comes. */
async function scenario(seed: number | string, file: string): Promise<Buffer> {
  await using lab = await Lab.create({ clock: 'virtual', seed })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  const capture = await lab.capture(file)
  const names = ['a', 'b', 'c', 'd', 'e']
  const hosts = await Promise.all(names.map((name) => lan.host(name, { udpEcho: [7] })))
  await lab.run(async () => {
    await Promise.all(hosts.map((host, index) => host.ping(names[(index + 1) % names.length], { count: 3, intervalMs: 10 })))
    await Promise.all(
      hosts.map(async (host, index) => {
        const socket = await host.udp()
        const [address] = await host.resolve(names[(index + 2) % names.length])
        for (const size of [1, 1000, 4000]) {
          await socket.send(address, 7, new Uint8Array(size).fill(index))
          assert.equal((await socket.receive()).data.length, size)
        }
      })
    )
    await hosts[4].remove()
    const late = await lan.host('late')
    await late.bulk('a', await hosts[0].sink(), { bytes: 100_000 })
  })
  await capture.close()
  assert.equal(await lab.framesInUse(), 0)
  return readFile(file)
}

test(`the same seed writes the same capture, ${RUNS} times`, async () => {
  const digests = new Set<string>()
  for (let run = 0; run < RUNS; run++) {
    const bytes = await scenario(42, path.join(folder, 'same.pcapng'))
    digests.add(createHash('sha256').update(bytes).digest('hex'))
  }
  assert.equal(digests.size, 1)
})

/** Links that lose, delay, reorder, corrupt and queue, names asked for over them, faults. */
async function troubled(lab: Lab): Promise<void> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  await lan.setLinks('delay 5ms 2ms distribution normal loss 3% duplicate 2% corrupt 1% reorder 5% rate 2mbit')
  const hosts = await Promise.all(['a', 'b', 'c', 'd'].map((name) => lan.host(name, { udpEcho: [7] })))
  lab.faults.drop(udp({ dstPort: 7 }), { nth: 5 })
  lab.at('400 ms', () => hosts[3].link.cut())
  lab.at('900 ms', () => hosts[3].link.restore())
  await Promise.all(
    hosts.map(async (host, index) => {
      const socket = await host.udp()
      for (let round = 0; round < 20; round++) {
        const [address] = await host.resolve(hosts[(index + 1 + (round % 3)) % 4].name)
        await socket.send(address, 7, new Uint8Array(100 * (index + 1))).catch(() => {})
        await lab.wait(50)
      }
    })
  )
}

test('links that draw, and faults: the same seed writes the same capture, another one another', async () => {
  const digest = async (seed: number): Promise<string> => {
    const capture = path.join(folder, 'troubled.pcapng')
    await runScenario(troubled, { seed, capture })
    return createHash('sha256')
      .update(await readFile(capture))
      .digest('hex')
  }
  const first = await digest(7)
  for (let run = 1; run < RUNS / 10; run++) assert.equal(await digest(7), first)
  assert.notEqual(await digest(8), first)
})

test('another seed draws other numbers', async () => {
  const [one, two] = [await scenario(1, path.join(folder, 'one.pcapng')), await scenario(2, path.join(folder, 'two.pcapng'))]
  assert.notDeepEqual(one, two)
})

test('each frame is in the capture once, in order of time', async () => {
  const file = path.join(folder, 'once.pcapng')
  await scenario(3, file)
  let last = 0n
  let frames = 0
  const seen = new Set<number>()
  for (const packet of readCapture(await readFile(file))) {
    assert.ok(packet.timestampNs >= last)
    last = packet.timestampNs
    frames++
    // A packet id names a frame and what was made of it: the five hosts never write the same one twice.
    const id = Number(packet.packetId)
    assert.ok(!seen.has(id), `packet ${id} is in the file twice`)
    seen.add(id)
  }
  assert.ok(frames > 200, `${frames} frames`)
})
