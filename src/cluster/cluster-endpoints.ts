/**
 * Addresses and endpoints of one host in the store.
 *
 * Addresses are given out by compare-and-swap: a pool is one entry, and the commit that takes an address of it fails when anybody
 * changed the pool since it was read. So it is the lowest free address over all hosts, and nobody else's, whoever dies when. Beside
 * the pool each address has a reservation that names the host that asked, by which a host that comes back finds what it left.
 */
import { isDeepStrictEqual } from 'node:util'
import { AddressPool } from '../ipam/address-pool.ts'
import { ClusterError, type ClusterErrorCode } from './cluster-error.ts'
import { CHANGES, endpointKey, endpointNameKey, poolKey, reservationOf, reservedKey, reservedPrefix } from './cluster-keys.ts'
import { addressesOf, type EndpointRecord, readBook } from './cluster-records.ts'
import type { StoreComparison, StoreEntry, StoreStep } from './cluster-store.ts'
import { type Attempt, type TransactionContext, transact } from './transact.ts'

/** What is kept beside an address in use. */
interface Reservation {
  readonly subnet: string
  /** Whose it is; undefined until it is an endpoint's. */
  readonly endpoint?: string
}

interface Addressed {
  readonly subnet: string
  readonly address: string
}

export class ClusterEndpoints {
  private readonly context: TransactionContext
  private readonly hostId: string
  /** Keys of reservations that somebody here counts on, with the version of each; the others are left-overs. */
  private readonly held = new Map<string, number>()

  constructor(context: TransactionContext, hostId: string) {
    this.context = context
    this.hostId = hostId
  }

  /** Takes `wanted`, or the lowest free address. Rejects with ClusterError `not-found`, or IpamError. */
  async request(networkId: string, subnet: string, wanted?: string): Promise<string> {
    const { result, version } = await transact(this.context, async () => {
      const { entry, pool } = await this.readPool(networkId, subnet)
      const address = pool.requestAddress(wanted)
      const key = reservedKey(this.hostId, networkId, address)
      return {
        comparisons: [{ key: entry.key, version: entry.version }],
        steps: [
          { put: entry.key, value: JSON.stringify(pool.toState()) },
          { put: key, value: JSON.stringify({ subnet } satisfies Reservation) }
        ],
        result: { address, key }
      }
    })
    this.held.set(result.key, version)
    return result.address
  }

  /** Gives an address back. One that is not reserved, or is an endpoint's after all (its answer was lost), is left: `settle` is for those. */
  async release(networkId: string, subnet: string, address: string): Promise<void> {
    const key = reservedKey(this.hostId, networkId, address)
    this.drop(networkId, address)
    await transact(this.context, async (): Promise<Attempt<void>> => {
      const reservation = await this.context.store.get(key)
      const { endpoint } = readBook<Partial<Reservation>>(reservation, {})
      if (reservation === undefined || endpoint !== undefined) return { comparisons: [], steps: [], result: undefined }
      const freed = await this.free(networkId, [{ subnet, address }])
      return {
        comparisons: [...freed.comparisons, { key, version: reservation.version }],
        steps: [...freed.steps, { remove: key }],
        result: undefined
      }
    })
  }

  /** Makes an endpoint of addresses that were requested here. Rejects with ClusterError `exists` or `conflict`. */
  async add(record: EndpointRecord): Promise<number> {
    const { networkId, id, name } = record
    const nameKey = endpointNameKey(networkId, name)
    const reservations = addressesOf(record).map(({ address, subnet }) => ({ key: reservedKey(this.hostId, networkId, address), subnet }))
    let isFirst = true
    const { version } = await transact(this.context, async (): Promise<Attempt<void>> => {
      // Nothing needs to be read as long as nothing is wrong.
      if (!isFirst) await this.checkFree(record, nameKey, reservations)
      isFirst = false
      return {
        comparisons: [{ key: nameKey, version: 0 }, ...reservations.map(({ key }) => ({ key, version: this.held.get(key) ?? -1 }))],
        steps: [
          ...reservations.map(({ key, subnet }) => ({ put: key, value: JSON.stringify({ subnet, endpoint: id } satisfies Reservation) })),
          { put: endpointKey(networkId, id), value: JSON.stringify(record) },
          { put: nameKey, value: JSON.stringify(id) },
          this.mark()
        ],
        result: undefined
      }
    })
    for (const { key } of reservations) this.held.set(key, version)
    return version
  }

  /** Another name, other names. Rejects with ClusterError `not-found` or `exists`. */
  async change(record: EndpointRecord): Promise<number> {
    const { networkId, id, name } = record
    const { version } = await transact(this.context, async (): Promise<Attempt<void>> => {
      const { entry, record: before } = await this.read(networkId, id)
      const comparisons: StoreComparison[] = [{ key: entry.key, version: entry.version }]
      const steps: StoreStep[] = [{ put: entry.key, value: JSON.stringify(record) }, this.mark()]
      if (before.name !== name) {
        const nameKey = endpointNameKey(networkId, name)
        if ((await this.context.store.get(nameKey)) !== undefined)
          throw new ClusterError('exists', `endpoint with name ${name} already exists`)
        comparisons.push({ key: nameKey, version: 0 })
        steps.push({ remove: endpointNameKey(networkId, before.name) }, { put: nameKey, value: JSON.stringify(id) })
      }
      return { comparisons, steps, result: undefined }
    })
    return version
  }

  /** The endpoint, its name and its addresses go at once; `mayBeForeign`: another host's too. Rejects with ClusterError `not-found` or `conflict`. */
  async remove(networkId: string, id: string, mayBeForeign: boolean): Promise<number> {
    const { version } = await transact(this.context, async (): Promise<Attempt<void>> => {
      const { entry, record } = await this.read(networkId, id)
      if (record.hostId !== this.hostId && !mayBeForeign)
        throw new ClusterError('conflict', `endpoint ${record.name} belongs to another host`)
      const addresses = addressesOf(record)
      const freed = await this.free(networkId, addresses)
      return {
        comparisons: [{ key: entry.key, version: entry.version }, ...freed.comparisons],
        steps: [
          { remove: entry.key },
          { remove: endpointNameKey(networkId, record.name) },
          ...freed.steps,
          ...addresses.map(({ address }) => ({ remove: reservedKey(record.hostId, networkId, address) })),
          this.mark()
        ],
        result: undefined
      }
    })
    return version
  }

  /** Forgets that somebody here counts on an address. */
  drop(networkId: string, address: string): void {
    this.held.delete(reservedKey(this.hostId, networkId, address))
  }

  /** Forgets that somebody here counts on the endpoint's addresses: `settle` gives back what is not freed otherwise. */
  forget(record: EndpointRecord): void {
    for (const { address } of addressesOf(record)) this.drop(record.networkId, address)
  }

  /**
   * Makes the store have what this host has: `own` endpoints, reservations that are held, and nothing else of it. Resolves with the
   * endpoints of `own` whose name, address or network is somebody else's by now, or gone.
   */
  async settle(own: ReadonlyMap<string, EndpointRecord>, recorded: () => Promise<Iterable<EndpointRecord>>): Promise<EndpointRecord[]> {
    // First, so that nothing is still to come that this would not see.
    await this.context.journal.open()
    const present = new Set<string>()
    for (const record of [...(await recorded())].filter(({ hostId }) => hostId === this.hostId)) {
      const mine = own.get(record.id)
      const isKept = mine !== undefined && isDeepStrictEqual(addressesOf(mine), addressesOf(record)) && mine.networkId === record.networkId
      // A change of its name may have been made and never been acknowledged.
      if (isKept && !isDeepStrictEqual(mine, record)) await this.change(mine).catch(unless('exists'))
      if (isKept) present.add(record.id)
      else await this.remove(record.networkId, record.id, false).catch(unless('not-found'))
    }
    const { store } = this.context
    const reservations = new Map((await store.list(reservedPrefix(this.hostId))).map((entry) => [entry.key, entry]))
    const lost: EndpointRecord[] = []
    for (const record of own.values()) {
      for (const { address } of addressesOf(record)) {
        const key = reservedKey(this.hostId, record.networkId, address)
        const reservation = reservations.get(key)
        if (reservation !== undefined) this.held.set(key, reservation.version)
        else this.held.delete(key)
      }
      if (present.has(record.id)) continue
      if (!(await this.claim(record))) lost.push(record)
    }
    for (const reservation of reservations.values()) {
      if (this.held.has(reservation.key)) continue
      const { networkId, address } = reservationOf(reservation.key)
      await this.release(networkId, readBook<Reservation>(reservation, { subnet: '' }).subnet, address)
    }
    return lost
  }

  /** Takes back an endpoint that somebody removed while we were away. */
  private async claim(record: EndpointRecord): Promise<boolean> {
    const claimed: Addressed[] = []
    try {
      for (const each of addressesOf(record)) {
        if (this.held.has(reservedKey(this.hostId, record.networkId, each.address))) continue
        await this.request(record.networkId, each.subnet, each.address)
        claimed.push(each)
      }
      await this.add(record)
      return true
    } catch (error) {
      if (error instanceof ClusterError && (error.code === 'unavailable' || error.code === 'denied')) throw error
      this.forget(record)
      for (const { subnet, address } of claimed) await this.release(record.networkId, subnet, address)
      return false
    }
  }

  /** Throws what stands in the way of an endpoint. */
  private async checkFree(
    { name, address }: EndpointRecord,
    nameKey: string,
    reservations: readonly { readonly key: string }[]
  ): Promise<void> {
    const { store } = this.context
    if ((await store.get(nameKey)) !== undefined) throw new ClusterError('exists', `endpoint with name ${name} already exists`)
    for (const { key } of reservations) {
      if ((await store.get(key))?.version === this.held.get(key)) continue
      throw new ClusterError('conflict', `endpoint ${name}: its address ${address} is not reserved by this host any more`)
    }
  }

  private async read(networkId: string, id: string): Promise<{ entry: StoreEntry; record: EndpointRecord }> {
    const entry = await this.context.store.get(endpointKey(networkId, id))
    if (entry === undefined) throw new ClusterError('not-found', `endpoint ${id} not found`)
    return { entry, record: readBook<EndpointRecord>(entry, undefined as never) }
  }

  private async readPool(networkId: string, subnet: string): Promise<{ entry: StoreEntry; pool: AddressPool }> {
    const entry = await this.context.store.get(poolKey(networkId, subnet))
    if (entry === undefined) throw new ClusterError('not-found', `network ${networkId} has no subnet ${subnet}`)
    return { entry, pool: AddressPool.fromState(readBook(entry, undefined as never)) }
  }

  /** What a commit needs to give addresses back to their pools. */
  private async free(networkId: string, addresses: readonly Addressed[]): Promise<{ comparisons: StoreComparison[]; steps: StoreStep[] }> {
    const comparisons: StoreComparison[] = []
    const steps: StoreStep[] = []
    for (const { subnet, address } of addresses) {
      const { entry, pool } = await this.readPool(networkId, subnet)
      pool.release(address)
      comparisons.push({ key: entry.key, version: entry.version })
      steps.push({ put: entry.key, value: JSON.stringify(pool.toState()) })
    }
    return { comparisons, steps }
  }

  private mark(): StoreStep {
    return { put: CHANGES, value: JSON.stringify(this.hostId) }
  }
}

function unless(code: ClusterErrorCode): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof ClusterError && error.code === code)) throw error
  }
}
