/** Recordings of labs with a way out: what went through router and NAT comes out again, also of flows that began outside. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Lab, readCapture, verifyRecording } from '../../src/index.ts'
import { parseUplinkWords, uplinkWords } from '../../src/network/uplink-words.ts'
import { temporaryFolder } from '../capture/judge.ts'
import { OUR_ADDRESS, VirtualUplink, virtualPart, WORLD_ADDRESS, WORLD_ELEMENT } from '../network/virtual-uplink.ts'

const WEB = '198.51.100.2'

async function publish(lab: Lab): Promise<void> {
  const { id } = lab.controller.network('lan')
  const port = { key: 'web', protocol: 'udp', address: '0.0.0.0', port: 8080, target: WEB, targetPort: 7, network: id } as const
  await lab.controller.publish([port])
}

/** Two networks behind one NAT: echoes, datagrams, errors, the same source port twice, a published port, a name by its alias. */
/** Name servers outside, 30 ms away: everybody is at 203.0.113.99. */
async function outside(lab: Lab | undefined, query: Uint8Array): Promise<Uint8Array> {
  await lab!.wait(30)
  const end = query.indexOf(0, 12) + 5
  const answer = Uint8Array.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 99)
  const message = Buffer.concat([query.subarray(0, end), answer])
  message.writeUInt16BE(0x8180, 2)
  message.writeUInt16BE(1, 6)
  message.writeUInt32BE(0, 8)
  return message
}

async function record(file: string): Promise<void> {
  let started: Lab | undefined
  const forward = ({ query }: { query: Uint8Array }): Promise<Uint8Array> => outside(started, query)
  const control = { uplink: new VirtualUplink({ udpEcho: [7] }), forward }
  await using lab = await Lab.create({ clock: 'virtual', seed: 'recorded', description: 'a way out, with a comma', control })
  started = lab
  await lab.capture(file, { everyPort: true, comment: 'as it was' })
  const lan = await lab.network('lan', { subnet: '198.51.100.0/24' })
  const back = await lab.network('back', { subnet: '203.0.113.0/24' })
  const web = await lan.host('web', { udpEcho: [7], aliases: ['www', 'site'] })
  const [client, far] = [await lan.host('client'), await back.host('far')]
  await publish(lab)
  const world = (verb: string, argument: object): Promise<unknown> => lab.controller.engine.command(WORLD_ELEMENT, verb, argument)
  await lab.run(async () => {
    assert.equal((await client.ping(WORLD_ADDRESS, { count: 3, intervalMs: 100 })).received, 3)
    assert.deepEqual(await client.resolve('www'), [WEB])
    assert.deepEqual(await client.resolve('outside.example'), ['203.0.113.99'])
    for (const host of [client, far]) {
      const socket = await host.udp(5000)
      await socket.send(WORLD_ADDRESS, 7, new Uint8Array(3000).fill(1))
      assert.equal((await socket.receive()).data.length, 3000)
      await socket.send(WORLD_ADDRESS, 9, 'nobody listens').catch(() => {})
      await lab.wait(50)
    }
    const { port } = (await world('udpBind', { port: 0 })) as { port: number }
    await world('udpSend', { port, address: OUR_ADDRESS, toPort: 8080, data: Uint8Array.of(1, 2, 3) })
    await far.ping(WEB, { timeoutMs: 100 })
    await lab.wait(500)
  })
  await web.remove()
}

test('what went out by NAT and came back is the same, byte by byte', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'recorded.pcapng')
  await record(file)
  const played = path.join(folder, 'played.pcapng')
  const { ports, leftOut, isSame } = await verifyRecording(file, { prepare: publish, output: played })
  for (const { port, differences } of ports) assert.deepEqual(differences, [], port)
  assert.ok(isSame)
  assert.deepEqual(leftOut, [])
  assert.deepEqual(
    ports.map(({ port, same }) => [port, same > 1]),
    ['uplink', 'lan/web', 'lan/client', 'back/far'].map((port) => [port, true])
  )
  const names = [readCapture(file), readCapture(played)].map((reader) => [[...reader].length > 0, reader.names.map((entry) => entry.names)])
  assert.deepEqual(names[0], names[1], 'aliases and their order come out of the recording')
})

test('with another seed than the recorded one, the port that was drawn is another', async (t) => {
  const file = path.join(temporaryFolder(t), 'recorded.pcapng')
  await record(file)
  const { ports } = await verifyRecording(file, { prepare: publish, seed: 1 })
  assert.deepEqual(
    ports.filter(({ differences }) => differences.length > 0).map(({ port }) => port),
    ['uplink', 'back/far'],
    'the second flow from port 5000, and its answers'
  )
})

test('a NAT that is set otherwise shows', async (t) => {
  const file = path.join(temporaryFolder(t), 'recorded.pcapng')
  await record(file)
  const { ports } = await verifyRecording(file)
  const differing = ports.filter(({ differences }) => differences.length > 0).map(({ port }) => port)
  assert.ok(differing.includes('lan/web'), 'the port was not published')
  const others = await verifyRecording(file, { prepare: publish, nat: { portRange: [40_000, 40_001] } })
  assert.ok(!others.isSame, 'the second flow from port 5000 has another port outside')
})

test('a way out in words, and back', () => {
  const part = virtualPart()
  const { interface: station, ...rest } = parseUplinkWords(uplinkWords(part))
  assert.equal(uplinkWords(part), `mtu 1500, snat ${OUR_ADDRESS}, route 0.0.0.0/0 via ${WORLD_ADDRESS}, host ${OUR_ADDRESS}`)
  assert.deepEqual(station, { mtu: 1500, snat: OUR_ADDRESS })
  assert.deepEqual(rest, { routes: part.routes, hostAddresses: part.hostAddresses })
  const full = {
    interface: { mtu: 9000, snat: '192.0.2.1', snat6: '2001:db8::1', noDecrement: true, proxyArp: true },
    routes: { '0.0.0.0/0': { via: '192.0.2.9' }, '192.0.2.0/24': {}, '::/0': { via: 'fe80::1' } },
    hostAddresses: ['192.0.2.1', '2001:db8::1'],
    servesLoopback: true
  }
  assert.deepEqual(parseUplinkWords(uplinkWords(full)), full)
  assert.deepEqual(parseUplinkWords(''), { interface: { mtu: 1500 }, routes: {}, hostAddresses: [] })
})

test('a capture tells the addresses that the host has when it begins', async () => {
  const uplink = new VirtualUplink()
  await using lab = await Lab.create({ clock: 'virtual', control: { uplink } })
  uplink.world!.hostAddresses([OUR_ADDRESS, '192.0.2.77'])
  await lab.network('lan')
  const { comment } = lab.controller.capturePoints().find(({ kind }) => kind === 'uplink')!
  assert.deepEqual(parseUplinkWords(comment!).hostAddresses, [OUR_ADDRESS, '192.0.2.77'])
})
