/** Docker's networks over the real controller, an engine without threads, and a store in memory. */

import { EventLog } from '../../src/docker/event-log.ts'
import { NetworkService } from '../../src/docker/network/network-service.ts'
import { RealClock } from '../../src/engine/clock.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import type { Uplink } from '../../src/network/uplink.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import type { Store } from '../../src/store/store.ts'

export interface NetworkWorld {
  readonly controller: NetworkController
  readonly events: EventLog
  readonly networks: NetworkService
  readonly store: Store
  readonly random: Random
  readonly clock: RealClock
  /** What the network service told its operator. */
  readonly logged: readonly string[]
  close(): Promise<void>
}

/** With a store that was used before: the daemon's next start. `avoid`: what the host has. */
export async function networkWorld(
  store: Store = new MemoryStore(),
  avoid: readonly string[] = [],
  uplink?: Uplink
): Promise<NetworkWorld> {
  const random = new Random(7)
  const clock = new RealClock()
  const engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  const controller = new NetworkController({ engine, addresses: new AddressSpace(), random, avoid: () => avoid, ...(uplink && { uplink }) })
  const events = new EventLog(clock)
  const logged: string[] = []
  const log = (message: string): unknown => logged.push(message)
  const networks = await NetworkService.open({ store, controller, events, clock, random, log })
  return { controller, events, logged, networks, store, random, clock, close: () => controller.close() }
}
