import type { Random } from '../../src/engine/random.ts'
import type { CrashModel } from './crash-model.ts'
import type { Operation } from './operation.ts'

type Touching = Exclude<Operation['kind'], `network-${string}` | 'create' | 'import' | 'tag' | 'untag'>

/** Containers that one worker has at a time. */
const MOST = 3

/** Shared by all workers, made and removed by the first. The first of them is small: five addresses beside the gateway's. */
const NETWORKS = ['net0', 'net1', 'net2']

export function subnetOf(network: string): string {
  return network === 'net0' ? '192.0.2.0/29' : `198.51.100.${Number(network.slice(3)) * 64}/26`
}

/** What a worker does next. Containers and tags are its own, so that their order is known; networks are everybody's. */
export function randomOperation(random: Random, model: CrashModel, worker: number): Operation {
  const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!
  const network = pick(NETWORKS)
  const mine = [...model.containers.values()].filter(({ name }) => name.startsWith(`w${worker}-`))
  const fresh = `w${worker}-${random.int32() >>> 0}`
  const dice = random.below(100)
  if (worker === 0 && dice < 30) {
    return model.networks.has(network)
      ? { kind: 'network-remove', network }
      : { kind: 'network-create', network, subnet: subnetOf(network) }
  }
  if (dice >= 88) return randomImageOperation(random, model, worker)
  if (mine.length === 0 || (dice < 45 && mine.length < MOST)) {
    const known = pick(['bridge', 'none', ...model.networks.keys()])
    return { kind: 'create', container: fresh, network: known, restarts: random.below(4) === 0 }
  }
  const { name: container, isRunning, restarts, networks } = pick(mine)
  if (!isRunning && dice < 70) return { kind: 'start', container }
  const kinds: readonly Touching[] = [
    'stop',
    'restart',
    'remove',
    'rename',
    'exec',
    'connect',
    'disconnect',
    'connect',
    restarts ? 'exec' : 'kill'
  ]
  const kind = pick(kinds)
  if (kind === 'rename') return { kind, container, name: fresh }
  if (kind === 'disconnect') return { kind, container, network: pick([...networks, network]) }
  return kind === 'connect' ? { kind, container, network } : { kind, container }
}

function randomImageOperation(random: Random, model: CrashModel, worker: number): Operation {
  const tags = [...model.tags.keys()].filter((tag) => tag.startsWith(`i${worker}-`))
  const from = tags[random.below(Math.max(1, tags.length))]
  const tag = `i${worker}-${random.int32() >>> 0}`
  if (from === undefined) return { kind: 'import', tag }
  if (tags.length > 2 || random.below(2) === 0) return { kind: 'untag', tag: from }
  return { kind: 'tag', from, tag }
}
