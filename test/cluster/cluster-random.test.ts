// Many daemons at once do random things at the same networks, over links that lose messages and fail, and some die and return.
// Afterwards the store's books agree with its records, and everybody's copy with the store. NETLOOM_FUZZ=long: many seeds.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { ClusterEndpointSpec } from '../../src/cluster/cluster-records.ts'
import { Random } from '../../src/engine/random.ts'
import { IpamError } from '../../src/ipam/ipam-error.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'
import { checkStore } from './invariants.ts'
import { type Daemon, SimulatedCluster } from './simulated-cluster.ts'

const RUNS = process.env['NETLOOM_FUZZ'] === 'long' ? 200 : 5
const DAEMONS = 8
const STEPS = 60

interface Host {
  readonly name: string
  daemon: Daemon
  readonly random: Random
  /** What the daemon was told that it has. */
  readonly has: Map<string, ClusterEndpointSpec>
  isDown: boolean
}

async function run(seed: number): Promise<void> {
  const simulation = new SimulatedCluster({ seed, loss: 0.02 })
  const hosts: Host[] = []
  for (let index = 1; index <= DAEMONS; index++) {
    const name = `h${index}`
    hosts.push({ name, daemon: await simulation.start(name), random: new Random(`${seed}/${name}`), has: new Map(), isDown: false })
  }
  const answers = { done: 0, refused: 0 }
  const expected = (error: unknown): void => {
    // What may be said of a store that loses messages, and of names and networks that others have or have removed.
    const isExpected = error instanceof ClusterError ? error.code !== 'invalid' && error.code !== 'closed' : error instanceof IpamError
    if (!isExpected) throw error
    answers.refused++
  }
  const act = async (host: Host): Promise<void> => {
    if (host.isDown) return
    const { random, has } = host
    const { daemon } = host
    const { cluster, link } = daemon
    const networks = [...cluster.networks().keys()]
    const network = networks[random.below(Math.max(1, networks.length))]
    const chance = random.next()
    if (chance < 0.1)
      await cluster.createNetwork(
        simulation.network(
          `n${random.below(4)}-${random.below(1e9)}`,
          random.next() < 0.5 ? undefined : `10.${random.below(3)}.${random.below(8)}.0/24`
        )
      )
    else if (chance < 0.14 && network !== undefined) await cluster.removeNetwork(network)
    else if (chance < 0.6 && network !== undefined) {
      const spec = await simulation.plug(daemon, network, `c${random.below(60)}`)
      // Whoever is dead hears nothing of it.
      if (host.daemon === daemon) has.set(spec.id, spec)
    } else if (chance < 0.9 && has.size > 0) {
      const spec = [...has.values()][random.below(has.size)]
      has.delete(spec.id)
      await cluster.removeEndpoint(spec.networkId, spec.id)
    } else if (chance >= 0.9 && chance < 0.93) {
      link.cut()
      await new Promise<void>((resolve) => simulation.timers.after(random.below(20_000), resolve))
      link.heal()
    }
    answers.done++
  }
  const live = async (host: Host): Promise<void> => {
    for (let step = 0; step < STEPS; step++) {
      await new Promise<void>((resolve) => simulation.timers.after(host.random.below(400), resolve))
      await act(host).catch(expected)
    }
  }
  const lives = Promise.all(hosts.map(live))
  lives.catch(() => {})
  // One of them is killed in the middle of it, and what runs on it is found again by its next life.
  await simulation.timers.pass(4000)
  const victim = hosts[new Random(seed).below(DAEMONS)]
  victim.isDown = true
  victim.daemon.link.kill()
  victim.daemon = await simulation.start(victim.name, { keep: [...victim.has.values()] })
  victim.isDown = false
  await simulation.timers.finish(lives)
  simulation.loss = 0
  await simulation.timers.pass(60_000)

  const { endpoints } = checkStore(simulation.server)
  for (const { daemon, name, has } of hosts) {
    const { cluster, changes } = daemon
    assert.ok(cluster.isAvailable, name)
    for (const change of changes) if (change.kind === 'endpoint' && change.type === 'evicted') has.delete(change.endpoint.id)
    const mine = endpoints.filter(({ hostId }) => hostId === `id-${name}`)
    assert.deepEqual(mine.map(({ id }) => id).sort(), [...has.keys()].sort(), `endpoints of ${name}`)
    const seen = [...cluster.networks().keys()].flatMap((id) => [...cluster.endpoints(id).values()])
    assert.deepEqual(
      seen.map(({ id, address }) => `${id} ${address}`).sort(),
      endpoints.map(({ id, address }) => `${id} ${address}`).sort(),
      `what ${name} sees`
    )
    assert.ok(
      seen.every(({ isAlive }) => isAlive),
      `who lives, as ${name} sees it`
    )
  }
  assert.ok(answers.done > answers.refused, JSON.stringify(answers))
}

describe('random changes by many daemons', () => {
  const first = fuzzSeed()
  for (let index = 0; index < RUNS; index++) {
    const seed = first + index
    test(`NETLOOM_FUZZ_SEED=${seed}`, () => run(seed))
  }
})
