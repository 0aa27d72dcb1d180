/** Behind a router with NAT, over links that draw, with names: the same seed writes the same capture. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { LinkSettings } from '../../src/elements/netem/link-settings.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { CaptureControl } from '../../src/network/capture-control.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { VirtualUplink, WORLD_ADDRESS } from './virtual-uplink.ts'

const RUNS = 10
const LINK: LinkSettings = {
  delay: { meanNs: 3e6, jitterNs: 1e6 },
  loss: { model: 'random', probability: 0.05 },
  duplicate: { probability: 0.05 }
}
const DATA = new TextEncoder().encode('hello')

/** Two hosts ask for each other, then for the world outside; gives the capture's digest and how many datagrams came back from there. */
async function run(seed: number, file: string): Promise<{ digest: string; back: number }> {
  const engine = new InlineEngine({ elements: elementRegistry(), seed })
  const uplink = new VirtualUplink({ udpEcho: [7] })
  const controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random(`${seed}/ids`), uplink })
  await controller.createNetwork({ name: 'lan', subnet: '198.51.100.0/24' })
  for (const name of ['a', 'b']) {
    await controller.connect('lan', { name }, (begun, { pool }) => ({
      type: 'host',
      options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway, udpEcho: [7] }
    }))
  }
  await controller.setLinks('lan', { out: LINK, in: LINK })
  const captures = new CaptureControl({ engine, section: { application: 'netloom', comment: `seed ${seed}` } })
  captures.addHost('', controller)
  const capture = await captures.open({ everyPort: true }, { path: file })
  let back = 0
  for (const host of ['lan/a', 'lan/b']) engine.listen(host, () => back++)
  const talk = async (host: string, peer: string): Promise<void> => {
    const { port } = (await engine.command(host, 'udpBind', { port: 0 })) as { port: number }
    for (let round = 0; round < 20; round++) {
      await engine.command(host, 'resolve', { name: peer, family: 4 }).catch(() => {})
      await engine.command(host, 'udpSend', { port, address: WORLD_ADDRESS, toPort: 7, data: DATA }).catch(() => {})
      await engine.command(host, 'ping', { address: WORLD_ADDRESS, timeoutMs: 50 })
    }
  }
  await engine.settle(Promise.all([talk('lan/a', 'b'), talk('lan/b', 'a')]))
  await capture.stop()
  await controller.close()
  return {
    digest: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
    back
  }
}

test('NAT, links and names: the same seed writes the same capture, another seed another one', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-nat-'))
  try {
    const file = path.join(folder, 'nat.pcapng')
    const first = await run(3, file)
    assert.ok(first.back > 20, `${first.back} datagrams came back through the NAT`)
    for (let again = 1; again < RUNS; again++) assert.deepEqual(await run(3, file), first)
    assert.notEqual((await run(4, file)).digest, first.digest)
  } finally {
    await rm(folder, { recursive: true })
  }
})
