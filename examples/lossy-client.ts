/**
 * A test of a client that asks again until it is answered: over a link that loses, through a cut, and for many seeds. It is a test file for
 * any runner whose tests are functions, and a scenario for `netloom sim`:
 *
 *   node --test dist/examples/lossy-client.js
 *   netloom sim dist/examples/lossy-client.js --seeds 1..100
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lab, LabHost } from 'netloom'
import { dns, udp, withLab } from 'netloom/testing'

/** Sends until the echo comes; gives how often. */
async function insist(lab: Lab, client: LabHost, address: string): Promise<number> {
  const socket = await client.udp()
  const answer = socket.receive()
  for (let sent = 1; ; sent++) {
    // The link may also lose every question for the neighbor's MAC address: the host is unreachable then, until it is asked for again.
    await socket.send(address, 7, `attempt ${sent}`).catch(() => {})
    const isAnswered = await Promise.race([answer.then(() => true), lab.wait(500).then(() => false)])
    if (isAnswered) return sent
    assert.ok(sent < 30, 'nobody answers')
  }
}

export async function scenario(lab: Lab): Promise<void> {
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const client = await lan.host('client', { link: 'delay 20ms loss 10%' })
  await lan.host('server', { udpEcho: [7] })
  const [address] = await client.resolve('server')
  await insist(lab, client, address)
}

if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  test('it is answered in the end', () => withLab({ runs: 10 }, scenario))

  test('it outlasts a cut of three seconds', () =>
    withLab(async (lab) => {
      const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
      const client = await lan.host('client')
      const server = await lan.host('server', { udpEcho: [7] })
      await client.ping(server.address)
      const cut = lab.at('1 s', () => client.link.cut())
      lab.at('4 s', () => client.link.restore())
      await cut
      const arrives = lab.expectFrame(udp({ dstPort: 7 }), { at: server, way: 'in', within: '5 s' })
      assert.equal(await insist(lab, client, server.address), 7)
      assert.equal((await arrives).time, 4e9)
    }))

  test('a lost answer of the DNS is asked for again', () =>
    withLab(async (lab) => {
      const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
      const client = await lan.host('client')
      await lan.host('server')
      const lost = lab.faults.drop(dns({ response: true }), { nth: 1 })
      const asked = lab.expectFrame(dns({ name: 'server', response: false }), { count: 2, within: '10 s' })
      await client.resolve('server')
      await asked
      assert.equal(lost.frames.length, 1)
    }))
}
