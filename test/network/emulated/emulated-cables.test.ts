/** Links between stations of a lab, shaped while they stand: two stations and a router in virtual time. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { CaptureService } from '../../../src/daemon/capture-service.ts'
import { Random } from '../../../src/engine/index.ts'
import { AddressSpace } from '../../../src/ipam/address-space.ts'
import { CaptureControl } from '../../../src/network/capture-control.ts'
import { NetworkController } from '../../../src/network/controller.ts'
import { elementRegistry } from '../../../src/network/element-registry.ts'
import { EmulatedCables } from '../../../src/network/emulated/emulated-cables.ts'
import { EmulatedLan } from '../../../src/network/emulated/emulated-lan.ts'
import { addRouter } from '../../../src/network/emulated/emulated-router.ts'
import { addStation } from '../../../src/network/emulated/emulated-station.ts'
import { InlineEngine } from '../../../src/network/inline-engine.ts'
import { LinkControl } from '../../../src/network/link-control.ts'
import type { PingResult } from '../../../src/stack/pinger.ts'

let engine: InlineEngine
let cables: EmulatedCables
let control: LinkControl

beforeEach(async () => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  cables = new EmulatedCables(engine)
  const lan = await EmulatedLan.create(engine, 'lan')
  const far = await EmulatedLan.create(engine, 'far')
  await addRouter(engine, 'edge', {
    interfaces: [
      { lan, addresses: ['192.0.2.254/24'] },
      { lan: far, addresses: ['198.51.100.254/24'] }
    ],
    cables
  })
  await addStation(engine, 'a', lan, { addresses: ['192.0.2.1/24'], gateway: '192.0.2.254', cables })
  await addStation(engine, 'b', far, { addresses: ['198.51.100.1/24'], gateway: '198.51.100.254', cables })
  const addresses = new AddressSpace()
  control = new LinkControl(new NetworkController({ engine, addresses, random: new Random(1) }), cables)
})

/** Milliseconds of an echo from a to b and back; null: none came. */
async function ping(): Promise<number | null> {
  const result = await engine.settle(engine.command('station/a', 'ping', { address: '198.51.100.1', timeoutMs: 5000 }))
  const { received, rttNs } = result as PingResult
  return received === 1 ? Math.round(rttNs[0]! / 1e6) : null
}

describe('cables', () => {
  test('each direction of each, by its name, and all of an underlay', async () => {
    assert.deepEqual([...cables].map(({ name }) => name).sort(), ['a/eth0', 'b/eth0', 'edge/eth0', 'edge/eth1'])
    await ping() // neighbors are known from here on
    assert.equal(await ping(), 0)
    await control.setLink({ target: 'a/eth0', direction: 'out', words: ['delay', '10ms'] })
    await control.setLink({ target: 'b/eth0', words: ['delay', '3ms'] })
    assert.equal(await ping(), 16)
    await control.setLink({ target: 'edge/eth1', direction: 'in', words: ['delay', '100ms'] })
    assert.equal(await ping(), 116)
    assert.deepEqual(
      control.links().map(({ network, endpoint, underlay, out, in: inward }) => [network, endpoint, underlay, out, inward]),
      [
        ['', 'a/eth0', 'lan', 'delay 10ms', ''],
        ['', 'b/eth0', 'far', 'delay 3ms', 'delay 3ms'],
        ['', 'edge/eth1', 'far', '', 'delay 100ms']
      ]
    )
    await control.setLink({ target: 'far', words: ['delay', '1ms'] })
    assert.equal(await ping(), 14)
    for (const target of ['lan', 'far']) await control.setLink({ target, words: [] })
    assert.equal(await ping(), 0)
    assert.equal(await engine.framesInUse(), 0)
  })

  test('down and up, and what was set holds again', async () => {
    await control.setLink({ target: 'a/eth0', words: ['delay', '10ms'] })
    await ping()
    await control.setLink({ target: 'a/eth0', direction: 'in', words: ['down'] })
    assert.equal(await ping(), null)
    assert.equal(control.links()[0]!.in, 'down delay 10ms')
    await control.setLink({ target: 'a/eth0', words: ['up'] })
    assert.equal(await ping(), 20)
  })

  test('losses by a filter', async () => {
    await ping()
    await control.setLink({ target: 'b/eth0', direction: 'in', words: ['loss', '100%', 'filter', 'udp port 9'] })
    assert.equal(await ping(), 0)
    await control.setLink({ target: 'b/eth0', direction: 'in', words: ['loss', '100%', 'filter', 'icmp[icmptype] == icmp-echo'] })
    assert.equal(await ping(), null)
    assert.equal(control.links()[0]!.counters['in.lost'], 1)
  })

  test('captured at the station, shaped or not', async () => {
    const isCaptured = (): boolean => engine.elementCounters('link/a/eth0/capture') !== undefined
    await ping()
    for (const words of [[], ['delay', '1ms']]) {
      await cables.setCapture(({ name }) => (name === 'a/eth0' ? {} : undefined))
      await control.setLink({ target: 'a/eth0', words })
      assert.deepEqual([await ping(), isCaptured()], [words.length, true])
      await cables.setCapture(null)
      assert.deepEqual([await ping(), isCaptured()], [words.length, false])
    }
  })

  test('what captures tell of them', async () => {
    const captures = new CaptureControl({ engine, section: {} })
    captures.addCables(cables)
    await control.setLink({ target: 'a/eth0', direction: 'out', words: ['rate', '10mbit'] })
    const rows = new CaptureService(captures, 'host1').capturePoints().sort((a, b) => (a.name < b.name ? -1 : 1))
    assert.deepEqual(
      rows.map(({ name, mac, addresses, network, link, speed }) => [name, mac, addresses.join(), network, link, speed]),
      [
        ['a/eth0', '02:42:c0:00:02:01', '192.0.2.1/24', 'lan', 'a/eth0', 10_000_000],
        ['b/eth0', '02:42:c6:33:64:01', '198.51.100.1/24', 'far', 'b/eth0', 10_000_000_000],
        ['edge/eth0', '02:42:c0:00:02:fe', '192.0.2.254/24', 'lan', 'edge/eth0', 10_000_000_000],
        ['edge/eth1', '02:42:c6:33:64:fe', '198.51.100.254/24', 'far', 'edge/eth1', 10_000_000_000]
      ]
    )
    await captures.close()
  })

  test('what is not there, and what cannot be', async () => {
    await assert.rejects(control.setLink({ target: 'c/eth0', words: ['down'] }), {
      code: 'not-found',
      message: /interface or underlay is called c\/eth0/
    })
    await assert.rejects(control.setLink({ target: 'lan', words: ['loss', '2'.repeat(9)] }), {
      code: 'invalid',
      message: /loss.probability/
    })
    assert.deepEqual(control.links(), [])
    assert.throws(() => cables.add([...cables][0]!), { code: 'conflict' })
  })
})
