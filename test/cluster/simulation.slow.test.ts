// 1,000 endpoints on 20 daemons, in one process on virtual time: the real Cluster over a store in memory, links that delay and lose.
// Prints convergence times and messages per change. A message is a request, an answer, or a notification of a watch.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterEndpointSpec } from '../../src/cluster/cluster-records.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'
import { checkStore } from './invariants.ts'
import { type Daemon, SimulatedCluster } from './simulated-cluster.ts'

const DAEMONS = 20
const NETWORKS = 4
const ENDPOINTS = 1000
/** Milliseconds; the limit for a dead host. */
const LIMIT_MS = 10_000
const LOOK_EACH_MS = 100

interface Host {
  readonly name: string
  daemon: Daemon
  readonly has: ClusterEndpointSpec[]
}

class World {
  readonly simulation: SimulatedCluster
  readonly hosts: Host[] = []

  constructor(seed: number, loss: number) {
    this.simulation = new SimulatedCluster({ seed, loss, delay: [1, 10] })
  }

  async start(daemons: number, networks: number): Promise<void> {
    const { simulation } = this
    for (let index = 1; index <= daemons; index++) {
      const name = `h${index}`
      this.hosts.push({ name, daemon: await simulation.start(name), has: [] })
    }
    for (let index = 0; index < networks; index++) {
      const spec = simulation.network(`n${index}`, `10.${index}.0.0/16`)
      await simulation.run(this.patiently(() => this.hosts[index % daemons].daemon.cluster.createNetwork(spec)))
    }
    for (const { daemon } of this.hosts) await simulation.run(this.patiently(() => daemon.cluster.sync()))
  }

  /** All hosts at once, each one endpoint after the other. */
  async plug(count: number, networks: number): Promise<void> {
    const each = count / this.hosts.length
    const work = this.hosts.map(async (host, at) => {
      for (let index = 0; index < each; index++) {
        const network = `net-n${(at + index) % networks}`
        host.has.push(await this.patiently(() => this.simulation.plug(host.daemon, network, `${host.name}-c${index}`)))
      }
    })
    await this.simulation.run(Promise.all(work))
  }

  /** Messages are lost: what is refused for that is asked again. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await work()
      } catch (error) {
        if (tries === 50 || (error as { code?: string }).code !== 'unavailable') throw error
        await new Promise<void>((resolve) => this.simulation.timers.after(500, resolve))
      }
    }
  }

  /** Whether each host that is up sees every endpoint, and those of `dead` as dead. */
  isConverged(dead?: Host): boolean {
    return this.hosts.every(({ daemon: { cluster } }, at) => {
      if (this.hosts[at] === dead) return true
      return this.hosts.every((host) =>
        host.has.every(({ networkId, id }) => cluster.endpoints(networkId).get(id)?.isAlive === (host !== dead))
      )
    })
  }

  /** Milliseconds of virtual time until it is so. */
  async until(what: string, isSo: () => boolean, limitMs: number): Promise<number> {
    const { timers } = this.simulation
    const begin = timers.now
    while (!isSo()) {
      assert.ok(timers.now - begin <= limitMs, `${what}: not after ${limitMs} ms`)
      await timers.pass(LOOK_EACH_MS)
    }
    return timers.now - begin
  }
}

const summary = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b)
  return `${sorted[0]} to ${sorted.at(-1)}, median ${sorted[sorted.length >> 1]}`
}

describe('a cluster of 20 daemons', () => {
  test('converges after every failure of a single node', async (context) => {
    const seed = fuzzSeed()
    context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
    const world = new World(seed, 0.01)
    const { simulation } = world
    await world.start(DAEMONS, NETWORKS)
    await world.plug(ENDPOINTS, NETWORKS)
    const setUp = await world.until('all see all', () => world.isConverged(), LIMIT_MS)
    context.diagnostic(
      `${ENDPOINTS} endpoints of ${DAEMONS} daemons seen by all ${setUp} ms after the last was made (loss 1 %, 1 to 10 ms a way)`
    )

    const deaths: number[] = []
    const returns: number[] = []
    for (const host of world.hosts) {
      host.daemon.link.kill()
      deaths.push(await world.until(`${host.name} dead`, () => world.isConverged(host), LIMIT_MS))
      const starting = simulation.timers.now
      host.daemon = await simulation.start(host.name, { keep: host.has })
      await world.until(`${host.name} back`, () => world.isConverged(), LIMIT_MS)
      returns.push(Math.round(simulation.timers.now - starting))
    }
    context.diagnostic(`a daemon is killed: dead to all others after ${summary(deaths)} ms; back after ${summary(returns)} ms`)

    for (const { daemon } of world.hosts) daemon.changes.length = 0
    for (const { daemon } of world.hosts) daemon.link.cut()
    await simulation.timers.pass(60_000)
    for (const { daemon } of world.hosts) daemon.link.heal()
    const back = await world.until('the store is back', () => world.hosts.every(({ daemon }) => daemon.cluster.isAvailable), LIMIT_MS)
    await simulation.timers.pass(20_000)
    const lost = world.hosts.flatMap(({ daemon }) => daemon.changes.filter((change) => change.kind === 'endpoint'))
    assert.deepEqual(lost, [], 'a store that was away for 60 s changes no endpoint')
    assert.ok(world.isConverged())
    context.diagnostic(`the store is away for 60 s: all daemons use it again after ${back} ms, and no endpoint was touched`)
    assert.equal(checkStore(simulation.server).endpoints.length, ENDPOINTS)
  })

  test('messages of a change do not grow with the endpoints of its network', async (context) => {
    const costs: { endpoints: number; added: number; removed: number }[] = []
    for (const endpoints of [20, 100, ENDPOINTS]) {
      const world = new World(1, 0)
      await world.start(DAEMONS, 1)
      await world.plug(endpoints, 1)
      const [{ daemon }] = world.hosts
      // Of the others only notifications come of a change; their keep-alives and looks go on in any case.
      const notified = (): number => world.hosts.reduce((sum, each) => sum + each.daemon.link.notifications, 0)
      const cost = async (work: () => Promise<unknown>): Promise<number> => {
        const before = { requests: daemon.link.requests, notifications: notified() }
        await world.simulation.run(work())
        const requests = daemon.link.requests - before.requests
        await world.simulation.timers.pass(1000)
        return 2 * requests + notified() - before.notifications
      }
      let spec!: ClusterEndpointSpec
      const added = await cost(async () => (spec = await world.simulation.plug(daemon, 'net-n0', 'one-more')))
      const removed = await cost(() => daemon.cluster.removeEndpoint('net-n0', spec.id))
      costs.push({ endpoints, added, removed })
      context.diagnostic(
        `among ${endpoints} endpoints of one network: ${added} messages for one more, ${removed} for one less (${DAEMONS} daemons)`
      )
    }
    // Linear is allowed. It is constant: 3 requests to add, 3 to remove, a notification per daemon, and perhaps a look meanwhile.
    const LOOK = 2
    for (const { endpoints, added, removed } of costs) {
      assert.ok(added <= 6 + DAEMONS + LOOK && removed <= 6 + DAEMONS + LOOK, `${endpoints}: ${added}, ${removed}`)
    }
  })
})
