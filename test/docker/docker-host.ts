/** A Docker host with real TAPs in real namespaces, over the engine's thread; each container's files are those of its sandbox. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { EventLog } from '../../src/docker/event-log.ts'
import { NetworkService } from '../../src/docker/network/network-service.ts'
import { RealClock } from '../../src/engine/clock.ts'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import type { Uplink } from '../../src/network/uplink.ts'
import { Sandbox } from '../../src/sandbox/sandbox.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { ContainerWorld } from './container-world.ts'

export async function dockerHost(uplink?: Uplink): Promise<ContainerWorld> {
  const random = new Random(11)
  const clock = new RealClock()
  const controller = new NetworkController({
    engine: new ThreadedEngine({ seed: 1 }),
    addresses: new AddressSpace(),
    random,
    forward: async () => null,
    dns: { unanswered: 'servfail' },
    ...(uplink !== undefined && { uplink })
  })
  const events = new EventLog(clock)
  const store = new MemoryStore()
  const networks = await NetworkService.open({ store, controller, events, clock, random, log: () => {} })
  const world = { controller, events, networks, store, random, clock, logged: [], close: () => controller.close() }
  return new ContainerWorld(world, {
    makeSandbox: async ({ name, config, directory }, network) => {
      const sandbox = await Sandbox.create({ name, hostname: config.Hostname, network })
      for (const file of ['hosts', 'resolv.conf'] as const) await sandbox.writeFile(file, readFileSync(path.join(directory, file), 'utf8'))
      return sandbox
    }
  })
}
