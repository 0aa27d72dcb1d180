/**
 * Networks of the cluster in the store: unique names, subnets that never overlap, VNIs.
 *
 * A network, its name, its subnets and their pools are one commit, and go in one.
 */
import { AddressPool } from '../ipam/address-pool.ts'
import { IntervalSet } from '../ipam/interval-set.ts'
import { type AutomaticSubnets, checkOverlap } from './automatic-subnets.ts'
import { ClusterError } from './cluster-error.ts'
import { CHANGES, endpointsPrefix, networkKey, networkNameKey, poolKey, RESERVED, reservationOf, SUBNETS, VNIS } from './cluster-keys.ts'
import { type ClusterNetwork, type ClusterNetworkSpec, type ClusterSubnet, type ClusterSubnetSpec, readBook } from './cluster-records.ts'
import type { StoreEntry, StoreStep } from './cluster-store.ts'
import { type Attempt, type TransactionContext, transact } from './transact.ts'

/** As recorded from Docker's overlay driver; RFC 7348 has 24 bits. */
const FIRST_VNI = 256
const LAST_VNI = 0xff_ffff

export class ClusterNetworks {
  private readonly context: TransactionContext
  private readonly hostId: string
  private readonly automatic: AutomaticSubnets
  /** Whether a host is there: what a dead one reserved and never used does not hold a network. */
  private readonly isHostAlive: (id: string) => boolean

  constructor(context: TransactionContext, hostId: string, automatic: AutomaticSubnets, isHostAlive: (id: string) => boolean) {
    this.context = context
    this.hostId = hostId
    this.automatic = automatic
    this.isHostAlive = isHostAlive
  }

  /** Rejects with ClusterError `exists`, `conflict` (a VNI that it names is in use) or `invalid`, or IpamError. */
  create(spec: ClusterNetworkSpec, avoid: readonly string[]): Promise<{ result: ClusterNetwork; version: number }> {
    const { store } = this.context
    const { place } = this.automatic
    return transact(this.context, async () => {
      // A round that others won, or that fails, has used up no subnet.
      this.automatic.place = place
      const [subnetsEntry, vnisEntry, nameEntry, idEntry] = await Promise.all([
        store.get(SUBNETS),
        store.get(VNIS),
        store.get(networkNameKey(spec.name)),
        store.get(networkKey(spec.id))
      ])
      if (nameEntry !== undefined || idEntry !== undefined)
        throw new ClusterError('exists', `network with name ${spec.name} already exists`)
      const taken = readBook<string[]>(subnetsEntry, [])
      const pools = this.choosePools(spec.subnets, taken, avoid)
      const network: ClusterNetwork = {
        id: spec.id,
        name: spec.name,
        subnets: pools.map((pool, index) => describe(pool, spec.subnets[index].vni ?? null)),
        detail: spec.detail
      }
      const vnis = spec.subnets.flatMap(({ vni }) => (vni === undefined ? [] : [vni]))
      const usedVnis = takeVnis(vnisEntry, vnis)
      return {
        comparisons: [
          { key: SUBNETS, version: subnetsEntry?.version ?? 0 },
          { key: networkNameKey(spec.name), version: 0 },
          { key: networkKey(spec.id), version: 0 },
          ...(vnis.length > 0 ? [{ key: VNIS, version: vnisEntry?.version ?? 0 }] : [])
        ],
        steps: [
          { put: SUBNETS, value: JSON.stringify([...taken, ...pools.map(({ subnet }) => subnet)]) },
          { put: networkNameKey(spec.name), value: JSON.stringify(spec.id) },
          { put: networkKey(spec.id), value: JSON.stringify(network) },
          ...pools.map((pool) => ({ put: poolKey(spec.id, pool.subnet), value: JSON.stringify(pool.toState()) })),
          ...(vnis.length > 0 ? [{ put: VNIS, value: writeVnis(usedVnis) }] : []),
          this.mark()
        ],
        result: network
      }
    })
  }

  /** Rejects with ClusterError `not-found`, or `conflict` while any host has an endpoint on it. */
  remove(id: string): Promise<{ result: ClusterNetwork; version: number }> {
    return transact(this.context, async () => {
      const { entry, network } = await this.read(id)
      const pools = await this.unusedPools(network)
      const [subnetsEntry, vnisEntry] = await Promise.all([this.context.store.get(SUBNETS), this.context.store.get(VNIS)])
      const own = new Set(network.subnets.map(({ subnet }) => subnet))
      const comparisons = [
        { key: entry.key, version: entry.version },
        { key: SUBNETS, version: subnetsEntry?.version ?? 0 },
        ...pools.entries.map(({ key, version }) => ({ key, version }))
      ]
      const steps: StoreStep[] = [
        { put: SUBNETS, value: JSON.stringify(readBook<string[]>(subnetsEntry, []).filter((subnet) => !own.has(subnet))) },
        { remove: networkNameKey(network.name) },
        { remove: entry.key },
        ...pools.entries.map(({ key }) => ({ remove: key })),
        ...pools.abandoned.map((remove) => ({ remove })),
        this.mark()
      ]
      const vnis = network.subnets.flatMap(({ vni }) => (vni === null ? [] : [vni]))
      if (vnis.length > 0) {
        const used = readVnis(vnisEntry)
        for (const vni of vnis) used.delete(BigInt(vni))
        comparisons.push({ key: VNIS, version: vnisEntry?.version ?? 0 })
        steps.push({ put: VNIS, value: writeVnis(used) })
      }
      return { comparisons, steps, result: network }
    })
  }

  /** The subnet's VNI, the lowest free one from 256 when it has none yet. Rejects with ClusterError `not-found` or `exhausted`. */
  vni(id: string, subnet: string): Promise<{ result: number; version: number }> {
    return transact(this.context, async (): Promise<Attempt<number>> => {
      const [{ entry, network }, vnisEntry] = await Promise.all([this.read(id), this.context.store.get(VNIS)])
      const mine = network.subnets.find((each) => each.subnet === subnet)
      if (mine === undefined) throw new ClusterError('not-found', `network ${network.name} has no subnet ${subnet}`)
      const here = { key: entry.key, version: entry.version }
      if (mine.vni !== null) return { comparisons: [], steps: [], result: mine.vni }
      const used = readVnis(vnisEntry)
      const free = used.lowestFree(BigInt(FIRST_VNI), BigInt(LAST_VNI))
      if (free === null) throw new ClusterError('exhausted', `all VNIs from ${FIRST_VNI} to ${LAST_VNI} are in use`)
      used.add(free)
      const vni = Number(free)
      const subnets = network.subnets.map((each) => (each === mine ? { ...each, vni } : each))
      return {
        comparisons: [here, { key: VNIS, version: vnisEntry?.version ?? 0 }],
        steps: [{ put: VNIS, value: writeVnis(used) }, { put: entry.key, value: JSON.stringify({ ...network, subnets }) }, this.mark()],
        result: vni
      }
    })
  }

  private async read(id: string): Promise<{ entry: StoreEntry; network: ClusterNetwork }> {
    const entry = await this.context.store.get(networkKey(id))
    if (entry === undefined) throw new ClusterError('not-found', `network ${id} not found`)
    return { entry, network: readBook<ClusterNetwork>(entry, undefined as never) }
  }

  private choosePools(specs: readonly ClusterSubnetSpec[], others: readonly string[], avoid: readonly string[]): AddressPool[] {
    const taken = [...others]
    // Those that the user named first: an automatic one must not sit on them.
    const pools = new Map<ClusterSubnetSpec, AddressPool>()
    for (const spec of [...specs].sort((a, b) => Number(a.subnet === undefined) - Number(b.subnet === undefined))) {
      const subnet = spec.subnet ?? this.automatic.next([...taken, ...avoid])
      checkOverlap(subnet, taken)
      const pool = new AddressPool({ ...spec, subnet })
      taken.push(pool.subnet)
      pools.set(spec, pool)
    }
    return specs.map((spec) => pools.get(spec)!)
  }

  /** The network's pools, when nobody has an address of them. */
  private async unusedPools(network: ClusterNetwork): Promise<{ entries: StoreEntry[]; abandoned: string[] }> {
    const { store } = this.context
    const entries = await Promise.all(network.subnets.map(({ subnet }) => store.get(poolKey(network.id, subnet))))
    const inUse = new ClusterError('conflict', `network ${network.name} id ${network.id} has active endpoints`)
    const used = entries.reduce((sum, entry, index) => sum + (entry === undefined ? 0n : countUsed(entry, network.subnets[index])), 0n)
    const abandoned: string[] = []
    if (used > 0n) {
      // Only addresses that a dead host reserved, and never gave to an endpoint, may be left.
      const endpoints = await store.list(endpointsPrefix(network.id))
      if (endpoints.length > 0) throw inUse
      for (const { key } of await store.list(RESERVED)) {
        const { hostId, networkId } = reservationOf(key)
        if (networkId !== network.id) continue
        if (this.isHostAlive(hostId)) throw inUse
        abandoned.push(key)
      }
      if (BigInt(abandoned.length) !== used) throw inUse
    }
    return { entries: entries.filter((entry) => entry !== undefined), abandoned }
  }

  /** Makes the copies of all hosts notice. */
  private mark(): StoreStep {
    return { put: CHANGES, value: JSON.stringify(this.hostId) }
  }
}

function describe(pool: AddressPool, vni: number | null): ClusterSubnet {
  const { subnet, ipRange, gateway, auxiliary } = pool
  return { subnet, ipRange, gateway, auxiliary, vni }
}

/** Addresses that endpoints have: what is taken without those that nobody may have. */
function countUsed(entry: StoreEntry, { subnet, ipRange, gateway, auxiliary }: ClusterSubnet): bigint {
  const fresh = new AddressPool({ subnet, gateway, auxiliary, ...(ipRange === null ? {} : { ipRange }) })
  return AddressPool.fromState(readBook(entry, fresh.toState())).used - fresh.used
}

/** Kept as `256-300` runs. */
function readVnis(entry: StoreEntry | undefined): IntervalSet {
  const set = new IntervalSet()
  for (const run of readBook<string[]>(entry, [])) {
    const [first, last] = run.split('-').map(BigInt)
    set.addRun(first, last)
  }
  return set
}

/** Those in use, and `wanted` with them. Throws ClusterError. */
function takeVnis(entry: StoreEntry | undefined, wanted: readonly number[]): IntervalSet {
  const used = readVnis(entry)
  for (const vni of wanted) {
    if (!Number.isInteger(vni) || vni < 1 || vni > LAST_VNI) throw new ClusterError('invalid', `VNI ${vni} is not in 1 to ${LAST_VNI}`)
    if (!used.add(BigInt(vni))) throw new ClusterError('conflict', `VNI ${vni} is in use in the cluster`)
  }
  return used
}

function writeVnis(set: IntervalSet): string {
  return JSON.stringify(Array.from(set, ({ first, last }) => `${first}-${last}`))
}
