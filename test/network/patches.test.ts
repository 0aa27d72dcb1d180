/** Whatever changes came, in whatever order: the engine runs the graph that follows from the networks that there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Engine, Random, type Topology } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import type { CapturePlan } from '../../src/network/capture-point.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { DNS_ELEMENT } from '../../src/network/topology-builder.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { VirtualUplink, virtualPart } from './virtual-uplink.ts'
import { wholeTopology } from './whole-topology.ts'

/** In a form that does not depend on the order of changes; without the DNS service's records, which are no options. */
function normal({ elements, links }: Topology): unknown {
  const ends = links.map(({ a, b }) => [a.join('.'), b.join('.')].sort().join(' '))
  return { elements: { ...elements, [DNS_ELEMENT]: null }, links: ends.sort() }
}

test('random changes, some of them refused: the running graph is that of the networks', () => churn(false))

test('the same with a gateway, its filters, and published ports', () => churn(true))

async function churn(hasGateway: boolean): Promise<void> {
  for (let seed = 1; seed <= 6; seed++) {
    const random = seededRandom(seed)
    const engine = new InlineEngine({ elements: elementRegistry(), seed })
    engine.share('sink', { sink: { record() {}, publish() {}, snapLength: 65535 } })
    const addresses = new AddressSpace()
    const uplink = hasGateway ? new VirtualUplink() : undefined
    const controller = new NetworkController({ engine, addresses, random: new Random('ids'), ...(uplink && { uplink }) })
    const { engine: inner } = engine as unknown as { engine: Engine }
    let plan: CapturePlan = () => undefined
    let refused = 0
    const attempt = async (work: Promise<unknown>): Promise<void> => {
      await work.catch(() => refused++)
    }
    for (let step = 0; step < 150; step++) {
      const network = `n${random(4)}`
      const name = `h${random(6)}`
      const spec = { name, sandbox: name, links: { l: `h${random(6)}` } }
      const kind = random(10)
      if (kind === 0)
        await attempt(controller.createNetwork({ name: network, dns: random(3) > 0, icc: random(3) > 0, internal: random(3) === 0 }))
      else if (kind === 1) {
        if (random(3) === 0 && uplink !== undefined) uplink.failures = { add: new Error('no'), remove: new Error('no') }
        await attempt(controller.removeNetwork(network))
      } else if (kind < 6) {
        const bad = random(4) === 0
        await attempt(
          controller.connect(network, spec, (begun) => ({
            type: 'host',
            options: { mac: begun.mac, addresses: endpointAddresses(begun), ...(bad && { mtu: -1 }) }
          }))
        )
      } else if (kind === 6) await attempt(controller.updateEndpoint(network, name, { name: `h${random(6)}`, names: [name] }))
      else if (kind < 9) await attempt(controller.disconnect(network, name))
      else {
        const some = random(3)
        plan = ({ kind, mac }) => {
          const slot = Number.parseInt(mac!.slice(-1), 16)
          return kind === 'endpoint' && slot % 3 < some ? { places: [{ target: 'sink', interface: slot }] } : undefined
        }
        await attempt(controller.setCapture(plan))
      }
      const networks = [...controller.networks.values()]
      if (inner.running.elements[DNS_ELEMENT] === undefined) continue
      const whole = wholeTopology(networks, plan, hasGateway ? virtualPart() : undefined)
      assert.deepEqual(normal(inner.running), normal(whole), `seed ${seed} step ${step}`)
      const expected = networks.reduce((sum, { pool, endpoints }) => sum + (pool.used === BigInt(3 + endpoints.size) ? 0 : 1), 0)
      assert.equal(expected, 0, 'addresses taken are those of endpoints')
    }
    assert.ok(refused > 10, `${refused} refused`)
    await controller.close()
  }
}
