// The store fails at every step of what a daemon does, in every way, and daemons die at every step: nothing acknowledged is lost, no
// address is given twice, nothing is left over.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { ClusterEndpointSpec } from '../../src/cluster/cluster-records.ts'
import { FAULTS, FaultyStore } from './faulty-store.ts'
import { checkStore } from './invariants.ts'
import { type Daemon, SimulatedCluster } from './simulated-cluster.ts'

/** Tries until the store is there, as a user would; what is not the store's fault is thrown. */
async function insist<T>(simulation: SimulatedCluster, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries > 20 || !(error instanceof ClusterError && error.code === 'unavailable')) throw error
      await new Promise<void>((resolve) => simulation.timers.after(1000, resolve))
    }
  }
}

interface Outcome {
  /** What the daemon was told is so. */
  readonly endpoints: Map<string, ClusterEndpointSpec>
  readonly networks: Set<string>
}

/** What one daemon does; `outcome` is kept as it goes, since the daemon may die on the way. */
async function script(simulation: SimulatedCluster, daemon: Daemon, outcome: Outcome): Promise<void> {
  const { cluster } = daemon
  await insist(simulation, () => cluster.createNetwork({ ...simulation.network('own'), id: 'net-own' }).catch(unlessExists))
  outcome.networks.add('net-own')
  const plug = async (networkId: string, name: string): Promise<ClusterEndpointSpec> => {
    const spec = await insist(simulation, () => simulation.plug(daemon, networkId, name))
    outcome.endpoints.set(spec.id, spec)
    return spec
  }
  const unplug = async ({ networkId, id }: ClusterEndpointSpec): Promise<void> => {
    outcome.endpoints.delete(id)
    await insist(simulation, () => cluster.removeEndpoint(networkId, id).catch(unlessGone))
  }
  const first = await plug('net-shared', 'x1')
  await plug('net-own', 'x2')
  await unplug(first)
  const third = await plug('net-shared', 'x3')
  await insist(simulation, () => cluster.changeEndpoint({ ...third, name: 'x4', names: ['x4'] }))
  outcome.endpoints.set(third.id, { ...third, name: 'x4', names: ['x4'] })
  const last = await plug('net-own', 'x5')
  await unplug(last)
}

/** A creation whose answer was lost, tried again. */
function unlessExists(error: unknown): void {
  if (!(error instanceof ClusterError && error.code === 'exists')) throw error
}

function unlessGone(error: unknown): void {
  if (!(error instanceof ClusterError && error.code === 'not-found')) throw error
}

async function prepare() {
  const simulation = new SimulatedCluster({ seed: 3 })
  const other = await simulation.start('h1')
  await simulation.run(other.cluster.createNetwork(simulation.network('shared', '10.7.0.0/24')))
  await simulation.run(simulation.plug(other, 'net-shared', 'old'))
  let faulty!: FaultyStore
  const daemon = await simulation.start('h2', {
    wrap: (store) => {
      faulty = new FaultyStore(store, simulation.timers, () => daemon.link.kill())
      return faulty
    }
  })
  return { simulation, other, daemon, faulty }
}

async function run(fault: (typeof FAULTS)[number], step: number): Promise<{ didHappen: boolean }> {
  const { simulation, other, daemon, faulty } = await prepare()
  const at = faulty.operations + step
  faulty.faults.set(at, fault)
  const outcome: Outcome = { endpoints: new Map(), networks: new Set() }
  const work = script(simulation, daemon, outcome)
  work.catch(() => {})
  // Others go on meanwhile, at the same pool.
  const meanwhile = simulation.plug(other, 'net-shared', 'meanwhile')
  await simulation.timers.pass(30_000)
  await meanwhile
  const didHappen = faulty.operations >= at
  if (faulty.isDead) {
    // As a container runtime does: what runs is what was acknowledged.
    const again = await simulation.start('h2', { keep: [...outcome.endpoints.values()] })
    assert.ok(again.cluster.isAvailable)
  } else await work
  await simulation.timers.pass(10_000)
  const { networks, endpoints } = checkStore(simulation.server)
  for (const id of outcome.networks)
    assert.ok(
      networks.some((network) => network.id === id),
      `network ${id} was acknowledged`
    )
  const mine = endpoints.filter(({ hostId }) => hostId === 'id-h2')
  assert.deepEqual(
    mine.map(({ id, name, address }) => `${id} ${name} ${address}`).sort(),
    Array.from(outcome.endpoints.values(), ({ id, name, address }) => `${id} ${name} ${address}`).sort()
  )
  // Each sees what the store has.
  for (const { cluster } of faulty.isDead ? [other] : [other, daemon]) {
    assert.deepEqual(
      [...cluster.endpoints('net-shared').keys()].sort(),
      endpoints.flatMap(({ networkId, id }) => (networkId === 'net-shared' ? [id] : [])).sort()
    )
  }
  return { didHappen }
}

describe('the store fails at every step', () => {
  for (const fault of FAULTS) {
    test(fault, async () => {
      let step = 1
      while ((await run(fault, step).catch((error) => Promise.reject(new Error(`${fault} at step ${step}`, { cause: error })))).didHappen)
        step++
      assert.ok(step > 20, `the script has ${step - 1} steps`)
    })
  }
})
