/** The container service whole, in this process: real sandboxes over the host's root, on no network. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBody } from '../../src/api/container-shapes.ts'
import type { Container } from '../../src/docker/container/container.ts'
import { ContainerRegistry } from '../../src/docker/container/container-registry.ts'
import { ContainerService } from '../../src/docker/container/container-service.ts'
import { ContainerNetworkService } from '../../src/docker/network/container-network-service.ts'
import { realTimers } from '../../src/engine/clock.ts'
import { ImageStore } from '../../src/image/image-store.ts'
import type { Store } from '../../src/store/store.ts'
import { type NetworkWorld, networkWorld } from './network-world.ts'

export class ServiceWorld {
  readonly containers: ContainerService
  readonly registry: ContainerRegistry
  /** What an operator was told. */
  readonly logged: string[]
  readonly volumes: string
  private readonly folder: string
  private readonly world: NetworkWorld

  private constructor(world: NetworkWorld, images: ImageStore, folder: string) {
    this.world = world
    this.folder = folder
    this.volumes = path.join(folder, 'volumes')
    const registry = new ContainerRegistry()
    const logged: string[] = []
    this.registry = registry
    this.logged = logged
    const { networks, controller, random, store, events, clock } = world
    const log = (message: string): unknown => logged.push(message)
    this.containers = new ContainerService({
      store,
      images,
      directory: path.join(folder, 'containers'),
      volumesDirectory: this.volumes,
      runDirectory: path.join(folder, 'run'),
      registry,
      networking: new ContainerNetworkService({ networks, controller, containers: registry, random, log }),
      events,
      clock,
      timers: realTimers,
      random,
      liveRestore: false,
      log
    })
    this.containers.load()
  }

  static async open(store: Store): Promise<ServiceWorld> {
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-service-'))
    const world = await networkWorld(store)
    const images = await ImageStore.open({ directory: path.join(folder, 'images'), store, clock: world.clock, hostImages: true })
    return new ServiceWorld(world, images, folder)
  }

  async create(name: string, Cmd: readonly string[], body: object = {}, HostConfig: object = {}): Promise<Container> {
    const request = { Image: 'box', Cmd, ...body, HostConfig: { NetworkMode: 'none', ...HostConfig } }
    await this.containers.create(name, createBody.read(request))
    return this.registry.find(name)
  }

  /** Processes whose command line names this world's folder. */
  private shims(): string[] {
    return readdirSync('/proc').filter((entry) => {
      try {
        return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/cmdline`, 'latin1').includes(`${this.folder}/run/`)
      } catch {
        return false // it has ended meanwhile
      }
    })
  }

  /** Resolves when none is left: what a killed shim has begun ends a moment after it. */
  async shimsEnd(): Promise<void> {
    while (this.shims().length > 0) await sleep(5)
  }

  async close(): Promise<void> {
    for (const { id } of [...this.registry.all()]) await this.containers.remove(id, { force: true, volumes: true, link: false })
    await this.world.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
