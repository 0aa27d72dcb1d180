/** Containers on Docker's networks: the real service over the real controller; sandboxes real or none. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ApiError } from '../../src/api/api-error.ts'
import type { PortMap } from '../../src/api/network-json.ts'
import { newDockerId } from '../../src/docker/docker-id.ts'
import { ContainerNetworkService, type NetworkingRequest } from '../../src/docker/network/container-network-service.ts'
import { type ContainerNetworking, emptyNetworking } from '../../src/docker/network/container-networking.ts'
import type { ContainerLookup, NetworkedContainer } from '../../src/docker/network/networked-container.ts'
import type { InterfaceHolder } from '../../src/docker/network/sandbox-interfaces.ts'
import { SandboxInterfaces } from '../../src/docker/network/sandbox-interfaces.ts'
import type { NetworkController } from '../../src/network/controller.ts'
import type { EndpointSpec } from '../../src/network/endpoint.ts'
import { endpointAddresses } from '../../src/network/endpoint.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import type { NetworkWorld } from './network-world.ts'

export class TestContainer implements NetworkedContainer {
  readonly id: string
  name: string
  readonly directory: string
  readonly config: NetworkedContainer['config']
  readonly hostConfig: NetworkedContainer['hostConfig']
  readonly state = { Running: false }
  networking: ContainerNetworking = emptyNetworking()
  sandbox: Sandbox | null = null
  saved = 0
  /** Called at each save. */
  onSave = (): void => {}

  constructor(id: string, name: string, directory: string, request: NetworkingRequest) {
    this.id = id
    this.name = name
    this.directory = directory
    const { Hostname = '', ExposedPorts = null, MacAddress = '', HostConfig } = request
    this.config = { Hostname, Domainname: '', ExposedPorts: ExposedPorts as Record<string, object> | null, MacAddress, Env: [] }
    const { NetworkMode = '', PortBindings = null, Links, Dns, ExtraHosts, ...rest } = HostConfig ?? {}
    this.hostConfig = {
      ...rest,
      NetworkMode,
      PortBindings: PortBindings as PortMap | null,
      Links: Links ? [...Links] : null,
      Dns: Dns ? [...Dns] : null,
      ExtraHosts: ExtraHosts ? [...ExtraHosts] : null
    }
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return work()
  }

  async save(): Promise<void> {
    this.saved++
    this.onSave()
  }
}

/** In place of TAPs: IP hosts inside the engine, and a list of what a sandbox was told. */
export class VirtualInterfaces extends SandboxInterfaces {
  readonly told: string[] = []
  private readonly engine: NetworkController

  constructor(controller: NetworkController) {
    super(controller)
    this.engine = controller
  }

  override async prepare(): Promise<void> {}

  override async plug(
    _holder: InterfaceHolder,
    network: string,
    ifname: string,
    spec: EndpointSpec
  ): ReturnType<SandboxInterfaces['plug']> {
    const endpoint = await this.engine.connect(network, spec, (begun) => {
      this.told.push(`${ifname} ${endpointAddresses(begun).join(' ')}`)
      return { type: 'host', options: { mac: begun.mac, addresses: endpointAddresses(begun) } }
    })
    return { endpoint, kept: false }
  }

  override async unplug(_holder: InterfaceHolder | null, network: string, endpoint: string, ifname: string): Promise<void> {
    this.told.push(`no ${ifname}`)
    await this.engine.disconnect(network, endpoint)
  }

  override async routeDefault(_holder: InterfaceHolder, to: string, device: string, via: string): Promise<void> {
    this.told.push(via === '' ? `no ${to}` : `${to} via ${via} ${device}`)
  }

  override async routeResolver(_holder: InterfaceHolder, device: { name: string; address: string } | null): Promise<void> {
    this.told.push(device === null ? 'no resolver' : `resolver ${device.name} ${device.address}`)
  }

  override async closeIpv6(): Promise<void> {}

  override async removeStrangers(): Promise<boolean> {
    return false
  }
}

/** Makes and starts a container's sandbox; null gives one that is only an object. */
export type SandboxMaker = (container: TestContainer, network: 'own' | 'host' | { pid: number }) => Promise<Sandbox>

/** Of worlds that a test that needs none of their ends does not close. */
const directories: string[] = []
process.on('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

export class ContainerWorld implements ContainerLookup {
  readonly world: NetworkWorld
  readonly service: ContainerNetworkService
  readonly directory = mkdtempSync(path.join(tmpdir(), 'netloom-nets-'))
  private readonly containers = new Map<string, TestContainer>()
  private readonly makeSandbox: SandboxMaker

  constructor(world: NetworkWorld, options: { makeSandbox?: SandboxMaker; interfaces?: SandboxInterfaces } = {}) {
    this.world = world
    this.makeSandbox = options.makeSandbox ?? (async () => ({ pid: 1, shimPid: 1 }) as Sandbox)
    directories.push(this.directory)
    const hostFiles = { hosts: path.join(this.directory, 'hosts'), resolvConf: path.join(this.directory, 'resolv.conf') }
    writeFileSync(hostFiles.hosts, '127.0.0.1\tlocalhost\n')
    writeFileSync(hostFiles.resolvConf, 'nameserver 192.0.2.60\n')
    this.service = new ContainerNetworkService({
      networks: world.networks,
      controller: world.controller,
      containers: this,
      random: world.random,
      hostFiles,
      probe: async (_address, _protocol, port) => (port === 8400 ? 'EADDRINUSE' : undefined),
      ...(options.interfaces !== undefined && { interfaces: options.interfaces }),
      log: () => {}
    })
  }

  find(reference: string): TestContainer {
    for (const container of this.containers.values()) {
      if (container.id === reference || container.name === reference) return container
    }
    throw ApiError.notFound(`No such container: ${reference}`)
  }

  all(): Iterable<TestContainer> {
    return this.containers.values()
  }

  create(name: string, request: NetworkingRequest = {}): TestContainer {
    const id = newDockerId(this.world.random)
    const container = new TestContainer(id, name, path.join(this.directory, id), request)
    this.service.prepare(container, request)
    this.containers.set(id, container)
    return container
  }

  /** As src/docker/container starts one. Returns the environment of links. */
  async start(container: TestContainer): Promise<string[]> {
    const network = this.service.sandboxNetwork(container)
    await this.service.writeFiles(container)
    container.sandbox = await this.makeSandbox(container, network)
    try {
      const { environment } = await this.service.start(container)
      container.state.Running = true
      return environment
    } catch (error) {
      await this.end(container)
      throw error
    }
  }

  /** One that outlived the daemon of another world. */
  async restore(container: TestContainer): Promise<void> {
    this.containers.set(container.id, container)
    await this.service.restore(container)
  }

  async run(name: string, request: NetworkingRequest = {}): Promise<TestContainer> {
    const container = this.create(name, request)
    await this.start(container)
    return container
  }

  async stop(container: TestContainer): Promise<void> {
    container.state.Running = false
    await this.service.stop(container)
    await this.end(container)
  }

  async remove(container: TestContainer): Promise<void> {
    if (container.state.Running) await this.stop(container)
    await this.service.remove(container)
    this.containers.delete(container.id)
  }

  async close(): Promise<void> {
    for (const container of [...this.containers.values()]) await this.remove(container)
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  private async end(container: TestContainer): Promise<void> {
    const { sandbox } = container
    container.sandbox = null
    if (sandbox !== null && 'close' in sandbox) await sandbox.close()
  }
}
